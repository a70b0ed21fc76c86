//! `GET /stream/source/{id}`: the file of a task's video, or a part of it, for a worker that does not reach it.
//!
//! Quirk: whatever is no single range is answered with the whole, as HTTP has it.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{Stream, try_unfold};
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use steward_proto::transcode::v1::{ReadSourceRequest, ReadSourceResponse};
use tonic::{Status, Streaming};
use tracing::warn;

use super::path::TaskId;
use super::query::Query;
use super::range::{self, Range};
use super::refusal::Refusal;
use super::transfer::Claim;
use super::{Farm, TIMEOUT};
use crate::upstream::{Call, Caller, Failure};

/// Handles `GET` and `HEAD /stream/source/{id}`.
pub(super) async fn read(
    State(farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut source = Source { farm, caller, claim: Claim::of(&id, &query)? };
    let asked = match range::requested(&headers) {
        Some(Range::Suffix(length)) => {
            let total = source.total().await?;
            Some((total.saturating_sub(length).max(0), None))
        }
        Some(Range::From(first, last)) => Some((first, last)),
        None => None,
    };
    let (first, last) = asked.unwrap_or_default();
    // Of an answer without a body, one byte is enough to know the rest.
    let limit = if method == Method::HEAD { 1 } else { last.map_or(0, |last| (last - first).saturating_add(1)) };
    let opened = match source.open(first, limit).await {
        Err(failure) if asked.is_some() && is_beyond_the_end(&failure) => Opened::default(),
        opened => opened?,
    };
    if asked.is_some() && first >= opened.total {
        return Err(unsatisfiable(source.total().await?));
    }
    let end = last.map_or(opened.total, |last| opened.total.min(last.saturating_add(1)));
    let mut answer = describing(end - first);
    if asked.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer.headers_mut().insert(CONTENT_RANGE, value(format!("bytes {first}-{}/{}", end - 1, opened.total)));
    }
    if method != Method::HEAD {
        let content = Content { opened, place: first, end, caller: source.caller };
        *answer.body_mut() = Body::from_stream(content.into_chunks());
    }
    Ok(answer)
}

/// The file of one task's video.
struct Source {
    farm: Farm,
    caller: Caller,
    claim: Claim,
}

impl Source {
    /// Opens it at an offset.
    async fn open(&mut self, offset: i64, limit: i64) -> Result<Opened, Failure> {
        let Claim { task_id, lease_token, worker_id } = self.claim.clone();
        let message = ReadSourceRequest { task_id, lease_token, worker_id, offset, limit };
        let call = Call::new("ReadSource", self.caller.clone(), TIMEOUT);
        // The first message decides on the status, so it belongs to the call.
        let opened = call.run(async {
            let mut parts = self.farm.videos.read_source(call.request(message)).await?.into_inner();
            let first = parts.message().await?;
            Ok(tonic::Response::new((first, parts)))
        });
        let (first, parts) = opened.await?;
        // An empty file need not have any part.
        Ok(Opened { total: first.as_ref().map_or(0, |part| part.total_bytes).max(0), first, rest: Some(parts) })
    }

    async fn total(&mut self) -> Result<i64, Failure> {
        Ok(self.open(0, 1).await?.total)
    }
}

/// A file whose first part is there.
#[derive(Default)]
struct Opened {
    total: i64,
    first: Option<ReadSourceResponse>,
    rest: Option<Streaming<ReadSourceResponse>>,
}

impl Opened {
    async fn next(&mut self) -> Result<Option<ReadSourceResponse>, Status> {
        match (self.first.take(), &mut self.rest) {
            (Some(part), _) => Ok(Some(part)),
            (None, Some(rest)) => rest.message().await,
            (None, None) => Ok(None),
        }
    }
}

/// The bytes that are still to come.
struct Content {
    opened: Opened,
    place: i64,
    end: i64,
    caller: Caller,
}

impl Content {
    /// Yields exactly the announced bytes, or at last an error, at which the server cuts the connection.
    fn into_chunks(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        try_unfold(self, |mut content| async move {
            let chunk = content.next().await.inspect_err(|status| {
                let (request_id, code, problem) = (content.caller.request_id(), status.code(), status.message());
                warn!(%request_id, ?code, problem, "a source broke off; its worker is cut off too");
            })?;
            Ok(chunk.map(|chunk| (chunk, content)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while self.place < self.end {
            let part = self.opened.next().await?;
            let part = part.ok_or_else(|| Status::data_loss("the source ended before its length"))?;
            let length = i64::try_from(part.chunk.len()).unwrap_or(i64::MAX);
            if part.offset != self.place || length > self.end - self.place {
                return Err(Status::data_loss("a part of the source is not the next one"));
            }
            self.place += length;
            if length > 0 {
                return Ok(Some(part.chunk));
            }
        }
        Ok(None)
    }
}

fn is_beyond_the_end(failure: &Failure) -> bool {
    failure.info().is_some_and(|info| info.reason == "WRONG_OFFSET")
}

fn unsatisfiable(total: i64) -> Refusal {
    let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "请求的范围无效");
    refusal.with(CONTENT_RANGE, value(format!("bytes */{total}")))
}

fn describing(length: i64) -> Response {
    let headers = [
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (CONTENT_LENGTH, HeaderValue::from(length)),
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
    ];
    (headers, Body::empty()).into_response()
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("numbers are visible ASCII")
}
