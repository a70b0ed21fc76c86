//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no connections: the store, the objects that are read and written, the sockets that listen.
const OTHERS: u64 = 256;

/// Raises the limit as far as is allowed: the customary 1024 is for programs that cannot count further, and each
/// connection is a file.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::debug!(%error, "could not raise the limit of open files");
    }
}

/// How many of the `wanted` connections a port can have: each may have an object open besides.
pub(super) fn connections(wanted: usize) -> usize {
    let allowed = allowed(wanted, getrlimit(Resource::Nofile).current);
    if allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            "the limit of open files is too low for so many connections (server.max_connections)"
        );
    }
    allowed
}

fn allowed(wanted: usize, open_files: Option<u64>) -> usize {
    let Some(open_files) = open_files else { return wanted };
    let room = usize::try_from(open_files.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX);
    wanted.min(room.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(allowed(10_000, Some(1024)), 384);
        assert_eq!(allowed(100, Some(1024)), 100);
        assert_eq!((allowed(100, Some(10)), allowed(10_000, None)), (1, 10_000));
    }
}
