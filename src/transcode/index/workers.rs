//! Workers: there are few, so their whole records are here.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::Revision;
use crate::transcode::model::{WorkerId, WorkerRecord};

/// A worker as it is.
#[derive(Clone, Debug)]
pub(crate) struct WorkerEntry {
    pub(crate) record: WorkerRecord,
    pub(crate) revision: Revision,
    /// The last sign of life, which the record has late.
    pub(crate) heartbeat: Timestamp,
}

impl WorkerEntry {
    /// Whether its heartbeats have stopped.
    pub(crate) fn is_silent(&self, now: Timestamp, timeout: Duration) -> bool {
        now.since(self.heartbeat) > timeout
    }
}

/// All workers.
#[derive(Debug)]
pub(crate) struct Workers {
    by_id: BTreeMap<WorkerId, WorkerEntry>,
    next_id: i32,
}

impl Default for Workers {
    fn default() -> Self {
        Workers { by_id: BTreeMap::new(), next_id: 1 }
    }
}

impl Workers {
    /// An id that was never given out.
    pub(crate) fn allocate(&mut self) -> WorkerId {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        WorkerId(id)
    }

    /// Ids up to this one have been given out.
    pub(crate) fn note_highest(&mut self, number: i32) {
        self.next_id = self.next_id.max(number.saturating_add(1));
    }

    /// The highest id that may have been given out.
    pub(crate) fn highest(&self) -> i32 {
        self.next_id - 1
    }

    /// Takes over a record as it is since `revision`.
    pub(crate) fn apply(&mut self, id: WorkerId, record: WorkerRecord, revision: Revision) {
        self.note_highest(id.0);
        let heartbeat = Timestamp::from_nanos(record.heartbeat_nanos);
        match self.by_id.get_mut(&id) {
            Some(entry) if entry.revision > revision => {}
            Some(entry) => {
                entry.heartbeat = entry.heartbeat.max(heartbeat);
                entry.record = record;
                entry.revision = revision;
            }
            None => {
                self.by_id.insert(id, WorkerEntry { record, revision, heartbeat });
            }
        }
    }

    /// Notes a sign of life.
    pub(crate) fn beat(&mut self, id: WorkerId, now: Timestamp) {
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.heartbeat = entry.heartbeat.max(now);
        }
    }

    pub(crate) fn remove(&mut self, id: WorkerId) {
        self.by_id.remove(&id);
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&WorkerEntry> {
        self.by_id.get(&id)
    }

    pub(crate) fn find(&self, name: &str) -> Option<WorkerId> {
        self.by_id.iter().find(|(_, entry)| entry.record.name == name).map(|(id, _)| *id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &WorkerEntry)> {
        self.by_id.iter().map(|(id, entry)| (*id, entry))
    }
}
