//! What is open: the views of volumes and snapshots, the sessions that use them, and the exports that were promised.
//!
//! All of it is in memory: with the server every session ends, and every export. Who opens or closes something, and who
//! relies on nobody having it open, holds the lock of its volume (`volume_locks`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::busy_layers::Busy;
use super::driver::View;
use super::error::Error;
use super::exports::ExportRecord;
use super::session::SessionInfo;
use crate::auth::Identity;
use crate::clock::{Clock, Timestamp};
use crate::places::{Place, Places};

/// The most exports at a time.
const MAX_EXPORTS: usize = 10_000;

/// Something that can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// A volume, by id.
    Volume(u64),
    /// A snapshot.
    Snapshot(Uuid),
}

/// What is open.
pub(super) struct Open {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    places: Places,
}

#[derive(Default)]
struct State {
    views: HashMap<Target, Used>,
    exports: HashMap<Uuid, ExportRecord>,
}

/// A view that is open, and who uses it. One without sessions is about to be closed.
struct Used {
    view: Arc<dyn View>,
    sessions: HashMap<Uuid, Arc<SessionInfo>>,
    /// Keeps its layers where they are, where no name that stays does.
    busy: Option<Busy>,
}

/// A view that is open no more. Dropping it, which may wait for the disk, closes the view and then lets its layers go.
pub(super) struct Closing {
    _view: Arc<dyn View>,
    _busy: Option<Busy>,
}

impl Open {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Open { clock, state: Mutex::default(), places: Places::new(MAX_EXPORTS) }
    }

    /// The view of a volume that is open. Whoever asks holds the volume's lock.
    pub(super) fn view(&self, volume: u64) -> Option<Arc<dyn View>> {
        self.view_of(Target::Volume(volume))
    }

    /// The view of what is open. Whoever asks holds the volume's lock.
    pub(super) fn view_of(&self, target: Target) -> Option<Arc<dyn View>> {
        self.state.lock().views.get(&target).map(|used| Arc::clone(&used.view))
    }

    /// How many clients have a volume open.
    pub(super) fn sessions(&self, volume: u64) -> u32 {
        let state = self.state.lock();
        let sessions = state.views.get(&Target::Volume(volume)).map_or(0, |used| used.sessions.len());
        u32::try_from(sessions).unwrap_or(u32::MAX)
    }

    /// Whether anybody has a volume open, or was promised it.
    pub(super) fn is_used(&self, volume: u64) -> bool {
        self.is_target_used(Target::Volume(volume))
    }

    /// Whether anybody has a snapshot open, or was promised it.
    pub(super) fn is_snapshot_used(&self, snapshot: Uuid) -> bool {
        self.is_target_used(Target::Snapshot(snapshot))
    }

    fn is_target_used(&self, target: Target) -> bool {
        let now = self.clock.now();
        let state = self.state.lock();
        state.views.contains_key(&target)
            || state.exports.values().any(|export| export.target == target && export.is_alive(now))
    }

    /// Adds a session to what is open already. Gives it back when that is not open.
    pub(super) fn join(&self, session: &Arc<SessionInfo>) -> Option<Arc<dyn View>> {
        let mut state = self.state.lock();
        let used = state.views.get_mut(&session.target)?;
        used.sessions.insert(session.uuid, Arc::clone(session));
        Some(Arc::clone(&used.view))
    }

    /// Adds a view that was just opened, with its first session.
    pub(super) fn add(&self, view: Arc<dyn View>, busy: Option<Busy>, session: &Arc<SessionInfo>) {
        let used = Used { view, sessions: HashMap::from([(session.uuid, Arc::clone(session))]), busy };
        self.state.lock().views.insert(session.target, used);
    }

    /// Ends a session. Returns whether it was the last one of its view, which is then to be closed.
    pub(super) fn leave(&self, session: &SessionInfo) -> bool {
        let mut state = self.state.lock();
        let Some(used) = state.views.get_mut(&session.target) else { return false };
        used.sessions.remove(&session.uuid);
        used.sessions.is_empty()
    }

    /// Whether a view is open that nobody uses.
    pub(super) fn is_idle(&self, target: Target) -> bool {
        self.state.lock().views.get(&target).is_some_and(|used| used.sessions.is_empty())
    }

    /// Takes the view of what nobody uses any more.
    pub(super) fn take_idle(&self, target: Target) -> Option<Closing> {
        let mut state = self.state.lock();
        state.views.get(&target).filter(|used| used.sessions.is_empty())?;
        state.views.remove(&target).map(|used| Closing { _view: used.view, _busy: used.busy })
    }

    /// Sessions on something that write.
    pub(super) fn writers(&self, target: Target) -> usize {
        let state = self.state.lock();
        let Some(used) = state.views.get(&target) else { return 0 };
        used.sessions.values().filter(|session| !session.is_read_only).count()
    }

    /// Whether a session has something for itself.
    pub(super) fn is_taken(&self, target: Target) -> bool {
        self.state.lock().views.get(&target).is_some_and(|used| used.sessions.values().any(|session| session.is_alone))
    }

    /// All sessions.
    pub(super) fn all_sessions(&self) -> Vec<Arc<SessionInfo>> {
        self.state.lock().views.values().flat_map(|used| used.sessions.values().map(Arc::clone)).collect()
    }

    /// Tells the sessions that were opened with an export to end.
    pub(super) fn stop_sessions(&self, export: Uuid) {
        for session in self.all_sessions().iter().filter(|session| session.export == Some(export)) {
            session.stop.cancel();
        }
    }

    /// The place of one more export.
    pub(super) fn place_of_export(&self, caller: &Identity) -> Result<Place, Error> {
        self.places.take(caller).map_err(Error::TooManyExports)
    }

    /// Adds an export.
    pub(super) fn add_export(&self, export: ExportRecord) {
        self.state.lock().exports.insert(export.uuid, export);
    }

    /// An export that lives.
    pub(super) fn export(&self, uuid: Uuid) -> Option<ExportRecord> {
        let now = self.clock.now();
        self.state.lock().exports.get(&uuid).filter(|export| export.is_alive(now)).cloned()
    }

    /// All exports that live.
    pub(super) fn exports(&self) -> Vec<ExportRecord> {
        let now = self.clock.now();
        self.state.lock().exports.values().filter(|export| export.is_alive(now)).cloned().collect()
    }

    /// The export that keeps other writers out.
    pub(super) fn exclusive(&self, target: Target) -> Option<ExportRecord> {
        self.exports().into_iter().find(|export| export.is_exclusive && export.target == target)
    }

    /// Lets an export live for another while.
    pub(super) fn keep_alive(&self, uuid: Uuid) -> Option<ExportRecord> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let export = state.exports.get_mut(&uuid).filter(|export| export.is_alive(now))?;
        export.expires = now.plus(export.ttl);
        Some(export.clone())
    }

    /// Removes an export.
    pub(super) fn remove_export(&self, uuid: Uuid) {
        self.state.lock().exports.remove(&uuid);
    }

    /// Removes the exports whose time has come. Returns them, and when the next one's does.
    pub(super) fn expire_exports(&self, now: Timestamp) -> (Vec<Uuid>, Option<Timestamp>) {
        let mut state = self.state.lock();
        let over: Vec<Uuid> =
            state.exports.values().filter(|export| !export.is_alive(now)).map(|export| export.uuid).collect();
        for uuid in &over {
            state.exports.remove(uuid);
        }
        (over, state.exports.values().map(|export| export.expires).min())
    }
}
