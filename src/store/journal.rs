//! The journal: every commit of the recent past, in order, in frames of one flush each.
//!
//! It is what makes a commit durable, what a start after a crash replays, and the change log that watches read.

mod file;
mod frame;
mod memory;
mod segment;

use std::io;

pub use self::file::{FileJournal, Limits};
pub(super) use self::frame::Collector;
pub use self::frame::Frame;
pub use self::memory::MemoryJournal;
use super::Revision;

/// Where frames are kept. One thread appends and one trims; any number read.
pub trait Journal: Send + Sync + 'static {
    /// Adds a frame behind the last and returns once it is durable. After an error nothing more is added.
    fn append(&self, frame: &Frame) -> io::Result<()>;

    /// The next frames with changes after `from`, in order: some, if there are any.
    fn read(&self, from: Revision) -> io::Result<Vec<Frame>>;

    /// Changes up to this revision are no longer kept.
    fn floor(&self) -> Revision;

    /// The last revision that is kept.
    fn last(&self) -> Revision;

    /// Drops what is neither needed, being after `applied`, nor among what the limits of the journal say to keep.
    fn trim(&self, applied: Revision) -> io::Result<()>;

    /// Makes room ahead of time, so that an append need not.
    fn prepare(&self) -> io::Result<()>;
}

impl<J: Journal> Journal for std::sync::Arc<J> {
    fn append(&self, frame: &Frame) -> io::Result<()> {
        (**self).append(frame)
    }

    fn read(&self, from: Revision) -> io::Result<Vec<Frame>> {
        (**self).read(from)
    }

    fn floor(&self) -> Revision {
        (**self).floor()
    }

    fn last(&self) -> Revision {
        (**self).last()
    }

    fn trim(&self, applied: Revision) -> io::Result<()> {
        (**self).trim(applied)
    }

    fn prepare(&self) -> io::Result<()> {
        (**self).prepare()
    }
}
