//! The audit: who changed what, from where, and who was not let; only ever added to.
//!
//! - `layer` is around every call, outside of the question who the caller is, so that it sees refusals too; `streams`
//!   is what it does with calls that go on.
//! - `exports` does the same for volumes over NBD.
//! - `refusals` makes one entry of many, so that nobody fills the log by being refused.
//! - `writer` is the thread that writes, in groups; `written` is how an answer waits for its entry.
//! - `files`, `segment` and `frame` are the log on the disk.
//! - `search` and `filter` read it, `service` answers questions about it, `watch` tells of what is new.

mod entry;
mod exports;
mod files;
mod filter;
mod frame;
mod layer;
mod refusals;
mod search;
mod segment;
mod service;
mod streams;
mod watch;
mod writer;
mod written;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steward_proto::audit::v1::{AuditEntry, EntryKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic_types::StatusExt as _;

pub use self::exports::AuditedExports;
use self::files::{Files, Limits};
pub use self::layer::{AuditLayer, Audited, Style, Subject};
use self::refusals::Refusals;
pub use self::service::AuditServer;
use self::writer::Writer;
use self::written::Written;
use crate::auth::Trail;
use crate::clock::Clock;
use crate::config::{self, OnFailure};
use crate::error::{Category, Failure};

/// How often refusals that were put together are written.
const TICK: Duration = Duration::from_secs(1);

/// Takes entries. Clones share the log.
#[derive(Clone)]
pub struct Audit(Option<Arc<Inner>>);

struct Inner {
    settings: config::Audit,
    clock: Arc<dyn Clock>,
    files: Arc<Files>,
    writer: Writer,
    refusals: Mutex<Refusals>,
}

impl Audit {
    /// One that keeps nothing.
    pub fn off() -> Self {
        Audit(None)
    }

    /// Opens the log in `directory`, if there is to be one, and starts its threads. Blocks.
    pub fn start(settings: &config::Audit, directory: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        if !settings.enabled {
            return Ok(Audit(None));
        }
        let limits = Limits { retention: settings.retention, max_bytes: settings.max_bytes };
        let files = Arc::new(Files::open(directory, limits)?);
        let writer = Writer::start(Arc::clone(&files), Arc::clone(&clock), settings)?;
        let refusals = Mutex::default();
        Ok(Audit(Some(Arc::new(Inner { settings: settings.clone(), clock, files, writer, refusals }))))
    }

    /// Whether entries are kept.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes what is put off, and an entry at each SIGHUP, until shutdown.
    pub async fn keep_up(self, shutdown: CancellationToken) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => return tracing::warn!(%error, "cannot listen for SIGHUP"),
        };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = hang_up.recv() => self.server("Server/Reload", "SIGHUP"),
                _ = ticks.tick() => self.write_refusals(),
            }
        }
    }

    /// Notes what the server itself does.
    pub fn server(&self, method: &'static str, about: &str) {
        self.record(AuditEntry { resource: about.to_owned(), ..entry::of_server(method) });
    }

    /// Notes that somebody was not let read something of the operators' that is no call.
    pub fn refused_read(&self, method: &str, trail: &Trail, status: &tonic::Status) {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        self.refuse(AuditEntry {
            kind: EntryKind::Call.into(),
            user: entry::cut(trail.user()),
            proof: trail.proof().to_owned(),
            address: entry::address(trail.address()),
            method: method.to_owned(),
            area: "admin".to_owned(),
            right: "read".to_owned(),
            resource: "metrics".to_owned(),
            outcome: entry::code_name(status.code()).to_owned(),
            reason: entry::cut(reason),
            ..AuditEntry::default()
        });
    }

    /// Adds an entry; nobody waits for it.
    pub(crate) fn record(&self, entry: AuditEntry) {
        if let Some(inner) = &self.0 {
            inner.writer.push(inner.dated(entry));
        }
    }

    /// Adds an entry whose answer may have to wait for it.
    pub(crate) fn record_before_answer(&self, entry: AuditEntry) -> Written {
        let Some(inner) = &self.0 else { return Written::at_once() };
        let is_strict = inner.settings.on_failure == OnFailure::Refuse;
        if inner.settings.wait == config::Wait::No && !is_strict {
            inner.writer.push(inner.dated(entry));
            return Written::at_once();
        }
        Written::new(inner.writer.push_and_tell(inner.dated(entry)), is_strict)
    }

    /// Adds an entry of a refusal, together with others of the same client.
    pub(crate) fn refuse(&self, entry: AuditEntry) {
        let Some(inner) = &self.0 else { return };
        let entry = inner.dated(entry);
        let due = inner.refusals.lock().add(entry, inner.clock.now());
        for entry in due {
            inner.writer.push(entry);
        }
    }

    /// Says no where changes are refused because they could not be noted.
    pub(crate) fn admit_change(&self) -> Result<(), Failure> {
        match &self.0 {
            Some(inner) if inner.settings.on_failure == OnFailure::Refuse && inner.writer.is_failing() => {
                Err(written::unavailable())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether successful signs of life are entries.
    pub(crate) fn has_heartbeats(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.settings.heartbeats)
    }

    /// Returns once all entries so far are durable, or cannot be in time. Nothing is added after it.
    pub async fn finish(&self, deadline: Duration) {
        let Some(inner) = &self.0 else { return };
        self.write_refusals_before(None);
        inner.writer.close();
        let ended = inner.writer.ended();
        if tokio::time::timeout(deadline, ended).await.is_err() {
            tracing::error!("the audit log could not be finished in time");
        }
    }

    fn write_refusals(&self) {
        if let Some(inner) = &self.0 {
            self.write_refusals_before(Some(inner.clock.now()));
        }
    }

    fn write_refusals_before(&self, now: Option<crate::clock::Timestamp>) {
        let Some(inner) = &self.0 else { return };
        let due = inner.refusals.lock().take_due(now);
        for entry in due {
            inner.writer.push(entry);
        }
    }

    fn log(&self) -> Result<&Inner, Failure> {
        self.0.as_deref().ok_or_else(|| {
            Failure::new(
                Category::FailedPrecondition,
                "AUDIT_OFF",
                "this server keeps no audit: audit.enabled is false",
            )
        })
    }
}

impl Inner {
    fn dated(&self, mut entry: AuditEntry) -> AuditEntry {
        entry.time = Some(entry::to_proto(self.clock.now()));
        entry.count = 1;
        entry
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Audit").field(&self.is_on()).finish()
    }
}

#[cfg(test)]
mod tests;
