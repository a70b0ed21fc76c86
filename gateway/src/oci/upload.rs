//! Uploads of blobs: at once, in parts, or by taking what another image has.
//!
//! Quirk: the bytes of a `PATCH` or `PUT` without `Content-Range` go wherever the upload ends.
//! Quirk: an upload without bytes says `0-0`, as other registries do: a range of none cannot be written.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_RANGE, HeaderName, HeaderValue, LOCATION, RANGE};
use http::{HeaderMap, StatusCode};
use steward_proto::artifact::v1::write_upload_request::Part;
use steward_proto::artifact::v1::{
    CancelUploadRequest, FinishUploadRequest, GetUploadRequest, ImageName, MountBlobRequest, StartUploadRequest,
    Upload, WriteFinish, WriteStart, WriteUploadRequest,
};
use tonic::Code;

use super::path::{self, Digest, UploadName};
use super::refusal::Refusal;
use super::{Asked, DIGEST, UPLOAD_TIMEOUT, value};
use crate::feed::{self, Fault, Messages, Sent, Whole};
use crate::go::query;
use crate::incoming::Incoming;
use crate::upstream::Call;

const UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Handles `POST /v2/{name}/blobs/uploads/`.
pub(super) async fn start(asked: &Asked, name: ImageName, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let mount = query::first(asked.query(), "mount");
    if !mount.is_empty() {
        return match self::mount(asked, &name, &mount).await? {
            Some(response) => Ok(response),
            None => begin(asked, &name).await,
        };
    }
    let digest = query::first(asked.query(), "digest");
    if digest.is_empty() { begin(asked, &name).await } else { whole(asked, name, &digest, incoming).await }
}

/// Handles `PATCH` of an upload.
pub(super) async fn append(asked: &Asked, upload: UploadName, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let written = write(asked, &upload, incoming).await?;
    let headers = progress(&upload, offset(&written));
    Ok((StatusCode::ACCEPTED, headers).into_response())
}

/// Handles `PUT` of an upload: the last bytes, if there are any, and the end.
pub(super) async fn finish(asked: &Asked, upload: UploadName, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let digest = Digest::parse(&query::first(asked.query(), "digest"))?;
    if incoming.length() != Some(0) {
        write(asked, &upload, incoming).await?;
    }
    end(asked, upload, digest).await
}

/// Handles `GET` of an upload: where to go on.
pub(super) async fn status(asked: &Asked, upload: UploadName) -> Result<Response, Refusal> {
    let call = asked.call("GetUpload");
    let request = GetUploadRequest { upload_id: upload.id.clone(), target: Some(upload.image.clone()) };
    let found = call.run(asked.client().get_upload(call.request(request))).await?.upload;
    let found = found.ok_or_else(|| Refusal::broken(&call, "no upload"))?;
    Ok((StatusCode::NO_CONTENT, progress(&upload, offset(&found))).into_response())
}

