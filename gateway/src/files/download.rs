//! `GET` and `HEAD` of a file.
//!
//! Quirk: a range that makes no sense is 416: a client that asked for a part would take the whole for it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
};
use http::{HeaderMap, StatusCode};
use steward_proto::artifact::v1::{DownloadBlobRequest, File, GetFileRequest, ImageName};

use super::path::FileName;
use super::refusal::Refusal;
use super::{Asked, value};
use crate::blobs;
use crate::content::{Content, Extent};
use crate::direct::Pieces;
use crate::go::query;
use crate::range::{self, Range};

/// How often a file is looked up that is replaced while it is opened.
const ATTEMPTS: usize = 3;

/// Which bytes a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From an offset, so many.
    Part(i64, Option<i64>),
    /// None that there are.
    Nothing,
}

/// Reads a file or a part of it.
pub(super) async fn get(asked: &Asked, name: FileName) -> Result<Response, Refusal> {
    for _ in 1..ATTEMPTS {
        let file = find(asked, &name).await?;
        if let Some(response) = opened(asked, &name, file).await? {
            return Ok(response);
        }
    }
    Err(Refusal::missing(&name.path))
}

/// Tells what a file is.
pub(super) async fn head(asked: &Asked, name: FileName) -> Result<Response, Refusal> {
    let file = find(asked, &name).await?;
    if is_known(asked, &file) {
        return Ok((StatusCode::NOT_MODIFIED, identifying(&file)).into_response());
    }
    let mut headers = describing(asked, &name, &file);
    headers.insert(CONTENT_LENGTH, size(&file).into());
    Ok((StatusCode::OK, headers).into_response())
}

/// The checksums of a file as headers.
pub(super) fn checksums(file: &File) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, checksum) in
        [("x-checksum-sha256", &file.sha256), ("x-checksum-md5", &file.md5), ("x-checksum-crc64ecma", &file.crc64ecma)]
    {
        let checksum = value(checksum).filter(|checksum| !checksum.is_empty());
        headers.extend(checksum.map(|checksum| (HeaderName::from_static(name), checksum)));
    }
    headers
}

/// Answers with the bytes of a file; `None` when it was replaced, and they are gone.
async fn opened(asked: &Asked, name: &FileName, file: File) -> Result<Option<Response>, Refusal> {
    if is_known(asked, &file) {
        return Ok(Some((StatusCode::NOT_MODIFIED, identifying(&file)).into_response()));
    }
    let (offset, length) = match wanted(asked, &file) {
        Wanted::All => (None, None),
        Wanted::Part(offset, length) => (Some(offset), length),
        Wanted::Nothing => return Err(Refusal::unsatisfiable(size(&file))),
    };
    let Some((extent, pieces)) = download(asked, &file, offset, length).await? else { return Ok(None) };
    let mut headers = describing(asked, name, &file);
    headers.insert(CONTENT_LENGTH, extent.length.into());
    let mut status = StatusCode::OK;
    if offset.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        headers.insert(CONTENT_RANGE, extent.header());
    }
    let content = Content::new(pieces, &extent, asked.common.caller.clone());
    Ok(Some((status, headers, Body::from_stream(content.into_chunks())).into_response()))
}

async fn download(
    asked: &Asked,
    file: &File,
    offset: Option<i64>,
    length: Option<i64>,
) -> Result<Option<(Extent, Pieces)>, Refusal> {
    let call = asked.call("DownloadBlob");
    let repository =
        ImageName { project: file.project.clone(), repository: file.repository.clone(), image: String::new() };
    let digest = format!("sha256:{}", file.sha256);
    let message = DownloadBlobRequest { name: Some(repository), digest, offset, length, path: file.path.clone() };
    match blobs::download(asked.client(), &call, message).await {
        Ok(opened) => opened.map(Some).ok_or_else(|| Refusal::broken(&call, "no start, or one of nothing asked")),
        Err(failure) if failure.info().is_some_and(|info| info.reason == "BLOB_NOT_FOUND") => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

async fn find(asked: &Asked, name: &FileName) -> Result<File, Refusal> {
    let call = asked.call("GetFile");
    let FileName { project, repository, path } = name.clone();
    let request = GetFileRequest { project, repository, path };
    let found = call.run(asked.client().get_file(call.request(request))).await?.file;
    let file = found.ok_or_else(|| Refusal::broken(&call, "no file"))?;
    if file.folder { Err(Refusal::missing(&name.path)) } else { Ok(file) }
}

fn wanted(asked: &Asked, file: &File) -> Wanted {
    let is_same = asked.header(IF_RANGE).is_none_or(|condition| condition == format!("\"{}\"", file.sha256));
    match range::requested(&asked.parts.headers) {
        Ok(None) => Wanted::All,
        _ if !is_same => Wanted::All,
        Ok(Some(Range::Offsets { first, .. })) if first >= file.size => Wanted::Nothing,
        Ok(Some(Range::Suffix(_))) if file.size == 0 => Wanted::Nothing,
        Ok(Some(Range::Suffix(length))) if length >= file.size => Wanted::Part(0, None),
        Ok(Some(range)) => blobs::part(range).map_or(Wanted::Nothing, |(offset, length)| Wanted::Part(offset, length)),
        Err(range::Malformed) => Wanted::Nothing,
    }
}

fn is_known(asked: &Asked, file: &File) -> bool {
    let known = asked.header(IF_NONE_MATCH).unwrap_or_default();
    known.split(',').map(str::trim).any(|tag| {
        tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == file.sha256 && !file.sha256.is_empty()
    })
}

fn identifying(file: &File) -> HeaderMap {
    let mut headers = checksums(file);
    headers.extend(value(&format!("\"{}\"", file.sha256)).map(|tag| (ETAG, tag)));
    // The epoch, where it is none that there can be.
    let modified = file.modify_time.unwrap_or_default();
    let modified = jiff::Timestamp::new(modified.seconds, modified.nanos).unwrap_or_default();
    let modified = modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    headers.extend(value(&modified).map(|time| (LAST_MODIFIED, time)));
    headers
}

fn describing(asked: &Asked, name: &FileName, file: &File) -> HeaderMap {
    let mut headers = identifying(file);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if query::first(asked.parts.uri.query().unwrap_or_default(), "download") == "true" {
        headers.extend(value(&disposition(name.name())).map(|disposition| (CONTENT_DISPOSITION, disposition)));
    }
    headers
}

/// Has a browser save the file under its name.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) { c } else { '_' }).collect();
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let escaped: String = name.bytes().map(escape).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}")
}

fn size(file: &File) -> u64 {
    u64::try_from(file.size).unwrap_or(0)
}
