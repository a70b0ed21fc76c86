//! How far runs are at this moment, what they have to say, and whether they are to stop.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use steward_proto::store::v1::{ExecutionLogRecord, ExecutionRecord};
use tokio_util::sync::CancellationToken;

use super::rate::{Bucket, STEP_BYTES};
use super::target::{Meter, TargetError};
use crate::clock::Clock;

/// How many lines of log wait to be recorded at most; later ones are dropped until there is room.
const MAX_WAITING_LINES: usize = 1_000;
/// How long a text in a record may be, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 1_024;

/// Why a run stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// Somebody wants it to.
    Cancelled,
    /// The server is about to stop: it goes on after the next start.
    Shutdown,
    /// Its record is gone, or another runner has it.
    Lost,
}

/// One run that is under way.
#[derive(Debug)]
pub(super) struct LiveRun {
    pub(super) task_key: String,
    clock: Arc<dyn Clock>,
    bucket: Mutex<Bucket>,
    halt: CancellationToken,
    shutdown: CancellationToken,
    why: Mutex<Option<Halt>>,
    sent: AtomicU64,
    /// How many of them the metrics know.
    told: AtomicU64,
    total: AtomicI64,
    lines: Mutex<VecDeque<ExecutionLogRecord>>,
    artifacts: Mutex<BTreeMap<u64, Arc<LiveArtifact>>>,
    next_artifact: AtomicU64,
}

/// An artifact that is under way.
#[derive(Debug, Default)]
pub(super) struct LiveArtifact {
    pub(super) artifact: String,
    pub(super) version: String,
    digest: Mutex<String>,
    size: AtomicU64,
    sent: AtomicU64,
    resumed_from: AtomicU64,
    mounted: AtomicU32,
    is_conflict: AtomicBool,
}

/// What an artifact has come to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) sent: u64,
    pub(super) resumed_from: u64,
    pub(super) mounted: u32,
    pub(super) is_conflict: bool,
}

impl LiveArtifact {
    pub(super) fn figures(&self) -> Figures {
        Figures {
            digest: self.digest.lock().clone(),
            size: self.size.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            resumed_from: self.resumed_from.load(Ordering::Relaxed),
            mounted: self.mounted.load(Ordering::Relaxed),
            is_conflict: self.is_conflict.load(Ordering::Relaxed),
        }
    }

    /// Says what it is.
    pub(super) fn is(&self, digest: &str, size: u64) {
        digest.clone_into(&mut self.digest.lock());
        self.size.store(size, Ordering::Relaxed);
    }

    /// The target has another one.
    pub(super) fn conflicts(&self) {
        self.is_conflict.store(true, Ordering::Relaxed);
    }

    /// A blob of it is there.
    pub(super) fn pushed(&self, resumed_from: u64, is_mounted: bool) {
        self.resumed_from.fetch_add(resumed_from, Ordering::Relaxed);
        self.mounted.fetch_add(u32::from(is_mounted), Ordering::Relaxed);
    }
}

