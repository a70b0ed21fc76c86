//! What a command tells the shell.

use std::process::{ExitCode, ExitStatus};

use rustix::process::Signal;

/// An exit code, comparable (unlike [`ExitCode`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Done; for `acquire`: granted.
    pub(crate) const DONE: Exit = Exit(0);
    /// Something went wrong, and standard error says what.
    pub(crate) const ERROR: Exit = Exit(1);
    /// `verify`: something is wrong, or was before it was repaired; `import`: not everything was imported.
    pub(crate) const FOUND: Exit = Exit(1);
    /// `replication status`: the run failed; `replication plan`: something would be refused.
    pub(crate) const FAILED: Exit = Exit(1);
    /// `replication status`: somebody stopped the run.
    pub(crate) const CANCELLED: Exit = Exit(3);
    /// `replication status`: the run has not ended, or there is none.
    pub(crate) const UNFINISHED: Exit = Exit(4);
    /// `verify`: not everything could be verified.
    pub(crate) const NOT_VERIFIED: Exit = Exit(3);
    /// `acquire`: somebody else holds the lock.
    pub(crate) const CONTENDED: Exit = Exit(3);
    /// `acquire`: the work was completed by somebody.
    pub(crate) const SKIPPED: Exit = Exit(4);
    /// `acquire`: the owner waits in the queue.
    pub(crate) const QUEUED: Exit = Exit(5);
    /// `auth check`: it is not allowed.
    pub(crate) const NOT_ALLOWED: Exit = Exit(3);
    /// `run`: the server cannot be reached (`EX_UNAVAILABLE`).
    pub(crate) const UNREACHABLE: Exit = Exit(69);
    /// `run`: the lock was not got in time (`EX_TEMPFAIL`).
    pub(crate) const NOT_IN_TIME: Exit = Exit(75);
    /// `run`: the lock was lost and the command was stopped.
    pub(crate) const LOST: Exit = Exit(76);
    /// `run`: the command cannot be executed.
    pub(crate) const NOT_EXECUTABLE: Exit = Exit(126);
    /// `run`: there is no such command.
    pub(crate) const NOT_FOUND: Exit = Exit(127);

    /// What shells report for a process that died of `signal`.
    pub(crate) fn of_signal(signal: Signal) -> Exit {
        Exit::of_signal_number(signal.as_raw())
    }

    /// The code of a command that ended, as shells report it: its own, or 128 and the signal that killed it.
    pub(crate) fn of_command(status: ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt as _;

        match (status.code(), status.signal()) {
            (Some(code), _) => u8::try_from(code).map_or(Exit::ERROR, Exit),
            (None, Some(signal)) => Exit::of_signal_number(signal),
            (None, None) => Exit::ERROR,
        }
    }

    fn of_signal_number(signal: i32) -> Exit {
        u8::try_from(signal.saturating_add(128)).map_or(Exit::ERROR, Exit)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_command_keeps_its_own_code() {
        assert_eq!(Exit::of_command(ExitStatus::from_raw(0)), Exit::DONE);
        assert_eq!(Exit::of_command(ExitStatus::from_raw(7 << 8)), Exit(7));
        assert_eq!(Exit::of_command(ExitStatus::from_raw(255 << 8)), Exit(255));
    }

    #[test]
    fn a_killed_command_is_128_and_the_signal() {
        assert_eq!(Exit::of_command(ExitStatus::from_raw(9)), Exit(137));
        assert_eq!(Exit::of_signal(Signal::TERM), Exit(143));
        assert_eq!(Exit::of_signal(Signal::INT), Exit(130));
    }
}
