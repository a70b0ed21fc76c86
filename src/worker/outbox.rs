//! What is to be said to the server: what must not be lost is kept until it is acknowledged.

use std::collections::{BTreeMap, VecDeque};

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::session_request::Message;

/// So many lines for the log are kept at most while there is no connection. Ends of tasks are all kept.
const KEPT_LINES: usize = 1000;
/// So many tasks can be claimed at the beginning of a connection.
const CLAIMED_TASKS: usize = 64;

/// The state of a conversation that outlives its connections.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The lease token of each task that is at work, by its id.
    held: BTreeMap<String, String>,
    latest_seq: u64,
    /// Not acknowledged yet, in order.
    kept: VecDeque<pb::SessionRequest>,
    /// The last of `kept` that this connection has carried.
    carried: u64,
    /// The newest number of free slots, if it was not said.
    ready: Option<pb::Ready>,
    /// The newest of each task, if it was not said.
    progress: BTreeMap<String, pb::TaskProgress>,
}

impl Outbox {
    /// A task is at work.
    pub(super) fn hold(&mut self, task_id: &str, lease_token: &str) {
        self.held.insert(task_id.to_owned(), lease_token.to_owned());
    }

    /// A task is the worker's no more, and nothing is said of it.
    pub(super) fn drop_task(&mut self, task_id: &str) {
        self.held.remove(task_id);
        self.progress.remove(task_id);
        self.kept.retain(|request| !is_progress_of(task_id, request));
    }

    /// Whether the task is the worker's.
    pub(super) fn holds(&self, task_id: &str) -> bool {
        self.held.contains_key(task_id)
    }

    /// A task has ended. Nothing is said of one that is not the worker's any more.
    pub(super) fn finish(&mut self, mut finished: pb::TaskFinished) {
        let Some(lease_token) = self.held.get(&finished.task_id) else { return };
        finished.lease_token.clone_from(lease_token);
        self.drop_task(&finished.task_id);
        self.keep(Message::Finished(finished));
    }

    /// A line for the log.
    pub(super) fn log(&mut self, line: pb::LogLine) {
        let is_line = |request: &pb::SessionRequest| matches!(request.message, Some(Message::Log(_)));
        if self.kept.iter().filter(|request| is_line(request)).count() >= KEPT_LINES
            && let Some(oldest) = self.kept.iter().position(is_line)
        {
            self.kept.remove(oldest);
        }
        self.keep(Message::Log(line));
    }

    /// Replaces what was to be said of the task.
    pub(super) fn progress(&mut self, mut progress: pb::TaskProgress) {
        // The end of the task was said, or it is somebody else's.
        let Some(lease_token) = self.held.get(&progress.task_id) else { return };
        progress.lease_token.clone_from(lease_token);
        self.progress.insert(progress.task_id.clone(), progress);
    }

    /// Says how far a task is so that it is acknowledged. Returns the number of the message, if the task is the worker's.
    pub(super) fn confirm(&mut self, mut progress: pb::TaskProgress) -> Option<u64> {
        progress.lease_token.clone_from(self.held.get(&progress.task_id)?);
        self.progress.remove(&progress.task_id);
        self.keep(Message::Progress(progress));
        Some(self.latest_seq)
    }

    /// Whether a message waits for its acknowledgement.
    pub(super) fn keeps(&self, seq: u64) -> bool {
        self.kept.iter().any(|request| request.seq == seq)
    }

    /// The task whose end a message tells.
    pub(super) fn end_in(&self, seq: u64) -> Option<String> {
        let request = self.kept.iter().find(|request| request.seq == seq)?;
        let Some(Message::Finished(finished)) = &request.message else { return None };
        Some(finished.task_id.clone())
    }

    /// Replaces what was to be said of free slots.
    pub(super) fn ready(&mut self, ready: pb::Ready) {
        self.ready = Some(ready);
    }

    /// A new connection stands: what was not acknowledged is to be said again.
    pub(super) fn rewind(&mut self) {
        self.carried = 0;
    }

    /// The next thing to say: what must not be lost comes first, in order.
    pub(super) fn next(&mut self) -> Option<pb::SessionRequest> {
        if let Some(request) = self.kept.iter().find(|request| request.seq > self.carried) {
            self.carried = request.seq;
            return Some(request.clone());
        }
        let ready = self.ready.take().map(Message::Ready);
        let message = ready.or_else(|| self.progress.pop_first().map(|(_, progress)| Message::Progress(progress)))?;
        Some(pb::SessionRequest { seq: 0, message: Some(message) })
    }

    /// Whether there is something to say.
    pub(super) fn has_more(&self) -> bool {
        let is_behind = self.kept.back().is_some_and(|last| last.seq > self.carried);
        is_behind || self.ready.is_some() || !self.progress.is_empty()
    }

    /// The server has a message for good.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        self.kept.retain(|request| request.seq != seq);
    }

    /// How many messages the server has not got for good.
    pub(super) fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    /// What to claim at the beginning of a connection. A task whose end the server may not know is still claimed, so
    /// that it does not count as abandoned.
    pub(super) fn running(&self) -> Vec<pb::HeldTask> {
        let ended = self.kept.iter().filter_map(|request| match &request.message {
            Some(Message::Finished(finished)) => Some((&finished.task_id, &finished.lease_token)),
            _ => None,
        });
        let task = |(task_id, lease_token): (&String, &String)| pb::HeldTask {
            task_id: task_id.clone(),
            lease_token: lease_token.clone(),
        };
        // More would be refused. What is not claimed is told by its end all the same.
        self.held.iter().chain(ended).map(task).take(CLAIMED_TASKS).collect()
    }

    fn keep(&mut self, message: Message) {
        self.latest_seq += 1;
        self.kept.push_back(pb::SessionRequest { seq: self.latest_seq, message: Some(message) });
    }
}

