//! What a request is refused with: one table of reasons and codes.

use http::header::HeaderValue;
use tonic::Code as Rpc;
use tonic_types::StatusExt;

use super::action::Action;
use super::code::Code;
use crate::upstream::{Call, Failure};

/// Why a request failed, and the parameter that is to blame, if one is.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) field: Option<HeaderValue>,
    /// When to try again, in seconds, where that is all that is wrong.
    pub(super) retry_after: Option<HeaderValue>,
    /// It has not been said who asks, or not proved.
    pub(super) is_unknown: bool,
}

impl Refusal {
    /// A parameter is missing, or is not what it should be.
    pub(super) const fn malformed(parameter: &'static str) -> Self {
        Self::about(Code::Malformed, parameter)
    }

    /// The value of a parameter makes no sense.
    pub(super) const fn invalid(parameter: &'static str) -> Self {
        Self::about(Code::InvalidArgument, parameter)
    }

    const fn about(code: Code, parameter: &'static str) -> Self {
        let field = Some(HeaderValue::from_static(parameter));
        Self { code, field, retry_after: None, is_unknown: false }
    }

    /// Says what the failure of a call means that was made for `action`; logs it when the client is told nothing of it.
    pub(super) fn of(failure: &Failure, action: Action) -> Self {
        if failure.is_limit() || failure.is_login_limit() {
            return Self { retry_after: Some(failure.retry_after()), ..Code::TaskLimit.into() };
        }
        let info = failure.info();
        let told = info.as_ref().and_then(|info| told(&info.reason, action));
        let code = told.unwrap_or_else(|| {
            failure.report();
            in_general(failure.status().code())
        });
        let is_unknown = failure.status().code() == Rpc::Unauthenticated;
        Self { field: wrong_field(failure), is_unknown, ..code.into() }
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer);
        Code::Internal.into()
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self { code, field: None, retry_after: None, is_unknown: false }
    }
}

/// The code of a reason. `None` for those that are nothing to clients of this API.
fn told(reason: &str, action: Action) -> Option<Code> {
    let is_about_snapshots = matches!(action, Action::CreateSnapshot | Action::DeleteSnapshot);
    Some(match reason {
        "IS_DIRECTORY" if action == Action::CreateSnapshot => Code::Unsupported,
        "INVALID_ARGUMENT" | "INVALID_PATH" | "IS_DIRECTORY" => Code::InvalidArgument,
        "INVALID_USER" | "PERMISSION_DENIED" | "UNAUTHENTICATED" => Code::WrongUser,
        "NOT_FOUND" if action == Action::CancelSnapshot => Code::NotCancellable,
        "NOT_FOUND" => Code::NotFound,
        "ALREADY_EXISTS" => Code::Exists,
        "BAD_STATE" => match action {
            Action::DeleteFile => Code::InUse,
            Action::CancelSnapshot => Code::NotCancellable,
            _ => Code::BadState,
        },
        "NOT_A_DIRECTORY" => match action {
            Action::CreateFile | Action::Clone => Code::BadState,
            Action::ListFile => Code::InvalidArgument,
            // Nothing is below what is no directory.
            _ => Code::NotFound,
        },
        "DIRECTORY_NOT_EMPTY" | "SIZE_OUT_OF_RANGE" | "POOL_MISMATCH" | "NOT_SUPPORTED" | "DISK_FULL" => {
            Code::Unsupported
        }
        "HAS_SNAPSHOTS" => Code::HasSnapshots,
        "HAS_ERROR" => Code::HasError,
        "VOLUME_IN_USE" => Code::InUse,
        "SNAPSHOT_IN_USE" => Code::SnapshotInUse,
        "SNAPSHOT_INVALID" => Code::InvalidSnapshot,
        "PROTECTED" if is_about_snapshots => Code::SnapshotInUse,
        "PROTECTED" => Code::BadState,
        // A snapshot of another volume is no snapshot to go back to.
        "NAME_MISMATCH" if action == Action::Recover => Code::InvalidSnapshot,
        "NAME_MISMATCH" => Code::NameMismatch,
        "NOT_CANCELLABLE" => Code::NotCancellable,
        "TASK_UNFINISHED" => Code::TaskUnfinished,
        "SNAPSHOT_LIMIT" => Code::SnapshotLimit,
        "TASK_LIMIT" => Code::TaskLimit,
        "QUOTA_EXCEEDED" if is_about_snapshots => Code::SnapshotLimit,
        "QUOTA_EXCEEDED" => Code::Unsupported,
        "BUSY" | "SHUTTING_DOWN" | "UNAVAILABLE" => Code::Stopped,
        _ => return None,
    })
}

/// What is left to say of a failure without a reason that is in the table.
fn in_general(code: Rpc) -> Code {
    match code {
        Rpc::Unavailable => Code::Stopped,
        Rpc::Unimplemented => Code::Unsupported,
        Rpc::Unauthenticated | Rpc::PermissionDenied => Code::WrongUser,
        Rpc::Ok
        | Rpc::Cancelled
        | Rpc::Unknown
        | Rpc::InvalidArgument
        | Rpc::DeadlineExceeded
        | Rpc::NotFound
        | Rpc::AlreadyExists
        | Rpc::ResourceExhausted
        | Rpc::FailedPrecondition
        | Rpc::Aborted
        | Rpc::OutOfRange
        | Rpc::Internal
        | Rpc::DataLoss => Code::Internal,
    }
}

fn wrong_field(failure: &Failure) -> Option<HeaderValue> {
    let violations = failure.status().get_details_bad_request()?.field_violations;
    HeaderValue::try_from(violations.into_iter().next()?.field).ok()
}