/// Handles `DELETE` of an upload.
pub(super) async fn cancel(asked: &Asked, upload: UploadName) -> Result<Response, Refusal> {
    let call = asked.call("CancelUpload");
    let request = CancelUploadRequest { upload_id: upload.id, target: Some(upload.image) };
    call.run(asked.client().cancel_upload(call.request(request))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes a blob from another image, or from any. `None` when that cannot be done: then it is uploaded.
async fn mount(asked: &Asked, name: &ImageName, digest: &str) -> Result<Option<Response>, Refusal> {
    let Ok(digest) = Digest::parse(digest) else { return Ok(None) };
    let from = match query::first(asked.query(), "from").as_str() {
        "" => None,
        from => match path::parse_name(from) {
            Ok(from) => Some(from),
            Err(_) => return Ok(None),
        },
    };
    let call = asked.call("MountBlob");
    let request = MountBlobRequest { name: Some(name.clone()), digest: digest.as_str().to_owned(), from };
    match call.run(asked.client().mount_blob(call.request(request))).await {
        Ok(_) => Ok(Some(created(name, &digest))),
        // Whose fault it is turns out when an upload is begun.
        Err(failure) => match failure.status().code() {
            Code::NotFound | Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition => Ok(None),
            _ => Err(failure.into()),
        },
    }
}

async fn begin(asked: &Asked, name: &ImageName) -> Result<Response, Refusal> {
    let call = asked.call("StartUpload");
    let request = StartUploadRequest { target: Some(name.clone()), ..StartUploadRequest::default() };
    let upload = call.run(asked.client().start_upload(call.request(request))).await?.upload;
    let upload = upload.ok_or_else(|| Refusal::broken(&call, "no upload"))?;
    let begun = UploadName { image: name.clone(), id: upload.id.clone() };
    Ok((StatusCode::ACCEPTED, progress(&begun, offset(&upload))).into_response())
}

/// Takes a blob that is the body of the request that begins its upload.
async fn whole(asked: &Asked, name: ImageName, digest: &str, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let digest = Digest::parse(digest)?;
    let limit = asked.registry.options.artifacts.max_blob_bytes;
    let announced = Whole::announced(&asked.parts.headers, limit)?.announced;
    let call = asked.call("StartUpload");
    let request = StartUploadRequest {
        target: Some(name.clone()),
        digest: digest.as_str().to_owned(),
        size: announced.map_or(0, feed::saturate),
    };
    let Some(upload) = call.run(asked.client().start_upload(call.request(request))).await?.upload else {
        // The bytes are there already.
        incoming.drain().await.map_err(Fault::from)?;
        return Ok(created(&name, &digest));
    };
    let upload = UploadName { image: name, id: upload.id };
    if let Err(refusal) = write(asked, &upload, incoming).await {
        // Its client does not know its name, so nobody would go on with it. If this fails, it is given up in time.
        let _ = cancel(asked, upload).await;
        return Err(refusal);
    }
    end(asked, upload, digest).await
}

/// Adds the body of a request to an upload.
async fn write(asked: &Asked, upload: &UploadName, incoming: &mut Incoming) -> Result<Upload, Refusal> {
    let range = content_range(asked)?;
    let limit = asked.registry.options.artifacts.max_blob_bytes;
    let mut whole = Whole::announced(&asked.parts.headers, limit)?;
    if let Some((first, last)) = range {
        let length = last - first + 1;
        if whole.announced.is_some_and(|announced| announced != length) {
            let message = "the body is not as long as Content-Range";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
        }
        whole.announced = Some(length);
    }
    let call = Call::new("WriteUpload", asked.caller.clone(), UPLOAD_TIMEOUT);
    let start = WriteStart {
        upload_id: upload.id.clone(),
        offset: range.map(|(first, _)| feed::saturate(first)),
        target: Some(upload.image.clone()),
    };
    let messages = Messages {
        start: WriteUploadRequest { part: Some(Part::Start(start)) },
        chunk: |bytes| WriteUploadRequest { part: Some(Part::Chunk(bytes)) },
        finish: |size| WriteUploadRequest { part: Some(Part::Finish(WriteFinish { size })) },
    };
    let (feed, outlet) = feed::open();
    let request = outlet.request(&call, messages);
    let mut client = asked.client();
    match feed.pour(incoming, whole, &call, Box::pin(client.write_upload(request))).await {
        Ok((written, Sent::All)) => written.upload.ok_or_else(|| Refusal::broken(&call, "no upload")),
        Ok((_, Sent::Part)) => Err(Refusal::broken(&call, "bytes were kept before all of them were sent")),
        Err(error) => Err(refused(upload, error)),
    }
}

async fn end(asked: &Asked, upload: UploadName, digest: Digest) -> Result<Response, Refusal> {
    let call = Call::new("FinishUpload", asked.caller.clone(), UPLOAD_TIMEOUT);
    let request = FinishUploadRequest {
        upload_id: upload.id,
        target: Some(upload.image.clone()),
        digest: digest.as_str().to_owned(),
    };
    call.run(asked.client().finish_upload(call.request(request))).await?;
    Ok(created(&upload.image, &digest))
}

/// Tells, beside a refusal, where to go on if the bytes were not those that come next.
fn refused(upload: &UploadName, error: feed::Error) -> Refusal {
    let feed::Error::Call(failure) = error else { return error.into() };
    let info = failure.info().filter(|info| info.reason == "UPLOAD_OFFSET");
    let offset = info.and_then(|info| info.metadata.get("offset")?.parse().ok());
    let refusal = Refusal::of(&failure);
    match offset {
        Some(offset) => progress(upload, offset).into_iter().fold(refusal, |refusal, (name, value)| match name {
            Some(name) => refusal.with(name, value),
            None => refusal,
        }),
        None => refusal,
    }
}

/// The first and the last byte that `Content-Range` names, as the protocol has it: `0-1023`, with or without a unit and
/// the size of the whole.
fn content_range(asked: &Asked) -> Result<Option<(u64, u64)>, Refusal> {
    let Some(header) = asked.parts.headers.get(CONTENT_RANGE) else { return Ok(None) };
    let parsed = header.to_str().ok().and_then(parse_content_range);
    let message = "Content-Range is not {first}-{last}";
    parsed.map(Some).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message))
}

fn parse_content_range(header: &str) -> Option<(u64, u64)> {
    let range = header.trim();
    let range = range.strip_prefix("bytes").map_or(range, |range| range.trim_start_matches(['=', ' ']));
    let range = range.split_once('/').map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let position = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (first, last) = (position(first)?, position(last)?);
    // Shorter than everything there is, so that lengths can be counted.
    (first <= last && last < u64::MAX).then_some((first, last))
}

fn offset(upload: &Upload) -> u64 {
    u64::try_from(upload.offset).unwrap_or(0)
}

/// The headers that say how far an upload is and where it goes on.
fn progress(upload: &UploadName, offset: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let location = format!("/v2/{}/blobs/uploads/{}", path::written(&upload.image), upload.id);
    headers.extend(value(&location).map(|location| (LOCATION, location)));
    let range = format!("0-{}", offset.saturating_sub(1));
    headers.insert(RANGE, HeaderValue::try_from(range).expect("numbers are visible ASCII"));
    headers.extend(value(&upload.id).map(|id| (UUID, id)));
    headers
}

fn created(name: &ImageName, digest: &Digest) -> Response {
    let mut headers = HeaderMap::new();
    let location = format!("/v2/{}/blobs/{}", path::written(name), digest.as_str());
    headers.extend(value(&location).map(|location| (LOCATION, location)));
    headers.extend(value(digest.as_str()).map(|digest| (DIGEST, digest)));
    (StatusCode::CREATED, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::parse_content_range;

    #[test]
    fn ranges_of_chunks_are_read() {
        for (header, expected) in [
            ("0-1023", Some((0, 1023))),
            ("bytes 5-5/*", Some((5, 5))),
            ("bytes=5-9/10", Some((5, 9))),
            ("", None),
            ("5", None),
            ("-5", None),
            ("5-", None),
            ("9-5", None),
            ("+1-5", None),
            ("0-1-2", None),
            ("0-18446744073709551615", None),
            ("bytes */10", None),
        ] {
            assert_eq!(parse_content_range(header), expected, "{header}");
        }
    }
}
