//! `GET` of one object or of a part of it.
//!
//! Quirk: `config` is always sent whole, whatever the range; restic asks for one.
//! Quirk: the answer ends with its last byte: restic waits for the end after it has all that it needs.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _, try_unfold};
use http::header::{CONTENT_RANGE, HeaderValue};
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::download_request::Range;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::{DownloadRequest, DownloadResponse, DownloadStart, ObjectKey, ObjectType};
use tonic::{Status, Streaming};
use tracing::warn;

use super::object::describing;
use super::refusal::Refusal;
use super::{Restic, TIMEOUT, range};
use crate::direct::{Direct, Pieces};
use crate::upstream::{Call, Caller};

/// Handles `GET /{path}/{type}/{name}` and `GET /{path}/config`.
pub(super) async fn get(
    mut restic: Restic,
    caller: Caller,
    key: ObjectKey,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let r#type = key.r#type();
    let range = if r#type == ObjectType::Config { None } else { range::requested(headers)? };
    let call = Call::new("Download", caller.clone(), TIMEOUT);
    let mut request = call.request(DownloadRequest { key: Some(key), range });
    let direct = Direct::<Pieces>::default();
    request.extensions_mut().insert(direct.clone());
    // The first message decides on the status, so it belongs to the call.
    let opened = call.run(async {
        let mut parts = restic.client.download(request).await?.into_inner();
        let first = parts.message().await?;
        Ok(tonic::Response::new((first, parts)))
    });
    let (first, parts) = opened.await?;
    let extent = Extent::of(first, range).ok_or_else(|| Refusal::broken(&call, "no start, or one of nothing asked"))?;

    let mut headers = describing(r#type, extent.length);
    let mut status = StatusCode::OK;
    if range.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        headers.insert(CONTENT_RANGE, extent.header());
    }
    let pieces = direct.take().unwrap_or_else(|| chunks(parts));
    let content = Content { pieces, remaining: extent.length, caller };
    Ok((status, headers, Body::from_stream(content.into_chunks())).into_response())
}

/// Which bytes of an object come.
#[derive(Debug, PartialEq, Eq)]
struct Extent {
    first: u64,
    length: u64,
    size: u64,
}

impl Extent {
    /// Reads the first message; `None` when it is none that answers the request.
    fn of(message: Option<DownloadResponse>, range: Option<Range>) -> Option<Self> {
        let Part::Start(DownloadStart { object, first, length }) = message?.part? else { return None };
        let [first, length, size] = [first, length, object?.size].map(|number| u64::try_from(number).ok());
        let extent = Self { first: first?, length: length?, size: size? };
        let is_inside = extent.first.checked_add(extent.length)? <= extent.size;
        let is_whole = extent.length == extent.size;
        // A part of no bytes could not be told in a header.
        let is_asked = if range.is_some() { extent.length > 0 } else { is_whole };
        (is_inside && is_asked).then_some(extent)
    }

    fn header(&self) -> HeaderValue {
        let Self { first, length, size } = self;
        let range = format!("bytes {first}-{}/{size}", first + length - 1);
        HeaderValue::try_from(range).expect("numbers are visible ASCII")
    }
}

/// The bytes of a download that come as messages.
fn chunks(parts: Streaming<DownloadResponse>) -> Pieces {
    let chunk = |message: Result<DownloadResponse, Status>| match message?.part {
        Some(Part::Chunk(chunk)) => Ok(chunk),
        _ => Err(Status::internal("no chunk")),
    };
    parts.map(chunk).boxed()
}

/// The bytes that are still to come.
struct Content {
    pieces: Pieces,
    remaining: u64,
    caller: Caller,
}

impl Content {
    /// Yields exactly the announced bytes, or at last an error, at which the server cuts the connection.
    fn into_chunks(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        try_unfold(self, |mut content| async move {
            // Counted, because the stream behind it may end later than its last byte comes.
            if content.remaining == 0 {
                return Ok(None);
            }
            let chunk = content.next().await.inspect_err(|status| {
                let (request_id, code, message) = (content.caller.request_id(), status.code(), status.message());
                warn!(%request_id, ?code, message, "a download broke off; its client is cut off too");
            })?;
            Ok(Some((chunk, content)))
        })
    }

    async fn next(&mut self) -> Result<Bytes, Status> {
        loop {
            let piece = self.pieces.next().await;
            let chunk = piece.ok_or_else(|| Status::data_loss("the object ended before its length"))??;
            let Some(remaining) = self.remaining.checked_sub(chunk.len() as u64) else {
                return Err(Status::data_loss("the object goes on behind its length"));
            };
            self.remaining = remaining;
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}
