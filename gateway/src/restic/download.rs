//! `GET` of one object or of a part of it.
//!
//! Quirk: `config` is always sent whole, whatever the range; restic asks for one.
//! Quirk: the answer ends with its last byte: restic waits for the end after it has all that it needs.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_RANGE;
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::download_request;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::{DownloadRequest, DownloadResponse, DownloadStart, ObjectKey, ObjectType, OffsetRange};

use super::object::describing;
use super::refusal::Refusal;
use super::{Restic, TIMEOUT};
use crate::content::{Asked, Content, Extent, chunks};
use crate::direct::{Direct, Pieces};
use crate::range::{self, Range};
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
    let mut request = call.request(DownloadRequest { key: Some(key), range: range.map(Into::into) });
    let direct = Direct::<Pieces>::default();
    request.extensions_mut().insert(direct.clone());
    // The first message decides on the status, so it belongs to the call.
    let opened = call.run(async {
        let mut parts = restic.client.download(request).await?.into_inner();
        let first = parts.message().await?;
        Ok(tonic::Response::new((first, parts)))
    });
    let (first, parts) = opened.await?;
    let asked = if range.is_some() { Asked::Part } else { Asked::All };
    let extent = extent(first, asked).ok_or_else(|| Refusal::broken(&call, "no start, or one of nothing asked"))?;

    let mut headers = describing(r#type, extent.length);
    let mut status = StatusCode::OK;
    if range.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        headers.insert(CONTENT_RANGE, extent.header());
    }
    let pieces = direct.take().unwrap_or_else(|| chunks(parts, chunk));
    let content = Content::new(pieces, &extent, caller);
    Ok((status, headers, Body::from_stream(content.into_chunks())).into_response())
}

/// Reads the first message; `None` when it is none that answers the request.
fn extent(message: Option<DownloadResponse>, asked: Asked) -> Option<Extent> {
    let Part::Start(DownloadStart { object, first, length }) = message?.part? else { return None };
    Extent::of(first, length, object?.size, asked)
}

fn chunk(message: DownloadResponse) -> Option<bytes::Bytes> {
    match message.part {
        Some(Part::Chunk(chunk)) => Some(chunk),
        _ => None,
    }
}

impl From<Range> for download_request::Range {
    fn from(range: Range) -> Self {
        match range {
            Range::Offsets { first, last } => Self::Offsets(OffsetRange { first, last }),
            Range::Suffix(length) => Self::SuffixLength(length),
        }
    }
}
