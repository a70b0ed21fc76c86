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

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerRecord {
        WorkerRecord { name: name.to_owned(), ..WorkerRecord::default() }
    }

    #[test]
    fn a_name_leads_to_the_worker_that_has_it_in_whatever_order_the_news_come() {
        // The first is named anew, and a second takes its name.
        let news = [(1, "a", 1), (1, "b", 2), (2, "a", 3)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut workers = Workers::default();
            for (id, name, revision) in order.map(|place| news[place]) {
                workers.apply(WorkerId(id), worker(name), Revision(revision));
            }
            assert_eq!(["a", "b"].map(|name| workers.find(name)), [Some(WorkerId(2)), Some(WorkerId(1))], "{order:?}");
            workers.remove(WorkerId(1));
            assert_eq!(["a", "b"].map(|name| workers.find(name)), [Some(WorkerId(2)), None]);
        }
    }

    #[test]
    fn a_kept_heartbeat_is_no_news_but_an_end_is() {
        let mut workers = Workers::default();
        let beats = |nanos: i64| WorkerRecord { heartbeat_nanos: nanos, is_online: true, ..worker("a") };
        assert!(workers.apply(WorkerId(1), beats(5), Revision(1)));
        assert!(!workers.apply(WorkerId(1), beats(9), Revision(2)));
        assert!(workers.apply(WorkerId(1), WorkerRecord { is_online: false, ..beats(9) }, Revision(3)));
        assert!(!workers.apply(WorkerId(1), beats(5), Revision(2)), "it is an old record");
        let beat = workers.get(WorkerId(1)).map(|entry| entry.heartbeat.nanos());
        assert_eq!(beat, Some(9));
    }
}
