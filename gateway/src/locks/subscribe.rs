//! `GET /lock/subscribe`: learn of a success or a hand-over by server-sent events.
//!
//! Quirk: the text about missing parameters names them, other than at the other endpoints.
//! Quirk: the headers are those of the original, `Connection` included.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use steward_proto::lock::v1::WatchRequest;

use super::Locks;
use super::request::Subject;
use super::subscription::Subscription;
use crate::answer::PlainError;
use crate::upstream::{Call, Caller, Failure, Reason};

/// For the start of the watch; the watch itself may take for ever.
const TIMEOUT: Duration = Duration::from_secs(10);

const INCOMPLETE: PlainError = PlainError::new(StatusCode::BAD_REQUEST, "缺少必要参数: type 和 resource_id");
const INVALID: PlainError = PlainError::new(StatusCode::BAD_REQUEST, "无效的参数: type 和 resource_id 最长 1024 字节");
const TOO_MANY: PlainError = PlainError::new(StatusCode::SERVICE_UNAVAILABLE, "订阅者过多，请稍后重试");

/// Handles `GET /lock/subscribe`.
pub(super) async fn subscribe(
    State(mut locks): State<Locks>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, PlainError> {
    let subject = Subject::from_query(&query.unwrap_or_default());
    if !subject.names_a_lock() {
        return Err(INCOMPLETE);
    }
    let (key, _) = subject.into_key_and_node();
    let call = Call::new("Watch", caller.clone(), TIMEOUT);
    let message = WatchRequest { key: Some(key.clone()), ..WatchRequest::default() };
    let watch = call.run(locks.client.watch(call.request(message))).await;
    let updates = watch.map_err(|failure| refusal(&failure))?;
    let frames = Subscription::new(key, caller.request_id().clone(), updates, locks.shutdown).into_frames();
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache"), (CONNECTION, "keep-alive")];
    Ok((headers, Body::from_stream(frames)).into_response())
}

fn refusal(failure: &Failure) -> PlainError {
    match failure.reason() {
        Some(Reason::InvalidArgument) => INVALID,
        Some(Reason::TooManyWatchers) => TOO_MANY,
        _ => failure.report(),
    }
}
