//! `GET /{path}/{type}/`: the names of all objects of one type, with their sizes.
//!
//! Quirk: version 2 is the default; version 1, names without sizes, is for those who accept exactly that.
//! Quirk: the content type is compared byte for byte by restic: no charset.
//! Quirk: no order is promised, and an empty list is `[]`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{once, try_unfold};
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use steward_proto::restic::v1::{ObjectType, StreamObjectsRequest};
use tonic::Status;
use tracing::warn;

use super::listing::{Frame, Listing, Version};
use super::refusal::Refusal;
use super::{Restic, TIMEOUT, gzip};
use crate::upstream::{Call, Caller};

const V1: &str = "application/vnd.x.restic.rest.v1";
const V2: &str = "application/vnd.x.restic.rest.v2";

/// Handles `GET /{path}/{type}/`.
pub(super) async fn list(
    mut restic: Restic,
    caller: Caller,
    repository: String,
    r#type: ObjectType,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let version = if headers.get(ACCEPT).is_some_and(|accept| accept == V1) { Version::One } else { Version::Two };
    let call = Call::new("StreamObjects", caller.clone(), TIMEOUT);
    let request = call.request(StreamObjectsRequest { repository, r#type: r#type.into() });
    // What comes first decides on the status, so it belongs to the call.
    let opened = call.run(async {
        let batches = restic.client.stream_objects(request).await?.into_inner();
        let mut listing = Listing::new(batches, version);
        let first = listing.next_frame().await?;
        Ok(tonic::Response::new((first, listing)))
    });
    let (first, listing) = opened.await?;

    let offers_gzip = restic.options.compress_lists && gzip::is_offered(headers);
    let mut answer = match first {
        Frame::Last(json) => json.into_response(),
        Frame::More(json) => {
            let rest = frames(listing, caller);
            let all = once(async { Ok(json) }).chain(rest);
            if offers_gzip { compressed(all) } else { Body::from_stream(all).into_response() }
        }
    };
    let answered = answer.headers_mut();
    answered.insert(CONTENT_TYPE, HeaderValue::from_static(if version == Version::One { V1 } else { V2 }));
    if restic.options.compress_lists {
        answered.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(answer)
}

/// Yields the rest of a list, and an error when it breaks off, at which the server cuts the connection.
fn frames(listing: Listing, caller: Caller) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    try_unfold((Some(listing), caller), |(listing, caller)| async move {
        let Some(mut listing) = listing else { return Ok(None) };
        let frame = listing.next_frame().await.inspect_err(|status| {
            let (request_id, code, problem) = (caller.request_id(), status.code(), status.message());
            warn!(%request_id, ?code, problem, "a list broke off; its client is cut off too");
        })?;
        Ok(Some(match frame {
            Frame::More(json) => (json, (Some(listing), caller)),
            Frame::Last(json) => (json, (None, caller)),
        }))
    })
}

fn compressed(frames: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Response {
    let headers = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
    (headers, Body::from_stream(gzip::compress(frames))).into_response()
}
