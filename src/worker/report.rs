//! Tells the server how far a task is, not more often than it wants to know.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steward_proto::transcode::v1 as pb;

use super::link::Link;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long work that counts nothing is still taken for alive: a disk may need that to write what it was given.
const PATIENCE: Duration = Duration::from_mins(10);

/// What long work has done so far, so that it can be told from work that hangs.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The reports of one task.
#[derive(Debug)]
pub(super) struct Report {
    link: Arc<Link>,
    task_id: String,
    started: Instant,
    latest: Option<Instant>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stage {
    /// 0 to 100.
    pub(super) percent: f64,
    pub(super) remaining: Option<Duration>,
    /// Frames a second.
    pub(super) fps: f64,
    /// Times real time.
    pub(super) speed: f64,
    /// Of the result.
    pub(super) bytes: i64,
}

impl Report {
    pub(super) fn new(link: Arc<Link>, task_id: &str) -> Self {
        Report { link, task_id: task_id.to_owned(), started: Instant::now(), latest: None }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Reports, unless that was done less than a second ago.
    pub(super) fn tell(&mut self, stage: Stage) {
        let now = Instant::now();
        if !is_due(self.latest, now) {
            return;
        }
        self.latest = Some(now);
        self.link.progress(self.progress(stage));
    }

    /// Returns once the server has said whether the task is still this worker's. Waits for a server that is away.
    pub(super) async fn confirm(&self, stage: Stage) -> bool {
        self.link.confirm(self.progress(stage)).await
    }

    /// Reports while something else is done, for as long as that does not hang.
    pub(super) async fn during<T>(&mut self, stage: Stage, pulse: &Pulse, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut seen = (0, Instant::now());
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(INTERVAL) => {
                    let count = pulse.0.load(Ordering::Relaxed);
                    if count != seen.0 {
                        seen = (count, Instant::now());
                    }
                    if seen.1.elapsed() < PATIENCE {
                        self.tell(stage);
                    }
                }
            }
        }
    }

    fn progress(&self, stage: Stage) -> pb::TaskProgress {
        pb::TaskProgress {
            task_id: self.task_id.clone(),
            // The link knows it.
            lease_token: String::new(),
            progress: stage.percent.clamp(0.0, 100.0),
            elapsed_time: seconds(self.elapsed()),
            remaining_time: stage.remaining.map(seconds),
            fps: stage.fps,
            speed: stage.speed,
            output_bytes: stage.bytes,
        }
    }

    /// A line for the log of the farm.
    pub(super) fn log(&self, level: pb::LogLevel, text: &str) {
        self.link.log(&self.task_id, level, text);
    }
}

fn is_due(latest: Option<Instant>, now: Instant) -> bool {
    latest.is_none_or(|latest| now.duration_since(latest) >= INTERVAL)
}

/// Whole seconds, as the protocol has them.
pub(super) fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_due_at_once_and_then_once_a_second() {
        let start = Instant::now();
        assert!(is_due(None, start));
        assert!(!is_due(Some(start), start + Duration::from_millis(999)));
        assert!(is_due(Some(start), start + INTERVAL));
    }
}