fn is_progress_of(task_id: &str, request: &pb::SessionRequest) -> bool {
    matches!(&request.message, Some(Message::Progress(progress)) if progress.task_id == task_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> pb::LogLine {
        pb::LogLine { log_message: text.to_owned(), ..pb::LogLine::default() }
    }

    fn finished(task: &str) -> pb::TaskFinished {
        pb::TaskFinished { task_id: task.to_owned(), ..pb::TaskFinished::default() }
    }

    fn progress(task: &str, percent: f64) -> pb::TaskProgress {
        pb::TaskProgress { task_id: task.to_owned(), progress: percent, ..pb::TaskProgress::default() }
    }

    fn said(outbox: &mut Outbox) -> Vec<(u64, String)> {
        let name = |message| match message {
            Message::Finished(finished) => format!("finished {} {}", finished.task_id, finished.lease_token),
            Message::Log(line) => line.log_message,
            Message::Progress(progress) => format!("{} {}", progress.task_id, progress.progress),
            Message::Ready(ready) => format!("ready {}", ready.free_slots),
            Message::Hello(_) | Message::Ping(_) => unreachable!("not said by an outbox"),
        };
        std::iter::from_fn(|| outbox.next()).map(|request| (request.seq, name(request.message.unwrap()))).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_said_again_in_order() {
        let mut outbox = Outbox::default();
        outbox.hold("t", "lease");
        outbox.log(line("one"));
        outbox.log(line("two"));
        outbox.finish(finished("t"));
        let all = [(1, "one".to_owned()), (2, "two".to_owned()), (3, "finished t lease".to_owned())];
        assert_eq!(said(&mut outbox), all);
        assert!(!outbox.has_more());
        outbox.acknowledge(2);
        outbox.acknowledge(99);
        outbox.rewind();
        assert!(outbox.has_more());
        assert_eq!(said(&mut outbox), [all[0].clone(), all[2].clone()]);
        assert_eq!(outbox.unacknowledged(), 2);
    }

    #[test]
    fn only_the_newest_progress_is_said_and_none_after_the_end() {
        let mut outbox = Outbox::default();
        outbox.hold("t", "lease");
        outbox.progress(progress("t", 1.0));
        outbox.progress(progress("t", 2.0));
        outbox.progress(progress("unknown", 2.0));
        outbox.ready(pb::Ready { free_slots: 2, dest_path: None });
        outbox.ready(pb::Ready { free_slots: 1, dest_path: None });
        assert_eq!(said(&mut outbox), [(0, "ready 1".to_owned()), (0, "t 2".to_owned())]);
        outbox.progress(progress("t", 3.0));
        outbox.finish(finished("t"));
        outbox.progress(progress("t", 4.0));
        assert_eq!(said(&mut outbox), [(1, "finished t lease".to_owned())]);
    }

    #[test]
    fn a_confirmation_is_asked_for_again_until_it_comes_or_the_task_is_lost() {
        let mut outbox = Outbox::default();
        outbox.hold("t", "lease");
        let seq = outbox.confirm(progress("t", 9.0)).unwrap();
        assert_eq!(said(&mut outbox), [(seq, "t 9".to_owned())]);
        outbox.rewind();
        assert_eq!(said(&mut outbox), [(seq, "t 9".to_owned())]);
        assert!(outbox.keeps(seq));
        outbox.drop_task("t");
        assert!(!outbox.keeps(seq) && !outbox.holds("t"));
        assert_eq!(outbox.confirm(progress("t", 9.0)), None);
        outbox.finish(finished("t"));
        assert_eq!(outbox.unacknowledged(), 0);
    }

    #[test]
    fn a_task_is_claimed_until_the_server_knows_its_end() {
        let mut outbox = Outbox::default();
        outbox.hold("a", "1");
        outbox.hold("b", "2");
        outbox.hold("c", "3");
        outbox.drop_task("c");
        outbox.finish(finished("a"));
        let claimed = |outbox: &Outbox| outbox.running().into_iter().map(|task| task.task_id + &task.lease_token);
        assert_eq!(claimed(&outbox).collect::<Vec<_>>(), ["b2", "a1"]);
        outbox.acknowledge(1);
        assert_eq!(claimed(&outbox).collect::<Vec<_>>(), ["b2"]);
    }

    #[test]
    fn a_long_absence_of_the_server_takes_little_memory_and_no_end() {
        let mut outbox = Outbox::default();
        outbox.hold("t", "lease");
        outbox.finish(finished("t"));
        for number in 0..3 * KEPT_LINES {
            outbox.log(line(&number.to_string()));
        }
        assert_eq!(outbox.unacknowledged(), KEPT_LINES + 1);
        let said = said(&mut outbox);
        assert_eq!(said[0].1, "finished t lease");
        assert_eq!(said[1].1, (2 * KEPT_LINES).to_string());
    }
}
