//! What can be wrong with a request, in the protocol's numbers.

use std::io;

use rustix::io::Errno;

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) number: u32,
    pub(super) message: &'static str,
}

impl Problem {
    pub(super) const READ_ONLY: Problem = Problem { number: 1, message: "the device is read-only" };
    pub(super) const IO: Problem = Problem { number: 5, message: "input or output failed" };
    pub(super) const NO_MEMORY: Problem = Problem { number: 12, message: "not enough memory" };
    pub(super) const INVALID: Problem = Problem { number: 22, message: "the device refuses the request" };
    pub(super) const NO_SPACE: Problem = Problem { number: 28, message: "no space is left" };
    pub(super) const OVERFLOW: Problem = Problem { number: 75, message: "too much for one reply" };
    pub(super) const UNSUPPORTED: Problem = Problem { number: 95, message: "not supported" };
    pub(super) const SHUTDOWN: Problem = Problem { number: 108, message: "the session is about to end" };

    pub(super) const UNKNOWN_COMMAND: Problem = Problem { number: 22, message: "unknown command" };
    pub(super) const UNKNOWN_FLAG: Problem =
        Problem { number: 22, message: "a flag is unknown or not for this command" };
    pub(super) const TOO_LONG: Problem = Problem { number: 22, message: "the length is over 32 MiB" };
    pub(super) const OUTSIDE: Problem = Problem { number: 22, message: "the range is not within the device" };
    pub(super) const BEYOND_END: Problem = Problem { number: 28, message: "the range is not within the device" };
    pub(super) const NO_CONTEXT: Problem = Problem { number: 22, message: "no metadata context was chosen" };
    pub(super) const EMPTY: Problem = Problem { number: 22, message: "the length is 0" };
}

impl From<&io::Error> for Problem {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::PERM | Errno::ACCESS | Errno::ROFS) => Problem::READ_ONLY,
            Some(Errno::NOMEM) => Problem::NO_MEMORY,
            Some(Errno::INVAL) => Problem::INVALID,
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Problem::NO_SPACE,
            Some(Errno::OVERFLOW) => Problem::OVERFLOW,
            Some(Errno::OPNOTSUPP) => Problem::UNSUPPORTED,
            Some(Errno::SHUTDOWN) => Problem::SHUTDOWN,
            Some(_) => Problem::IO,
            None => of_kind(error.kind()),
        }
    }
}

fn of_kind(kind: io::ErrorKind) -> Problem {
    use io::ErrorKind;
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Problem::READ_ONLY,
        ErrorKind::OutOfMemory => Problem::NO_MEMORY,
        ErrorKind::InvalidInput => Problem::INVALID,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Problem::NO_SPACE,
        ErrorKind::Unsupported => Problem::UNSUPPORTED,
        // Kinds are many and grow; whatever else it is, the device failed.
        _ => Problem::IO,
    }
}
