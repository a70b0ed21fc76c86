//! One client's use of something that is open.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::catalog::Catalog;
use super::device::{Device, Extent, Wait, Zero};
use super::driver::View;
use super::open::Target;
use crate::clock::Timestamp;

/// What is known of a session.
#[derive(Debug)]
pub(super) struct SessionInfo {
    pub(super) uuid: Uuid,
    pub(super) target: Target,
    /// The volume, also of a snapshot.
    pub(super) volume: u64,
    /// Writes are refused.
    pub(super) is_read_only: bool,
    /// Nobody else may write while it lasts.
    pub(super) is_alone: bool,
    /// On whose behalf; empty where nobody said so.
    pub(super) user: String,
    /// Where the client is.
    pub(super) peer: String,
    /// The export that it was opened with.
    pub(super) export: Option<Uuid>,
    pub(super) created: Timestamp,
    pub(super) read_bytes: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    /// Tells the client's connection to end.
    pub(super) stop: CancellationToken,
}

/// Something that is open for one client. Dropping it ends the session, and closes what nobody else uses.
pub struct Session {
    catalog: Catalog,
    info: Arc<SessionInfo>,
    view: Option<Arc<dyn View>>,
    runtime: Handle,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Session {
    /// A session that was added to what is open. Called within the runtime.
    pub(super) fn new(catalog: Catalog, info: Arc<SessionInfo>, view: Arc<dyn View>) -> Self {
        metrics::gauge!("steward_volume_sessions").increment(1.0);
        Session { catalog, info, view: Some(view), runtime: Handle::current() }
    }

    /// The device that this client sees.
    pub fn device(&self) -> Option<Arc<dyn Device>> {
        let view = Arc::clone(self.view.as_ref()?);
        Some(Arc::new(SessionDevice { view, info: Arc::clone(&self.info) }))
    }

    /// Ends the session from outside.
    pub fn stop(&self) -> &CancellationToken {
        &self.info.stop
    }

    /// What is open, as a number: the same for all of its sessions.
    pub(super) fn number(&self) -> u128 {
        match self.info.target {
            Target::Volume(id) => u128::from(id),
            // A random one is never as small as an id.
            Target::Snapshot(uuid) => uuid.as_u128(),
        }
    }

    /// The export that it was opened with.
    pub(super) fn export(&self) -> Option<Uuid> {
        self.info.export
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.info.is_read_only
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        metrics::gauge!("steward_volume_sessions").decrement(1.0);
        // The view is closed by the task below, which must find nobody else with it.
        self.view = None;
        if self.catalog.open.leave(&self.info) {
            let (catalog, target, volume) = (self.catalog.clone(), self.info.target, self.info.volume);
            let tasks = self.catalog.tasks.clone();
            tasks.spawn_on(async move { catalog.close_idle(target, volume).await }, &self.runtime);
        }
    }
}

/// A view as one client sees it: counted, and perhaps read-only.
struct SessionDevice {
    view: Arc<dyn View>,
    info: Arc<SessionInfo>,
}

impl SessionDevice {
    fn writable(&self) -> io::Result<()> {
        if self.info.is_read_only { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl Device for SessionDevice {
    fn size(&self) -> u64 {
        self.view.size()
    }

    fn is_read_only(&self) -> bool {
        self.info.is_read_only
    }

    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        self.view.read_at(into, offset, wait)?;
        add(&self.info.read_bytes, into.len());
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        self.view.write_at(data, offset)?;
        add(&self.info.written_bytes, data.len());
        Ok(())
    }

    fn zero(&self, offset: u64, length: u64, zero: Zero) -> io::Result<()> {
        self.writable()?;
        self.view.zero(offset, length, zero)
    }

    fn trim(&self, offset: u64, length: u64) -> io::Result<()> {
        self.writable()?;
        self.view.trim(offset, length)
    }

    fn flush(&self) -> io::Result<()> {
        self.view.flush()
    }

    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.view.prefetch(offset, length)
    }

    fn extents(&self, offset: u64, length: u64, limit: usize) -> io::Result<Vec<Extent>> {
        self.view.extents(offset, length, limit)
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
