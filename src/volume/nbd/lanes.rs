//! In which order requests come to the threads that wait for the disk.
//!
//! Every disk has a lane, and the lanes take turns. A lane may have nearly all threads while nobody else wants them; some
//! are kept for lanes that have none, so that a disk that hangs holds up its own clients alone. Of the flushes of a lane
//! one is under way at a time, and the next one is for all that have come by then.

use std::collections::{HashMap, VecDeque};

/// One thread of so many is kept for lanes that have none.
const KEPT_PART: usize = 4;

/// What waits for the threads, and how many are at work.
pub(super) struct Lanes<J> {
    lanes: HashMap<u128, Lane<J>>,
    /// The lanes in which something waits, the next one first.
    turns: VecDeque<u128>,
    threads: usize,
    running: usize,
}

struct Lane<J> {
    jobs: VecDeque<J>,
    flushes: Vec<J>,
    running: usize,
    is_flushing: bool,
}

/// What a thread does next, of which disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<J> {
    One(u128, J),
    /// One flush for all of these.
    Flush(u128, Vec<J>),
}

impl<J> Default for Lane<J> {
    fn default() -> Self {
        Lane { jobs: VecDeque::new(), flushes: Vec::new(), running: 0, is_flushing: false }
    }
}

impl<J> Lane<J> {
    fn has_waiting(&self) -> bool {
        !self.jobs.is_empty() || !self.flushes.is_empty()
    }

    fn may_flush(&self) -> bool {
        !self.flushes.is_empty() && !self.is_flushing
    }

    fn may_start(&self, free: usize, kept: usize) -> bool {
        (self.running == 0 || free > kept) && (self.may_flush() || !self.jobs.is_empty())
    }
}

impl<J> Lanes<J> {
    pub(super) fn new(threads: usize) -> Self {
        Lanes { lanes: HashMap::new(), turns: VecDeque::new(), threads, running: 0 }
    }

    /// Something that waits for a disk.
    pub(super) fn add(&mut self, disk: u128, job: J) {
        let lane = self.lane_with_turn(disk);
        lane.jobs.push_back(job);
    }

    /// Something that needs nothing but a flush.
    pub(super) fn add_flush(&mut self, disk: u128, job: J) {
        let lane = self.lane_with_turn(disk);
        lane.flushes.push(job);
    }

    fn lane_with_turn(&mut self, disk: u128) -> &mut Lane<J> {
        let lane = self.lanes.entry(disk).or_default();
        if !lane.has_waiting() {
            self.turns.push_back(disk);
        }
        lane
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether there is something for another thread.
    pub(super) fn may_start(&self) -> bool {
        self.startable().is_some()
    }

    fn startable(&self) -> Option<usize> {
        let free = self.threads.saturating_sub(self.running);
        let kept = self.threads / KEPT_PART;
        self.turns.iter().position(|disk| self.lanes.get(disk).is_some_and(|lane| lane.may_start(free, kept)))
    }

    /// What a thread is to do now, if anything. [`Lanes::finish`] is to follow.
    pub(super) fn next(&mut self) -> Option<Turn<J>> {
        let disk = self.turns.remove(self.startable()?)?;
        let lane = self.lanes.get_mut(&disk)?;
        let turn = if lane.may_flush() {
            lane.is_flushing = true;
            Turn::Flush(disk, std::mem::take(&mut lane.flushes))
        } else {
            Turn::One(disk, lane.jobs.pop_front()?)
        };
        lane.running += 1;
        self.running += 1;
        if lane.has_waiting() {
            self.turns.push_back(disk);
        }
        Some(turn)
    }

    /// A turn is over.
    pub(super) fn finish(&mut self, disk: u128, was: Kind) {
        self.running -= 1;
        let Some(lane) = self.lanes.get_mut(&disk) else { return };
        lane.running -= 1;
        lane.is_flushing &= was != Kind::Flush;
        if lane.running == 0 && !lane.has_waiting() {
            self.lanes.remove(&disk);
        }
    }
}

/// What a turn was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    One,
    Flush,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushes_wait_for_the_one_under_way_and_are_then_one() {
        let mut lanes = Lanes::new(8);
        for job in 0..3 {
            lanes.add_flush(1, job);
            if job == 0 {
                assert_eq!(lanes.next(), Some(Turn::Flush(1, vec![0])));
            }
        }
        lanes.add(1, 7);
        assert_eq!(lanes.next(), Some(Turn::One(1, 7)), "reads go past them");
        assert_eq!(lanes.next(), None);
        assert!(!lanes.is_empty());
        lanes.finish(1, Kind::One);
        assert_eq!(lanes.next(), None);
        lanes.finish(1, Kind::Flush);
        assert_eq!(lanes.next(), Some(Turn::Flush(1, vec![1, 2])));
        lanes.finish(1, Kind::Flush);
        assert!(lanes.is_empty() && lanes.lanes.is_empty(), "nothing is left of a disk that nobody waits for");
    }

    #[test]
    fn lanes_take_turns_and_none_has_all_threads() {
        let mut lanes = Lanes::new(8);
        for job in 0..20 {
            lanes.add(1, job);
        }
        lanes.add(2, 100);
        lanes.add(2, 101);
        let mut order = Vec::new();
        while let Some(turn) = lanes.next() {
            order.push(turn);
        }
        let expected = [(1, 0), (2, 100), (1, 1), (2, 101), (1, 2), (1, 3)];
        assert_eq!(order, expected.map(|(disk, job)| Turn::One(disk, job)), "two threads are kept");
        lanes.add(3, 200);
        assert!(lanes.may_start());
        assert_eq!(lanes.next(), Some(Turn::One(3, 200)));
        lanes.finish(2, Kind::One);
        assert!(!lanes.may_start());
        lanes.finish(2, Kind::One);
        assert_eq!(lanes.next(), Some(Turn::One(1, 4)));
    }
}
