//! `GET`, `HEAD` and `DELETE` of blobs.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use steward_proto::artifact::v1::{DeleteBlobRequest, DownloadBlobRequest, GetBlobRequest, ImageName};

use super::path::Digest;
use super::refusal::Refusal;
use super::{Asked, DIGEST, value};
use crate::blobs;
use crate::content::Content;
use crate::range;

/// Reads a blob or a part of it.
pub(super) async fn get(asked: &Asked, name: ImageName, digest: Digest) -> Result<Response, Refusal> {
    if is_known(asked, digest.as_str()) {
        size(asked, name, &digest).await?;
        return Ok((StatusCode::NOT_MODIFIED, identifying(digest.as_str())).into_response());
    }
    let part = match range::requested(&asked.parts.headers) {
        Ok(None) => None,
        Ok(Some(range)) => Some(blobs::part(range)),
        Err(range::Malformed) => Some(None),
    };
    let (offset, length) = match part {
        None => (None, None),
        Some(Some((offset, length))) => (Some(offset), length),
        // What is not there at all is 404 even so.
        Some(None) => return Err(Refusal::unsatisfiable(size(asked, name, &digest).await?)),
    };
    let call = asked.call("DownloadBlob");
    let digest_text = digest.as_str().to_owned();
    let message =
        DownloadBlobRequest { name: Some(name), digest: digest_text, offset, length, ..DownloadBlobRequest::default() };
    let opened = blobs::download(asked.client(), &call, message).await?;
    let (extent, pieces) = opened.ok_or_else(|| Refusal::broken(&call, "no start, or one of nothing asked"))?;

    let mut headers = describing(digest.as_str(), extent.length);
    let mut status = StatusCode::OK;
    if offset.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        headers.insert(CONTENT_RANGE, extent.header());
    }
    let content = Content::new(pieces, &extent, asked.caller.clone());
    Ok((status, headers, Body::from_stream(content.into_chunks())).into_response())
}

/// Tells how long a blob is.
pub(super) async fn head(asked: &Asked, name: ImageName, digest: Digest) -> Result<Response, Refusal> {
    let size = size(asked, name, &digest).await?;
    Ok((StatusCode::OK, describing(digest.as_str(), size)).into_response())
}

/// Takes a blob from an image.
pub(super) async fn delete(asked: &Asked, name: ImageName, digest: Digest) -> Result<Response, Refusal> {
    let call = asked.call("DeleteBlob");
    let request = DeleteBlobRequest { name: Some(name), digest: digest.as_str().to_owned() };
    call.run(asked.client().delete_blob(call.request(request))).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Tells whether the client says that it has what has this digest.
pub(super) fn is_known(asked: &Asked, digest: &str) -> bool {
    let known = asked.header(IF_NONE_MATCH).unwrap_or_default();
    known.split(',').any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == digest)
}

/// The headers that say what it is.
pub(super) fn identifying(digest: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.extend(value(digest).map(|digest| (DIGEST, digest)));
    headers.extend(value(&format!("\"{digest}\"")).map(|tag| (ETAG, tag)));
    headers
}

async fn size(asked: &Asked, name: ImageName, digest: &Digest) -> Result<u64, Refusal> {
    let call = asked.call("GetBlob");
    let request = GetBlobRequest { name: Some(name), digest: digest.as_str().to_owned() };
    let found = call.run(asked.client().get_blob(call.request(request))).await?;
    let size = found.blob.and_then(|blob| u64::try_from(blob.size).ok());
    size.ok_or_else(|| Refusal::broken(&call, "no blob, or one without a size"))
}

fn describing(digest: &str, length: u64) -> HeaderMap {
    let mut headers = identifying(digest);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers
}
