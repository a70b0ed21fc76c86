//! Workers: there are few, so their whole records are here.

use std::collections::{BTreeMap, HashMap};
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
    by_name: HashMap<String, WorkerId>,
    next_id: i32,
}

impl Default for Workers {
    fn default() -> Self {
        Workers { by_id: BTreeMap::new(), by_name: HashMap::new(), next_id: 1 }
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

    /// Takes over a record as it is since `revision`. Says whether more than its sign of life is new.
    pub(crate) fn apply(&mut self, id: WorkerId, record: WorkerRecord, revision: Revision) -> bool {
        self.note_highest(id.0);
        let before = self.by_id.get(&id);
        if before.is_some_and(|entry| entry.revision > revision) {
            return false;
        }
        let beat = record.heartbeat_nanos;
        let is_changed =
            before.is_none_or(|entry| WorkerRecord { heartbeat_nanos: beat, ..entry.record.clone() } != record);
        let beat = Timestamp::from_nanos(beat);
        let heartbeat = before.map_or(beat, |entry| entry.heartbeat.max(beat));
        if before.is_none_or(|entry| entry.record.name != record.name) {
            self.take_name(id, &record.name, revision);
        }
        self.by_id.insert(id, WorkerEntry { record, revision, heartbeat });
        is_changed
    }

    /// Gives a worker its name, and takes the one from it that it had.
    fn take_name(&mut self, id: WorkerId, name: &str, revision: Revision) {
        self.forget_name(id);
        let holder = self.find(name).and_then(|holder| self.by_id.get(&holder));
        // Else the name was left to another worker since, and the news of that is on its way.
        if holder.is_none_or(|holder| holder.revision <= revision) {
            self.by_name.insert(name.to_owned(), id);
        }
    }

    fn forget_name(&mut self, id: WorkerId) {
        let Some(entry) = self.by_id.get(&id) else { return };
        if self.by_name.get(&entry.record.name) == Some(&id) {
            self.by_name.remove(&entry.record.name);
        }
    }

    /// Notes a sign of life.
    pub(crate) fn beat(&mut self, id: WorkerId, now: Timestamp) {
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.heartbeat = entry.heartbeat.max(now);
        }
    }

    pub(crate) fn remove(&mut self, id: WorkerId) {
        self.forget_name(id);
        self.by_id.remove(&id);
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&WorkerEntry> {
        self.by_id.get(&id)
    }

    pub(crate) fn find(&self, name: &str) -> Option<WorkerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &WorkerEntry)> {
        self.by_id.iter().map(|(id, entry)| (*id, entry))
    }
}