impl LiveRun {
    /// A run that goes on as its record says, until the server stops.
    pub(super) fn new(record: &ExecutionRecord, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> Self {
        LiveRun {
            task_key: record.task_key.clone(),
            clock,
            bucket: Mutex::new(Bucket::new(0, Instant::now())),
            halt: CancellationToken::new(),
            shutdown,
            why: Mutex::new(None),
            sent: AtomicU64::new(record.sent_bytes),
            told: AtomicU64::new(record.sent_bytes),
            total: AtomicI64::new(-1),
            lines: Mutex::default(),
            artifacts: Mutex::default(),
            next_artifact: AtomicU64::new(0),
        }
    }

    /// Limits it to so many bytes a second; 0: not at all.
    pub(super) fn set_rate(&self, rate: u64) {
        *self.bucket.lock() = Bucket::new(rate, Instant::now());
    }

    /// Makes it stop. The first reason counts.
    pub(super) fn stop(&self, why: Halt) {
        self.why.lock().get_or_insert(why);
        self.halt.cancel();
    }

    /// Why it is to stop, if it is.
    pub(super) fn halted(&self) -> Option<Halt> {
        let why = *self.why.lock();
        why.or_else(|| self.shutdown.is_cancelled().then_some(Halt::Shutdown))
    }

    /// Returns when it is to stop.
    pub(super) async fn halting(&self) {
        tokio::select! {
            () = self.halt.cancelled() => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// The bytes that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The bytes that were sent since this was last asked.
    pub(super) fn newly_sent(&self) -> u64 {
        let sent = self.sent();
        sent.saturating_sub(self.told.swap(sent, Ordering::Relaxed))
    }

    /// The bytes of all artifacts; negative: not known.
    pub(super) fn total(&self) -> i64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(super) fn set_total(&self, bytes: u64) {
        self.total.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Adds a line to the log.
    pub(super) fn log(&self, level: &str, text: &str) {
        let mut lines = self.lines.lock();
        if lines.len() < MAX_WAITING_LINES {
            let time_us = self.clock.now().micros();
            lines.push_back(ExecutionLogRecord { time_us, level: level.to_owned(), text: cut(text).to_owned() });
        }
    }

    /// Up to so many lines that are to be recorded.
    pub(super) fn take_lines(&self, most: usize) -> Vec<ExecutionLogRecord> {
        let mut lines = self.lines.lock();
        let count = most.min(lines.len());
        lines.drain(..count).collect()
    }

    /// The artifacts that are under way.
    pub(super) fn artifacts(&self) -> Vec<(u64, Arc<LiveArtifact>)> {
        self.artifacts.lock().iter().map(|(&number, artifact)| (number, Arc::clone(artifact))).collect()
    }
}

/// The beginning of a text, as long as records have it.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

/// An artifact of a run while it is under way; what sends its bytes asks here.
pub(super) struct ArtifactMeter {
    pub(super) run: Arc<LiveRun>,
    pub(super) artifact: Arc<LiveArtifact>,
    number: u64,
}

impl ArtifactMeter {
    /// Begins an artifact.
    pub(super) fn new(run: &Arc<LiveRun>, artifact: &str, version: &str) -> Self {
        let number = run.next_artifact.fetch_add(1, Ordering::Relaxed);
        let live =
            LiveArtifact { artifact: artifact.to_owned(), version: version.to_owned(), ..LiveArtifact::default() };
        let live = Arc::new(live);
        run.artifacts.lock().insert(number, Arc::clone(&live));
        ArtifactMeter { run: Arc::clone(run), artifact: live, number }
    }
}

impl Drop for ArtifactMeter {
    fn drop(&mut self) {
        self.run.artifacts.lock().remove(&self.number);
    }
}

#[async_trait]
impl Meter for ArtifactMeter {
    async fn allow(&self, bytes: u64) -> Result<(), TargetError> {
        let mut left = bytes;
        loop {
            if self.run.halted().is_some() {
                return Err(TargetError::Cancelled);
            }
            if left == 0 {
                return Ok(());
            }
            let step = left.min(STEP_BYTES);
            left -= step;
            let wait = self.run.bucket.lock().take(Instant::now(), step);
            if !wait.is_zero() {
                tokio::select! {
                    () = self.run.halting() => return Err(TargetError::Cancelled),
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }

    fn sent(&self, bytes: u64) {
        self.run.sent.fetch_add(bytes, Ordering::Relaxed);
        self.artifact.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    async fn cancelled(&self) {
        self.run.halting().await;
    }

    fn log(&self, level: &'static str, text: String) {
        let LiveArtifact { artifact, version, .. } = &*self.artifact;
        let of = if version.is_empty() { artifact.clone() } else { format!("{artifact} {version}") };
        self.run.log(level, &format!("{of}: {text}"));
    }
}

/// The runs that are under way in this process.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<HashMap<String, Arc<LiveRun>>>);

impl Runs {
    pub(super) fn start(&self, id: &str, run: Arc<LiveRun>) {
        self.0.lock().insert(id.to_owned(), run);
    }

    pub(super) fn end(&self, id: &str) {
        self.0.lock().remove(id);
    }

    pub(super) fn of(&self, id: &str) -> Option<Arc<LiveRun>> {
        self.0.lock().get(id).map(Arc::clone)
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether one of a task is under way.
    pub(super) fn has_task(&self, task_key: &str) -> bool {
        self.0.lock().values().any(|run| run.task_key == task_key)
    }
}

/// How long before a try again that many have failed: twice as long each time, and up to half of that by chance, so
/// that many do not come at once.
pub(super) fn rest(failed: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(400);
    const LONGEST: Duration = Duration::from_mins(1);
    let whole = FIRST.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(LONGEST);
    let chance = getrandom::u32().unwrap_or(u32::MAX / 2);
    let half = whole / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}
