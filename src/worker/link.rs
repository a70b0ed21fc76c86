//! Where tasks leave what they have to say, and the session takes it from.

use parking_lot::Mutex;
use steward_proto::transcode::v1 as pb;
use tokio::sync::{Notify, watch};

use super::outbox::Outbox;
use super::state::End;

/// Longer messages are cut by the server.
const MESSAGE_CHARACTERS: usize = 1023;

/// An outbox that tasks and the session share.
#[derive(Debug)]
pub(super) struct Link {
    outbox: Mutex<Outbox>,
    wake: Notify,
    unacknowledged: watch::Sender<usize>,
}

impl Link {
    pub(super) fn new() -> Self {
        Link { outbox: Mutex::default(), wake: Notify::new(), unacknowledged: watch::Sender::new(0) }
    }

    pub(super) fn hold(&self, task_id: &str, lease_token: &str) {
        self.change(|outbox| outbox.hold(task_id, lease_token));
    }

    pub(super) fn drop_task(&self, task_id: &str) {
        self.change(|outbox| outbox.drop_task(task_id));
    }

    pub(super) fn finish(&self, mut finished: pb::TaskFinished) {
        finished.error_message = cut(&finished.error_message);
        self.change(|outbox| outbox.finish(finished));
    }

    /// A task came to a good end earlier, and the server may not know it.
    pub(super) fn finish_late(&self, task_id: &str, end: End) {
        let mut finished = pb::TaskFinished {
            task_id: task_id.to_owned(),
            elapsed_time: end.elapsed_time,
            output_path: end.output_path,
            output_bytes: i64::try_from(end.output_bytes).unwrap_or(i64::MAX),
            ..pb::TaskFinished::default()
        };
        finished.set_status(pb::TaskStatus::Completed);
        self.change(|outbox| {
            outbox.hold(task_id, &end.lease_token);
            outbox.finish(finished);
        });
    }

    /// Whether the task is this worker's, as far as the server has said.
    pub(super) fn holds(&self, task_id: &str) -> bool {
        self.outbox.lock().holds(task_id)
    }

    /// Returns once the server has said whether the task is this worker's: it tells of a loss before it acknowledges.
    pub(super) async fn confirm(&self, progress: pb::TaskProgress) -> bool {
        let task_id = progress.task_id.clone();
        let mut changes = self.unacknowledged.subscribe();
        let mut seq = None;
        self.change(|outbox| seq = outbox.confirm(progress));
        let Some(seq) = seq else { return false };
        while self.outbox.lock().keeps(seq) {
            if changes.changed().await.is_err() {
                return false;
            }
        }
        self.holds(&task_id)
    }

    pub(super) fn log(&self, task_id: &str, level: pb::LogLevel, text: &str) {
        let line = pb::LogLine { task_id: task_id.to_owned(), log_level: level.into(), log_message: cut(text) };
        self.change(|outbox| outbox.log(line));
    }

    pub(super) fn progress(&self, progress: pb::TaskProgress) {
        self.change(|outbox| outbox.progress(progress));
    }

    pub(super) fn ready(&self, ready: pb::Ready) {
        self.change(|outbox| outbox.ready(ready));
    }

    pub(super) fn rewind(&self) {
        self.change(Outbox::rewind);
    }

    pub(super) fn acknowledge(&self, seq: u64) {
        self.change(|outbox| outbox.acknowledge(seq));
    }

    /// The task whose end a message tells.
    pub(super) fn end_in(&self, seq: u64) -> Option<String> {
        self.outbox.lock().end_in(seq)
    }

    pub(super) fn next(&self) -> Option<pb::SessionRequest> {
        self.outbox.lock().next()
    }

    pub(super) fn has_more(&self) -> bool {
        self.outbox.lock().has_more()
    }

    pub(super) fn running(&self) -> Vec<pb::HeldTask> {
        self.outbox.lock().running()
    }

    /// Returns when there may be more to say. For one caller at a time.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Returns when the server has everything for good.
    pub(super) async fn settled(&self) {
        // The sender lives as long as the link that is borrowed here.
        let _ = self.unacknowledged.subscribe().wait_for(|count| *count == 0).await;
    }

    fn change(&self, change: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox.lock();
        change(&mut outbox);
        self.unacknowledged.send_replace(outbox.unacknowledged());
        self.wake.notify_one();
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_CHARACTERS).collect()
}
