//! When a file counts as written to its end.

use std::collections::HashMap;
use std::time::Duration;

use super::stat::Stat;
use crate::clock::Timestamp;

/// How many files are remembered while they are watched. More are watched once those are done.
const MAX_WATCHED: usize = 100_000;

/// Whether a file may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody writes to it.
    Stable,
    /// Somebody may; it is worth another look at this time.
    Wait(Timestamp),
}

/// Files that may still be being written.
#[derive(Debug, Default)]
pub(super) struct Stability {
    watched: HashMap<String, (Stat, Timestamp)>,
}

impl Stability {
    /// Judges a file by how it is now and how it was. One that has not been touched for `stable_for`, neither its bytes
    /// nor its name, is stable at first sight; any other has to be seen unchanged for so long.
    pub(super) fn judge(&mut self, path: &str, stat: Stat, stable_for: Duration, now: Timestamp) -> Verdict {
        let touched = Timestamp::from_nanos(stat.modify_nanos.max(stat.change_nanos));
        if stable_for.is_zero() || touched.plus(stable_for) <= now {
            self.watched.remove(path);
            return Verdict::Stable;
        }
        let since = match self.watched.get(path) {
            Some((before, since)) if *before == stat => *since,
            Some(_) => {
                self.watched.insert(path.to_owned(), (stat, now));
                now
            }
            None => {
                if self.watched.len() < MAX_WATCHED {
                    self.watched.insert(path.to_owned(), (stat, now));
                }
                now
            }
        };
        let due = since.plus(stable_for);
        if due <= now {
            self.watched.remove(path);
            return Verdict::Stable;
        }
        Verdict::Wait(due)
    }

    /// The file is gone, or has been dealt with.
    pub(super) fn forget(&mut self, path: &str) {
        self.watched.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR: Duration = Duration::from_secs(10);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_nanos(second * 1_000_000_000)
    }

    fn stat(size: i64, modify: i64, change: i64) -> Stat {
        Stat { size, modify_nanos: second(modify).nanos(), change_nanos: second(change).nanos() }
    }

    #[test]
    fn an_old_file_is_stable_at_first_sight_and_one_moved_in_lately_is_not() {
        let mut stability = Stability::default();
        assert_eq!(stability.judge("a", stat(1, 100, 190), FOR, second(200)), Verdict::Stable);
        assert_eq!(stability.judge("a", stat(1, 100, 195), FOR, second(200)), Verdict::Wait(second(210)));
        assert_eq!(stability.judge("b", stat(1, 195, 100), FOR, second(200)), Verdict::Wait(second(210)));
    }

    #[test]
    fn a_file_that_grows_waits_until_it_stops() {
        let mut stability = Stability::default();
        assert_eq!(stability.judge("a", stat(1, 200, 200), FOR, second(200)), Verdict::Wait(second(210)));
        assert_eq!(stability.judge("a", stat(2, 208, 208), FOR, second(208)), Verdict::Wait(second(218)));
        assert_eq!(stability.judge("a", stat(2, 208, 208), FOR, second(217)), Verdict::Wait(second(218)));
        assert_eq!(stability.judge("a", stat(2, 208, 208), FOR, second(218)), Verdict::Stable);
        assert!(stability.watched.is_empty());
    }

    #[test]
    fn a_file_from_the_future_is_stable_once_it_was_seen_unchanged() {
        let mut stability = Stability::default();
        assert_eq!(stability.judge("a", stat(1, 9000, 9000), FOR, second(200)), Verdict::Wait(second(210)));
        assert_eq!(stability.judge("a", stat(1, 9000, 9000), FOR, second(210)), Verdict::Stable);
    }

    #[test]
    fn nothing_waits_when_no_time_is_asked_for() {
        let verdict = Stability::default().judge("a", stat(1, 300, 300), Duration::ZERO, second(200));
        assert_eq!(verdict, Verdict::Stable);
    }
}
