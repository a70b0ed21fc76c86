//! `GET /api/v2/events`: what changes on the farm, as server-sent events.
//!
//! `tasks_update` and `workers_update` tell of every change; at first, of the tasks that are in progress and of all
//! workers. The id of an event is where to go on: a browser sends it back in `Last-Event-ID`, anybody else may send it
//! as `last_event_id` in the query. What is too long ago begins anew.
//!
//! Quirk: the names and the bodies are those of the original's socket; a task is created when it is claimed.

mod cursor;
mod frame;
mod subscription;
mod watches;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use self::cursor::Cursor;
use self::subscription::Subscription;
use self::watches::Watches;
use super::Farm;
use super::query::Query;
use super::refusal::Refusal;
use crate::upstream::Caller;

/// Handles `GET /api/v2/events`.
pub(super) async fn subscribe(
    State(farm): State<Farm>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(query.first("last_event_id"));
    let cursor = last.and_then(Cursor::read).unwrap_or_default();
    let (style, shutdown) = (farm.style().path_style, farm.shutdown.clone());
    let watches = Watches::open(farm, caller, cursor).await?;
    let frames = Subscription::new(watches, cursor, style, shutdown).into_frames();
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(frames)).into_response())
}
