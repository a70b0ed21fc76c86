//! What is open: the views of volumes and snapshots, and by whom they are used.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::driver::View;

/// What is open.
#[derive(Default)]
pub(super) struct Open {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    volumes: HashMap<u64, Used>,
    snapshots: HashMap<Uuid, Used>,
}

/// A view that is open, and how many use it.
struct Used {
    view: Arc<dyn View>,
    sessions: u32,
}

impl Open {
    /// The view of a volume that is open for writing. Whoever asks holds the volume's lock.
    pub(super) fn view(&self, volume: u64) -> Option<Arc<dyn View>> {
        self.state.lock().volumes.get(&volume).map(|used| Arc::clone(&used.view))
    }

    /// How many clients have a volume open.
    pub(super) fn sessions(&self, volume: u64) -> u32 {
        self.state.lock().volumes.get(&volume).map_or(0, |used| used.sessions)
    }

    /// Whether anybody has a volume open.
    pub(super) fn is_used(&self, volume: u64) -> bool {
        self.state.lock().volumes.contains_key(&volume)
    }

    /// Whether anybody has a snapshot open.
    pub(super) fn is_snapshot_used(&self, snapshot: Uuid) -> bool {
        self.state.lock().snapshots.contains_key(&snapshot)
    }
}
