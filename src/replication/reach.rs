//! Whether a target is there.

use async_trait::async_trait;

use super::error::Error;
use super::target::TargetError;

/// What answers at a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// A registry, over HTTP. Any status is an answer.
    Registry,
    /// Another Steward, over gRPC.
    Steward,
}

/// Asks targets whether they are there.
#[async_trait]
pub(super) trait Reach: Send + Sync {
    /// Asks whether `peer` is at a URL. `certificate` are certificates in PEM that are trusted beside those of the system.
    ///
    /// [`TargetError::Tls`] means that the certificate there is not trusted: a service that speaks no TLS at all is
    /// [`TargetError::Unreachable`], after which `http` is tried where the URL left that open.
    async fn reach(&self, peer: Peer, url: &str, certificate: &str) -> Result<(), TargetError>;
}

/// Why a target was not reached, as an answer to who asked for it. `name` is what the older API calls it.
pub(super) fn refusal(name: &str, error: TargetError) -> Error {
    let name = name.to_owned();
    match error {
        TargetError::Tls(problem) => Error::Tls { name, problem },
        TargetError::Forbidden(problem) => Error::TargetForbidden(problem),
        TargetError::Unreachable(problem)
        | TargetError::Denied(problem)
        | TargetError::Busy { problem, .. }
        | TargetError::Refused(problem)
        | TargetError::Mismatch(problem)
        | TargetError::Source(problem) => Error::Unreachable { name, problem },
        TargetError::Cancelled => Error::ShuttingDown,
    }
}
