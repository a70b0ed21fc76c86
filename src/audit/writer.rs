//! The thread that writes entries, in groups: many that come at one time are one write.
//!
//! A write makes entries survive the end of the process. That they survive a loss of power too is the work of a second
//! thread, at most a second later, so that answers do not wait for the disk; unless answers are to wait for it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use steward_proto::audit::v1::AuditEntry;
use tokio::sync::{oneshot, watch};

use super::entry;
use super::files::Files;
use crate::clock::Clock;
use crate::config;

/// Entries that may wait to be written. What comes when there are as many is lost, and counted.
const MAX_WAITING: usize = 16 * 1024;
/// Entries that are written at a time.
const MAX_GROUP: usize = 1024;
/// How long entries may be lost to a loss of power.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How soon a disk that does not take entries is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked for entries that need not be kept any more, at most.
const LONGEST_TRIM_INTERVAL: Duration = Duration::from_mins(1);
/// And at least.
const SHORTEST_TRIM_INTERVAL: Duration = Duration::from_millis(100);

/// Takes entries for the thread.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wake: Condvar,
    /// Nobody waits for what the disk does not take.
    is_failing: AtomicBool,
    /// The number of the next entry; all before it can be read.
    next: watch::Sender<u64>,
    unsynced: Mutex<Unsynced>,
    sync: Condvar,
    waits_for_sync: bool,
    trim_interval: Duration,
    has_ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(AuditEntry, Option<oneshot::Sender<bool>>)>,
    /// How many came when there was no room.
    lost: i64,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Unsynced {
    is_dirty: bool,
    is_closed: bool,
    /// The thread has nothing to do. Otherwise it sees by itself what has come, and is not woken for it.
    is_idle: bool,
}

/// What is written at once.
#[derive(Debug, Default)]
struct Group {
    entries: Vec<AuditEntry>,
    answers: Vec<oneshot::Sender<bool>>,
}

impl Writer {
    /// Starts the threads.
    pub(super) fn start(files: Arc<Files>, clock: Arc<dyn Clock>, settings: &config::Audit) -> io::Result<Self> {
        let next = watch::Sender::new(files.next()?);
        let shared = Arc::new(Shared {
            files,
            clock,
            state: Mutex::default(),
            wake: Condvar::new(),
            is_failing: AtomicBool::new(false),
            next,
            unsynced: Mutex::default(),
            sync: Condvar::new(),
            waits_for_sync: settings.wait == config::Wait::Synced,
            trim_interval: (settings.retention / 16).clamp(SHORTEST_TRIM_INTERVAL, LONGEST_TRIM_INTERVAL),
            has_ended: watch::Sender::new(false),
        });
        for counter in ["entries", "lost", "early", "failures", "late"] {
            metrics::counter!(format!("steward_audit_{counter}_total")).increment(0);
        }
        let ours = Arc::clone(&shared);
        thread::Builder::new().name("audit".to_owned()).spawn(move || ours.run())?;
        let ours = Arc::clone(&shared);
        thread::Builder::new().name("audit-sync".to_owned()).spawn(move || ours.keep_synced())?;
        Ok(Writer(shared))
    }

    /// Adds an entry.
    pub(super) fn push(&self, entry: AuditEntry) {
        self.0.push(entry, None);
    }

    /// Adds an entry. What is returned tells whether it was written; `None`: it is lost.
    pub(super) fn push_and_tell(&self, entry: AuditEntry) -> Option<oneshot::Receiver<bool>> {
        let (answer, told) = oneshot::channel();
        self.0.push(entry, Some(answer)).then_some(told)
    }

    /// Whether the disk does not take entries.
    pub(super) fn is_failing(&self) -> bool {
        self.0.is_failing.load(Ordering::Acquire)
    }

    /// The number of the next entry, as it grows.
    pub(super) fn next(&self) -> watch::Receiver<u64> {
        self.0.next.subscribe()
    }

    /// Lets the thread end once everything is written.
    pub(super) fn close(&self) {
        self.0.state.lock().is_closed = true;
        self.0.wake.notify_all();
    }

