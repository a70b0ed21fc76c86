//! What an error of another Steward means.

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::super::local_calls::reason;
use super::super::TargetError;
use super::channel::Broken;

/// How much of a message is told.
const MAX_CHARACTERS: usize = 300;

/// What an error means for whoever copies to `name`.
pub(super) fn error(name: &str, status: &Status) -> TargetError {
    if let Some(Broken(error)) = status.source().and_then(|source| source.downcast_ref()) {
        return error.clone();
    }
    let said: String = status.message().chars().filter(|letter| !letter.is_control()).take(MAX_CHARACTERS).collect();
    let problem = format!("{name}: {said}");
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match (status.code(), reason(status).as_str()) {
        (Code::Unauthenticated | Code::PermissionDenied, _) => TargetError::Denied(problem),
        (_, "DIGEST_MISMATCH") => TargetError::Mismatch(problem),
        (_, "TOO_LARGE" | "DISK_FULL") => TargetError::Refused(problem),
        (Code::ResourceExhausted, _) | (_, "BUSY") => TargetError::Busy { problem, after },
        (Code::Unavailable, _) if after.is_some() => TargetError::Busy { problem, after },
        (
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal,
            _,
        )
        | (_, "UPLOAD_BROKEN_OFF") => TargetError::Unreachable(problem),
        (Code::Unimplemented, _) => TargetError::Refused(format!("{name} is not a Steward that takes artifacts")),
        (
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::DataLoss,
            _,
        ) => TargetError::Refused(problem),
    }
}
