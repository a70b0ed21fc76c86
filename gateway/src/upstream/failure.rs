//! What a failed call means.
//!
//! An API maps the reasons that it documents to its own answers and leaves the others to [`Failure::report`].

use http::{HeaderValue, StatusCode};
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt};
use tracing::{error, warn};

use super::RequestId;
use crate::answer::{CHALLENGE, PlainError};

const DOMAIN: &str = "steward";
/// What tonic says, with the code `Cancelled`, when a timeout of its own ends a call.
const TONIC_TIMEOUT: &str = "Timeout expired";

/// When to try again, in seconds, unless the service knows better: what will soon be over, and what had better calm down
/// first.
const RETRY_SECONDS: u64 = 1;
const RETRY_SECONDS_OF_LOGIN: u64 = 10;

const INTERNAL: PlainError = PlainError::new(StatusCode::INTERNAL_SERVER_ERROR, "内部错误");
const UNAVAILABLE: PlainError = PlainError::new(StatusCode::SERVICE_UNAVAILABLE, "服务暂时不可用，请稍后重试");
const TIMED_OUT: PlainError = PlainError::new(StatusCode::GATEWAY_TIMEOUT, "请求超时");

const UNAUTHORIZED: PlainError =
    PlainError::new(StatusCode::UNAUTHORIZED, "Unauthorized").with_header("www-authenticate", CHALLENGE);
const FORBIDDEN: PlainError = PlainError::new(StatusCode::FORBIDDEN, "Forbidden");
const TOO_MANY: PlainError = PlainError::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");

/// What the server says of one who asks too much, or logs in too often, whichever call it is.
const LIMITS: [&str; 3] = ["TOO_MANY_REQUESTS", "TOO_MANY_CALLS", "TOO_MANY_BYTES"];
const LOGIN_LIMIT: &str = "TOO_MANY_ATTEMPTS";

/// The reasons that the services give in `google.rpc.ErrorInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Busy,
    CapacityMismatch,
    InvalidArgument,
    LeaseExpired,
    ModeMismatch,
    NotFound,
    NotHolder,
    OutcomeNeedsExclusive,
    QueueFull,
    RequestEnded,
    RevisionCompacted,
    ShuttingDown,
    TooManyWatchers,
}

impl Reason {
    fn parse(reason: &str) -> Option<Self> {
        Some(match reason {
            "BUSY" => Self::Busy,
            "CAPACITY_MISMATCH" => Self::CapacityMismatch,
            "INVALID_ARGUMENT" => Self::InvalidArgument,
            "LEASE_EXPIRED" => Self::LeaseExpired,
            "MODE_MISMATCH" => Self::ModeMismatch,
            "NOT_FOUND" => Self::NotFound,
            "NOT_HOLDER" => Self::NotHolder,
            "OUTCOME_NEEDS_EXCLUSIVE" => Self::OutcomeNeedsExclusive,
            "QUEUE_FULL" => Self::QueueFull,
            "REQUEST_ENDED" => Self::RequestEnded,
            "REVISION_COMPACTED" => Self::RevisionCompacted,
            "SHUTTING_DOWN" => Self::ShuttingDown,
            "TOO_MANY_WATCHERS" => Self::TooManyWatchers,
            _ => return None,
        })
    }
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    rpc: &'static str,
    request_id: RequestId,
    status: Status,
}

impl Failure {
    pub(super) fn new(rpc: &'static str, request_id: RequestId, status: Status) -> Self {
        Self { rpc, request_id, status }
    }

    /// The reason that the service gave, if it is one of Steward's.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.info().and_then(|info| Reason::parse(&info.reason))
    }

    /// What the service gave as the reason, if it is Steward's: then the message of the status is meant for clients.
    pub(crate) fn info(&self) -> Option<ErrorInfo> {
        self.status.get_details_error_info().filter(|info| info.domain == DOMAIN)
    }

    /// What the service answered.
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// When to try again: when the service says, and not at once.
    pub(crate) fn retry_after(&self) -> HeaderValue {
        HeaderValue::from(self.retry_seconds())
    }

    fn retry_seconds(&self) -> u64 {
        let delay = self.status.get_details_retry_info().and_then(|info| info.retry_delay);
        let default = if self.is_login_limit() { RETRY_SECONDS_OF_LOGIN } else { RETRY_SECONDS };
        // Rounded up: who comes early is refused again.
        let seconds = delay.map_or(default, |delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0));
        seconds.max(RETRY_SECONDS)
    }

    /// Tells whether the caller asks too much at a time: the same call will do later.
    pub(crate) fn is_limit(&self) -> bool {
        self.status.code() == Code::ResourceExhausted && self.has_reason(&LIMITS)
    }

    /// Tells whether the caller has tried to log in too often.
    pub(crate) fn is_login_limit(&self) -> bool {
        self.has_reason(&[LOGIN_LIMIT])
    }

    /// Tells whether the caller is known and may not do it.
    pub(crate) fn is_denied(&self) -> bool {
        self.status.code() == Code::PermissionDenied
    }

    /// Tells whether the call was ended because it took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        match self.status.code() {
            Code::DeadlineExceeded => true,
            Code::Cancelled => self.status.message() == TONIC_TIMEOUT,
            _ => false,
        }
    }

    /// Logs the failure and answers it without telling what it was.
    pub(crate) fn report(&self) -> PlainError {
        let Self { rpc, request_id, status } = self;
        match status.code() {
            Code::Unavailable => {
                warn!(%request_id, rpc, problem = status.message(), "upstream is unavailable");
                UNAVAILABLE
            }
            _ if self.is_timeout() => self.report_timeout(),
            // The server has logged these, with the address of the client.
            Code::Unauthenticated => UNAUTHORIZED,
            Code::PermissionDenied => FORBIDDEN,
            // It counts these itself.
            Code::ResourceExhausted if self.is_limit() || self.is_login_limit() => {
                TOO_MANY.retry_after(self.retry_seconds())
            }
            code => {
                error!(%request_id, rpc, ?code, problem = status.message(), "upstream failed");
                INTERNAL
            }
        }
    }

    fn has_reason(&self, reasons: &[&str]) -> bool {
        self.info().is_some_and(|info| reasons.contains(&info.reason.as_str()))
    }

    fn report_timeout(&self) -> PlainError {
        let Self { rpc, request_id, status } = self;
        warn!(%request_id, rpc, problem = status.message(), "upstream did not answer in time");
        TIMED_OUT
    }
}
