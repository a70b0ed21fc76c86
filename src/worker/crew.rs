//! The tasks at work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use steward_proto::transcode::v1 as pb;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::failure::Failure;
use super::report;
use super::task::{Assignment, Context, Done};

/// The tasks at work, and what is to be said of them when they end.
#[derive(Debug)]
pub(super) struct Crew {
    context: Arc<Context>,
    /// More tasks than there are slots wait for one: the server may assign one while a slot is offered again.
    slots: Arc<Semaphore>,
    running: HashMap<task::Id, Running>,
    tasks: JoinSet<Result<Done, Failure>>,
}

#[derive(Debug)]
struct Running {
    task_id: String,
    stop: CancellationToken,
    fate: Option<Fate>,
    started: Instant,
}

/// Why a task was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server wants it to end, and to be reported as failed.
    Cancelled(String),
    /// It is somebody else's: nothing is to be said of it.
    Lost,
    /// The worker ends.
    Quit,
}

/// A task that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// The next task would fail likewise.
    pub(super) is_machines_fault: bool,
}

impl Crew {
    pub(super) fn new(context: Arc<Context>) -> Self {
        let slots = Arc::new(Semaphore::new(context.settings.slots));
        Crew { context, slots, running: HashMap::new(), tasks: JoinSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins a task. One that is at work already goes on, by the new lease.
    pub(super) fn begin(&mut self, assignment: Assignment) {
        self.context.link.hold(&assignment.task_id, &assignment.lease_token);
        if self.running.values().any(|running| running.task_id == assignment.task_id) {
            return;
        }
        let stop = CancellationToken::new();
        let running =
            Running { task_id: assignment.task_id.clone(), stop: stop.clone(), fate: None, started: Instant::now() };
        let (context, slots) = (self.context.clone(), self.slots.clone());
        let handle = self.tasks.spawn(async move {
            let _slot = stop.run_until_cancelled(slots.acquire()).await.ok_or(Failure::Stopped)?;
            super::task::run(&context, &assignment, &stop).await
        });
        self.running.insert(handle.id(), running);
    }

    /// Stops a task, if it is at work.
    pub(super) fn stop(&mut self, task_id: &str, fate: Fate) {
        if let Some(running) = self.running.values_mut().find(|running| running.task_id == task_id) {
            running.stop(fate, &self.context);
        }
    }

    pub(super) fn stop_all(&mut self) {
        for running in self.running.values_mut() {
            running.stop(Fate::Quit, &self.context);
        }
    }

    /// Returns when a task has ended and that is said. There has to be one.
    pub(super) async fn next_end(&mut self) -> Ended {
        let Some(joined) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let (id, result) = match joined {
            Ok((id, result)) => (id, result),
            Err(failure) => (failure.id(), Err(Failure::Worker(panic_text(&failure)))),
        };
        let is_machines_fault = matches!(result, Err(Failure::Worker(_) | Failure::Spent(_)));
        if let Some(running) = self.running.remove(&id) {
            self.say(&running, result);
        }
        Ended { is_machines_fault }
    }

    fn say(&self, running: &Running, result: Result<Done, Failure>) {
        let (task, elapsed) = (&running.task_id, running.started.elapsed());
        match &result {
            Ok(done) => info!(%task, ?elapsed, before = done.source_bytes, after = done.output_bytes, "task completed"),
            Err(Failure::Stopped) => info!(%task, "task stopped"),
            Err(Failure::Video(reason) | Failure::Worker(reason) | Failure::Spent(reason)) => {
                warn!(%task, %reason, "task failed");
            }
        }
        match verdict(task, elapsed, running.fate.as_ref(), result) {
            Some(finished) => self.context.link.finish(finished),
            None => self.context.link.drop_task(task),
        }
    }
}

impl Running {
    fn stop(&mut self, fate: Fate, context: &Context) {
        // A lease that is lost stays lost, whatever is said of it later.
        if self.fate != Some(Fate::Lost) {
            if fate == Fate::Lost {
                context.link.drop_task(&self.task_id);
            }
            self.fate = Some(fate);
        }
        self.stop.cancel();
    }
}

/// What the server is to know of a task; nothing when the task is not this worker's any more.
fn verdict(
    task_id: &str,
    elapsed: Duration,
    fate: Option<&Fate>,
    result: Result<Done, Failure>,
) -> Option<pb::TaskFinished> {
    let mut finished = pb::TaskFinished {
        task_id: task_id.to_owned(),
        elapsed_time: report::seconds(elapsed),
        ..pb::TaskFinished::default()
    };
    match (result, fate) {
        (_, Some(Fate::Lost)) => return None,
        (Ok(done), _) => {
            finished.set_status(pb::TaskStatus::Completed);
            finished.output_path = done.output_path;
            finished.output_bytes = i64::try_from(done.output_bytes).unwrap_or(i64::MAX);
            return Some(finished);
        }
        (Err(Failure::Stopped), Some(Fate::Cancelled(reason))) => {
            finished.error_message = format!("cancelled: {reason}");
        }
        (Err(Failure::Stopped), Some(Fate::Quit) | None) => {
            "the worker was stopped".clone_into(&mut finished.error_message);
            finished.declined = true;
        }
        (Err(Failure::Video(message) | Failure::Spent(message)), _) => finished.error_message = message,
        (Err(Failure::Worker(message)), _) => {
            finished.error_message = message;
            finished.declined = true;
        }
    }
    finished.set_status(pb::TaskStatus::Failed);
    Some(finished)
}

fn panic_text(failure: &JoinError) -> String {
    format!("the worker failed: {failure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fate: Option<&Fate>, result: Result<Done, Failure>) -> Option<(pb::TaskStatus, String, bool)> {
        let finished = verdict("t", Duration::from_secs(3), fate, result)?;
        assert_eq!((finished.task_id.as_str(), finished.elapsed_time), ("t", 3));
        Some((finished.status(), finished.error_message, finished.declined))
    }

    #[test]
    fn each_end_is_told_as_what_it_is() {
        let failed = |text: &str, declined| Some((pb::TaskStatus::Failed, text.to_owned(), declined));
        let completed = Some((pb::TaskStatus::Completed, String::new(), false));
        assert_eq!(told(None, Ok(Done::default())), completed);
        assert_eq!(told(None, Err(Failure::video("bad"))), failed("bad", false));
        assert_eq!(told(None, Err(Failure::worker("full"))), failed("full", true));
        assert_eq!(told(None, Err(Failure::Spent("full".to_owned()))), failed("full", false));
        let cancelled = Some(Fate::Cancelled("no more".to_owned()));
        assert_eq!(told(cancelled.as_ref(), Err(Failure::Stopped)), failed("cancelled: no more", false));
        assert_eq!(told(Some(&Fate::Quit), Err(Failure::Stopped)), failed("the worker was stopped", true));
        // It came too late to stop anything.
        assert_eq!(told(cancelled.as_ref(), Ok(Done::default())), completed);
    }

    #[test]
    fn nothing_is_said_of_a_task_that_is_somebody_elses() {
        assert_eq!(told(Some(&Fate::Lost), Ok(Done::default())), None);
        assert_eq!(told(Some(&Fate::Lost), Err(Failure::video("bad"))), None);
    }
}
