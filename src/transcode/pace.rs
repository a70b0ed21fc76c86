//! Slows progress down: a change of a task that is progress alone is sent at most twice a second, the newest in the place
//! of all before it. What is held back is not lost to a reader who resumes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::error::Error;
use super::model::{TaskId, TaskRecord};
use super::watch::{Sender, TaskChanges, TaskStep, within};
use crate::store::Revision;

/// The shortest time between two messages of progress of one task.
const PACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Held {
    task: Box<TaskRecord>,
    /// Since which revision it is held.
    since: Revision,
    due: Instant,
}

/// What was sent and what is held back.
#[derive(Debug)]
struct Pace {
    /// The status of each task that was sent, and when.
    sent: HashMap<TaskId, (i32, Instant)>,
    held: BTreeMap<TaskId, Held>,
    /// Tasks of which the reader knows that they are not wanted any more.
    told_off: HashSet<TaskId>,
    /// Everything up to here was sent or is held.
    read: Revision,
}

impl Pace {
    /// What a reader may resume from: before whatever is held.
    fn resumable(&self) -> Revision {
        let first = self.held.values().map(|held| held.since.0.saturating_sub(1)).min();
        Revision(first.unwrap_or(self.read.0).min(self.read.0))
    }

    /// Takes a change; returns it when it is to be sent now.
    fn take(&mut self, id: TaskId, task: TaskRecord, revision: Revision, now: Instant) -> Option<Box<TaskRecord>> {
        let is_progress = self.sent.get(&id).is_some_and(|(status, at)| *status == task.status && now < *at + PACE);
        let task = Box::new(task);
        if is_progress {
            let due = self.sent.get(&id).map_or(now, |(_, at)| *at + PACE);
            let since = self.held.get(&id).map_or(revision, |held| held.since);
            self.held.insert(id, Held { task, since, due });
            return None;
        }
        self.held.remove(&id);
        self.sent.insert(id, (task.status, now));
        Some(task)
    }

    fn next_due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.due).min()
    }

    /// The first of those that are due.
    fn take_due(&mut self, now: Instant) -> Option<(TaskId, Box<TaskRecord>)> {
        let id = self.held.iter().find(|(_, held)| held.due <= now).map(|(id, _)| *id)?;
        let held = self.held.remove(&id)?;
        self.sent.insert(id, (held.task.status, now));
        Some((id, held.task))
    }
}

/// Sends changes of tasks at their pace. A task that was wanted once is sent once more when it no longer is.
pub(super) async fn feed(
    mut changes: BoxStream<'static, Result<TaskChanges, Error>>,
    is_wanted: impl Fn(&TaskRecord) -> bool,
    is_of_subject: impl Fn(&TaskRecord) -> bool,
    from: Revision,
    sender: &Sender<TaskStep>,
) -> Result<(), Error> {
    let mut pace = Pace { sent: HashMap::new(), held: BTreeMap::new(), told_off: HashSet::new(), read: from };
    loop {
        let due = pace.next_due();
        let alarm = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            set = changes.next() => {
                let Some(set) = set.transpose()? else { return Ok(()) };
                if send_set(&mut pace, set, &is_wanted, &is_of_subject, sender).await.is_none() {
                    return Ok(());
                }
            }
            () = alarm => {
                // One after the other, so that what is still held is never behind what a reader resumes from.
                while let Some((id, task)) = pace.take_due(Instant::now()) {
                    let step = TaskStep::Changed(id, task, pace.resumable());
                    if sender.send(Ok(step)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Sends what one commit changed; `None` when the reader has gone.
async fn send_set(
    pace: &mut Pace,
    set: TaskChanges,
    is_wanted: impl Fn(&TaskRecord) -> bool,
    is_of_subject: impl Fn(&TaskRecord) -> bool,
    sender: &Sender<TaskStep>,
) -> Option<()> {
    let count = set.tasks.len();
    for (number, (id, task)) in set.tasks.into_iter().enumerate() {
        pace.read = within(set.revision, number + 1 == count).max(pace.read);
        let step = match task {
            None => {
                pace.held.remove(&id);
                // Which of them a reader got in an earlier life is not known.
                pace.sent.remove(&id);
                pace.told_off.remove(&id);
                TaskStep::Deleted(id, pace.resumable())
            }
            Some(task) => {
                // One that was not sent by this watch may be known from its snapshot, or from an earlier life: one word
                // too many does no harm, and one too few leaves it as it was for ever.
                let was_sent = pace.sent.contains_key(&id) || pace.told_off.insert(id);
                let is_wanted = is_wanted(&task);
                let is_farewell = was_sent && is_of_subject(&task);
                if !is_wanted && !is_farewell {
                    continue;
                }
                let sent = pace.take(id, task, set.revision, Instant::now());
                if is_wanted {
                    pace.told_off.remove(&id);
                } else {
                    pace.sent.remove(&id);
                }
                let Some(task) = sent else { continue };
                TaskStep::Changed(id, task, pace.resumable())
            }
        };
        sender.send(Ok(step)).await.ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(status: i32, progress: f64) -> TaskRecord {
        TaskRecord { status, progress, ..TaskRecord::default() }
    }

    #[test]
    fn progress_is_held_and_the_newest_is_sent_when_it_is_due() {
        let mut pace =
            Pace { sent: HashMap::new(), held: BTreeMap::new(), told_off: HashSet::new(), read: Revision(9) };
        let (start, id) = (Instant::now(), TaskId(1));
        assert!(pace.take(id, task(2, 1.0), Revision(10), start).is_some());
        assert!(pace.take(id, task(2, 2.0), Revision(11), start).is_none());
        assert!(pace.take(id, task(2, 3.0), Revision(12), start).is_none());
        pace.read = Revision(12);
        assert_eq!(pace.resumable(), Revision(10), "who resumes gets what was held");
        assert!(pace.take_due(start).is_none());
        let due = pace.take_due(start + PACE);
        assert_eq!(due.map(|(_, task)| task.progress), Some(3.0));
        assert_eq!(pace.resumable(), Revision(12));
    }

    #[test]
    fn another_status_is_sent_at_once() {
        let mut pace =
            Pace { sent: HashMap::new(), held: BTreeMap::new(), told_off: HashSet::new(), read: Revision(9) };
        let (start, id) = (Instant::now(), TaskId(1));
        pace.take(id, task(2, 1.0), Revision(10), start);
        pace.take(id, task(2, 2.0), Revision(11), start);
        let sent = pace.take(id, task(3, 100.0), Revision(12), start);
        assert_eq!(sent.map(|task| task.status), Some(3));
        assert!(pace.held.is_empty());
    }
}