    /// Returns once it has ended.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut has_ended = self.0.has_ended.subscribe();
        async move {
            // The sender lives as long as the threads do.
            let _ = has_ended.wait_for(|has_ended| *has_ended).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn push(&self, entry: AuditEntry, answer: Option<oneshot::Sender<bool>>) -> bool {
        let mut state = self.state.lock();
        if state.is_closed || state.waiting.len() >= MAX_WAITING {
            state.lost += entry.count;
            metrics::counter!("steward_audit_lost_total").increment(1);
            return false;
        }
        let answer = answer.filter(|_| !self.is_failing.load(Ordering::Acquire));
        state.waiting.push_back((entry, answer));
        // With others in front of it the thread is awake, or will be.
        if state.waiting.len() == 1 {
            self.wake.notify_one();
        }
        true
    }

    /// Writes until it is closed and nothing is left.
    fn run(&self) {
        let mut group = Group::default();
        let (mut trimmed, mut count) = (None::<Instant>, 0);
        loop {
            if group.entries.is_empty() && !self.fill(&mut group) {
                break;
            }
            // A disk that fails is asked again although nothing is left to write: nothing new may be let come before.
            let is_due = !group.entries.is_empty() || self.is_failing.load(Ordering::Acquire);
            if is_due && !self.write(&mut group) && !self.rest() {
                break;
            }
            // A further file may be one too many.
            let is_trim_due = trimmed.is_none_or(|trimmed| trimmed.elapsed() >= self.trim_interval);
            if is_trim_due || self.files.count() > count {
                trimmed = Some(Instant::now());
                match self.files.trim(self.clock.now()) {
                    Ok(0) => {}
                    Ok(early) => group.entries.push(self.gone_early(early)),
                    Err(error) => tracing::warn!(%error, "old entries of the audit log cannot be removed"),
                }
                count = self.files.count();
            }
        }
        if let Err(error) = self.files.sync() {
            tracing::error!(%error, "the audit log cannot be made durable");
        }
        self.unsynced.lock().is_closed = true;
        self.sync.notify_all();
        self.has_ended.send_replace(true);
    }

    /// What is to be read where entries are missing that somebody may look for.
    fn gone_early(&self, entries: u64) -> AuditEntry {
        metrics::counter!("steward_audit_early_total").increment(entries);
        tracing::warn!(
            entries,
            "entries of the audit log are gone before audit.retention: audit.max_bytes is too small"
        );
        self.about_itself("Audit/Trimmed", i64::try_from(entries).unwrap_or(i64::MAX))
    }

    /// An entry that stands for `count` others, which are not there.
    fn about_itself(&self, method: &str, count: i64) -> AuditEntry {
        let time = Some(entry::to_proto(self.clock.now()));
        let outcome = entry::code_name(tonic::Code::DataLoss).to_owned();
        AuditEntry { time, outcome, count, ..entry::of_server(method) }
    }

    /// Waits for entries, for a while, unless the disk is to be asked again. Returns whether to go on.
    fn fill(&self, group: &mut Group) -> bool {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && !state.is_closed && !self.is_failing.load(Ordering::Acquire) {
            self.wake.wait_for(&mut state, self.trim_interval);
        }
        if state.lost > 0 {
            group.entries.push(self.about_itself("Audit/Lost", std::mem::take(&mut state.lost)));
        }
        let count = state.waiting.len().min(MAX_GROUP);
        for (entry, answer) in state.waiting.drain(..count) {
            group.entries.push(entry);
            group.answers.extend(answer);
        }
        !group.entries.is_empty() || !state.is_closed
    }

    /// Writes a group and empties it, or keeps its entries for another try.
    fn write(&self, group: &mut Group) -> bool {
        let mut result = self.files.append(&mut group.entries);
        if result.is_ok() && self.waits_for_sync {
            result = self.files.sync();
            if result.is_err() {
                // It is there; that it is durable cannot be promised.
                group.entries.clear();
            }
        }
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::AcqRel);
        let is_written = match result {
            Ok(()) => {
                metrics::counter!("steward_audit_entries_total").increment(group.entries.len() as u64);
                group.entries.clear();
                if was_failing {
                    tracing::info!("the audit log can be written again");
                }
                true
            }
            Err(error) => {
                metrics::counter!("steward_audit_failures_total").increment(1);
                if !was_failing {
                    tracing::error!(%error, "the audit log cannot be written");
                }
                false
            }
        };
        // First, so that who was answered finds its entry in a watch that begins then.
        if let Ok(next) = self.files.next() {
            self.next.send_if_modified(|known| std::mem::replace(known, next) != next);
        }
        for answer in group.answers.drain(..) {
            // Whoever waits may have gone away.
            let _ = answer.send(is_written);
        }
        if !self.waits_for_sync {
            let mut unsynced = self.unsynced.lock();
            unsynced.is_dirty = true;
            if unsynced.is_idle {
                self.sync.notify_one();
            }
        }
        is_written
    }

    /// Waits until a disk is tried again. Those who come meanwhile are told at once. Returns whether to go on.
    fn rest(&self) -> bool {
        let end = Instant::now() + RETRY;
        let mut state = self.state.lock();
        loop {
            for (_, answer) in &mut state.waiting {
                if let Some(answer) = answer.take() {
                    let _ = answer.send(false);
                }
            }
            if state.is_closed {
                let lost = state.waiting.len();
                tracing::error!(lost, "entries of the audit are lost");
                return false;
            }
            if self.wake.wait_until(&mut state, end).timed_out() {
                return true;
            }
        }
    }

    /// Makes durable what was written, at most once in a while.
    fn keep_synced(&self) {
        let mut unsynced = self.unsynced.lock();
        while !unsynced.is_closed {
            if !unsynced.is_dirty {
                unsynced.is_idle = true;
                self.sync.wait(&mut unsynced);
                unsynced.is_idle = false;
                continue;
            }
            unsynced.is_dirty = false;
            parking_lot::MutexGuard::unlocked(&mut unsynced, || {
                if let Err(error) = self.files.sync() {
                    metrics::counter!("steward_audit_failures_total").increment(1);
                    tracing::error!(%error, "the audit log cannot be made durable");
                }
            });
            let end = Instant::now() + SYNC_INTERVAL;
            while !unsynced.is_closed && !self.sync.wait_until(&mut unsynced, end).timed_out() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::files::Limits;
    use crate::clock::ManualClock;

    #[test]
    fn after_a_sync_that_failed_the_disk_is_asked_again_without_anything_new_to_write() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { retention: Duration::from_secs(1), max_bytes: 64 * 1024 };
        let files = Arc::new(Files::open(directory.path(), limits).unwrap());
        let settings =
            config::Audit { wait: config::Wait::Synced, retention: limits.retention, ..config::Audit::default() };
        let writer = Writer::start(files, Arc::new(ManualClock::new()), &settings).unwrap();
        writer.0.is_failing.store(true, Ordering::Release);
        let end = Instant::now() + Duration::from_secs(30);
        while writer.is_failing() {
            assert!(Instant::now() < end, "it stays so for ever");
            thread::yield_now();
        }
    }
}
