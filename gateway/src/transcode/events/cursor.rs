//! How far a subscriber is: the revision of each watch.

use std::fmt;

/// What to resume from. 0: from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) tasks: i64,
    pub(super) workers: i64,
}

impl Cursor {
    /// Reads the id of an event.
    pub(super) fn read(id: &str) -> Option<Self> {
        let (tasks, workers) = id.split_once('.')?;
        let revision = |text: &str| text.parse().ok().filter(|revision: &i64| *revision >= 0);
        Some(Self { tasks: revision(tasks)?, workers: revision(workers)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.tasks, self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let cursor = Cursor { tasks: 12, workers: 7 };
        assert_eq!(cursor.to_string(), "12.7");
        assert_eq!(Cursor::read("12.7"), Some(cursor));
        for id in ["", "12", "12.", ".7", "-1.7", "12.7.1", "x.y", "99999999999999999999.1"] {
            assert_eq!(Cursor::read(id), None, "{id}");
        }
    }
}
