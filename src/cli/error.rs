//! Why a command failed, in one line for a person.

use std::error::Error as StdError;
use std::io;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::console;
use super::exit::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No server answers.
    #[error("cannot reach a server at {url} ({cause}); start one with `steward serve`, or name another with --server")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// A user is named, and no password is to be found.
    #[error("there is a user but no password: set STEWARD_PASSWORD, or name a --password-file")]
    NoPassword,
    /// The server said no.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
    /// The server broke the protocol.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// What was asked for cannot be done on this machine.
    #[error("{0}")]
    Local(String),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// The machine does not let the command watch for signals or for its child.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the machine said.
        source: io::Error,
    },
}

impl Error {
    /// The failure of a call to the server at `url`.
    pub(crate) fn of_call(url: &str, status: Status) -> Error {
        if is_unreachable(&status) {
            return Error::Unreachable { url: url.to_owned(), cause: root_cause(&status) };
        }
        Error::Refused(Box::new(status))
    }

    /// Nobody reads the output any more. Not worth a word: `steward lock list | head`.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Tells a person why a command failed.
pub(crate) fn report(error: &Error) -> Exit {
    if error.is_broken_pipe() {
        return Exit::DONE;
    }
    eprintln!("error: {error}");
    Exit::ERROR
}

/// The same call may succeed later: the connection failed, or the server says so.
pub(crate) fn is_transient(status: &Status) -> bool {
    // Only a status made on this side has a source: the transport failed.
    status.code() == Code::Unavailable || status.source().is_some()
}

/// The machine-readable reason, when the server gave one.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The deepest cause: the layers above it say "transport error".
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    // A status prints its metadata too.
    let text =
        deepest.downcast_ref::<Status>().map_or_else(|| deepest.to_string(), |status| status.message().to_owned());
    console::printable(&text).into_owned()
}

/// The server's message and its reason: `… is not held by nodeb (NOT_HOLDER)`.
pub(crate) fn describe(status: &Status) -> String {
    let message = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    let message = console::printable(message);
    match reason(status) {
        Some(reason) => format!("{message} ({reason})"),
        None => format!("{message} ({:?})", status.code()),
    }
}

fn is_unreachable(status: &Status) -> bool {
    is_transient(status) && reason(status).is_none()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refusal(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "steward", std::collections::HashMap::new());
        Status::with_error_details(code, "lock pull/a is not held by b", details)
    }

    #[test]
    fn a_refusal_is_the_message_and_the_reason() {
        let error = Error::of_call("http://a", refusal(Code::FailedPrecondition, "NOT_HOLDER"));
        assert_eq!(error.to_string(), "lock pull/a is not held by b (NOT_HOLDER)");
    }

    #[test]
    fn without_a_reason_the_code_is_told() {
        let error = Error::of_call("http://a", Status::unimplemented(""));
        assert_eq!(error.to_string(), "Operation is not implemented or not supported (Unimplemented)");
    }

    #[test]
    fn an_unreachable_server_is_named_with_what_to_do() {
        let error = Error::of_call("http://127.0.0.1:1", Status::unavailable("connection refused"));
        assert_eq!(
            error.to_string(),
            "cannot reach a server at http://127.0.0.1:1 (connection refused); start one with `steward serve`, or name \
             another with --server"
        );
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(report(&error), Exit::DONE);
    }

    #[test]
    fn a_busy_server_is_reached_and_may_be_asked_again() {
        let busy = refusal(Code::Unavailable, "BUSY");
        assert!(is_transient(&busy));
        assert!(matches!(Error::of_call("http://a", busy), Error::Refused(_)));
    }
}
