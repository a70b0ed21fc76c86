//! A journal that lasts as long as the process: for tests and simulations.

use std::collections::VecDeque;
use std::io;

use parking_lot::Mutex;

use super::{Frame, Journal};
use crate::store::Revision;

/// Frames in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    frames: Mutex<VecDeque<Frame>>,
    history: u64,
}

impl MemoryJournal {
    /// An empty journal that keeps `history` revisions.
    pub fn new(history: u64) -> Self {
        MemoryJournal { frames: Mutex::default(), history }
    }
}

#[cfg(test)]
impl MemoryJournal {
    /// How many there are.
    pub(crate) fn frames(&self) -> usize {
        self.frames.lock().len()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, frame: &Frame) -> io::Result<()> {
        self.frames.lock().push_back(frame.clone());
        Ok(())
    }

    fn read(&self, from: Revision) -> io::Result<Vec<Frame>> {
        let frames = self.frames.lock();
        let start = frames.partition_point(|frame| frame.last <= from);
        Ok(frames.iter().skip(start).take(64).cloned().collect())
    }

    fn floor(&self) -> Revision {
        self.frames.lock().front().map_or(Revision(0), |frame| Revision(frame.first.0 - 1))
    }

    fn last(&self) -> Revision {
        self.frames.lock().back().map_or(Revision(0), |frame| frame.last)
    }

    fn trim(&self, applied: Revision) -> io::Result<()> {
        let mut frames = self.frames.lock();
        let keep_from = frames.back().map_or(0, |frame| frame.last.0.saturating_sub(self.history));
        while frames.len() > 1 && frames.front().is_some_and(|f| f.last <= applied && f.last.0 <= keep_from) {
            frames.pop_front();
        }
        Ok(())
    }

    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }
}
