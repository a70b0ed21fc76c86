//! `/stream/result/{id}`: what a worker made of a video, for a worker that does not reach its place.
//!
//! A body belongs behind what the server has already, which `GET` and `HEAD` tell. `Content-Range` or `offset` in the
//! query says where it belongs; the last one needs the digest of the whole, in `sha256` or in `X-Content-Sha256`. A
//! body that breaks off is never taken for a whole one. A result that has its place already is answered as the first
//! time, however little of its body was read: when all bytes of it are there, the service is sent the digest alone.

use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::stream::{iter, poll_fn};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::request::Parts;
use http::{StatusCode, Version};
use serde::Serialize;
use steward_proto::transcode::v1::{GetResultRequest, WriteResultRequest, WriteResultResponse};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::path::TaskId;
use super::query::Query;
use super::range::{self, Extent};
use super::refusal::Refusal;
use super::transfer::Claim;
use super::{Farm, TIMEOUT, answer, row};
use crate::incoming::{Incoming, Interruption};
use crate::upstream::{Call, Caller};

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const DIGEST: &str = "x-content-sha256";
/// How many bytes a chunk has at most.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks may wait for the service. With the one that waits for room they make 1 MiB.
const DEPTH: usize = 3;
/// How long the service may take once it has all bytes: it probes the result and moves it to its place.
const FINISH_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a refusal is waited for before a worker is asked for the body that it holds back.
const CONSIDERATION: Duration = Duration::from_millis(100);

const NOWHERE: &str = "a result was neither stored nor refused";

const BROKEN: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "请求体不完整");
const IDLE: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "请求体传输超时");

#[derive(Serialize)]
struct Offset {
    offset: i64,
}

#[derive(Serialize)]
struct Stored {
    size: i64,
    video_path: String,
}

/// Handles `GET` and `HEAD /stream/result/{id}`.
pub(super) async fn progress(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    query: Query,
) -> Result<Response, Refusal> {
    let offset = offset(&mut farm, caller, Claim::of(&id, &query)?).await?;
    Ok(told(StatusCode::OK, answer::FOUND, offset))
}

async fn offset(farm: &mut Farm, caller: Caller, claim: Claim) -> Result<i64, Refusal> {
    let Claim { task_id, lease_token, worker_id } = claim;
    let call = Call::new("GetResult", caller, TIMEOUT);
    let message = GetResultRequest { task_id, lease_token, worker_id };
    Ok(call.run(farm.videos.get_result(call.request(message))).await?.offset)
}

fn told(status: StatusCode, message: &str, offset: i64) -> Response {
    let mut response = answer::with(status, message, Offset { offset });
    response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    response
}

/// Handles `PUT /stream/result/{id}`.
pub(super) async fn write(
    State(farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    query: Query,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming::new(body, &parts, &farm.options);
    let shutdown = farm.shutdown.clone();
    let answered = match Upload::of(&id, &query, &parts) {
        Ok(upload) => store(farm, caller, upload, &mut incoming).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answered.into_response();
    // On HTTP/2 a stream is closed, never the connection that others share.
    if !incoming.is_left_open() && parts.version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    incoming.linger(shutdown);
    response
}

/// What a request says of its body.
struct Upload {
    claim: Claim,
    extension: String,
    offset: i64,
    /// Where the body has to end, if it says so.
    end: Option<i64>,
    /// The digest of the whole, if this is its last part.
    sha256: Option<Bytes>,
}

impl Upload {
    fn of(id: &TaskId, query: &Query, parts: &Parts) -> Result<Self, Refusal> {
        let extent = range::sent(&parts.headers).map_err(|_| Refusal::wrong("content-range"))?;
        let sha256 = digest(query, parts)?;
        // A digest of the whole comes with its last part, and may come with any.
        let is_last = match extent {
            Some(Extent { end, total: Some(total), .. }) => end == total,
            Some(Extent { total: None, .. }) => sha256.is_some(),
            None => true,
        };
        if is_last && sha256.is_none() {
            return Err(Refusal::incomplete("sha256"));
        }
        let offset = match extent {
            Some(extent) => extent.first,
            None if query.first("offset").is_none() => 0,
            None => query.whole("offset").filter(|offset| *offset >= 0).ok_or_else(|| Refusal::wrong("offset"))?,
        };
        Ok(Self {
            claim: Claim::of(id, query)?,
            extension: query.first("extension").unwrap_or_default().to_owned(),
            offset,
            end: extent.map(|extent| extent.end),
            sha256: sha256.filter(|_| is_last),
        })
    }

    /// Where the whole ends, if that is known before all of its last part has come.
    fn whole(&self, incoming: &Incoming) -> Option<i64> {
        self.sha256.as_ref()?;
        self.end.or_else(|| self.offset.checked_add(i64::try_from(incoming.length()?).ok()?))
    }

    fn first_message(&self) -> WriteResultRequest {
        let Claim { task_id, lease_token, worker_id } = self.claim.clone();
        let (extension, offset) = (self.extension.clone(), self.offset);
        WriteResultRequest { task_id, lease_token, worker_id, extension, offset, ..WriteResultRequest::default() }
    }
}

fn digest(query: &Query, parts: &Parts) -> Result<Option<Bytes>, Refusal> {
    let header = parts.headers.get(DIGEST).map(|value| value.to_str().unwrap_or_default());
    let Some(digits) = query.first("sha256").or(header) else { return Ok(None) };
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Refusal::wrong("sha256"));
    }
    let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).expect("they are two digits");
    Ok(Some((0..64).step_by(2).map(byte).collect()))
}

async fn store(mut farm: Farm, caller: Caller, upload: Upload, incoming: &mut Incoming) -> Result<Response, Refusal> {
    let call = Call::new("WriteResult", caller.clone(), FINISH_TIMEOUT);
    let mut client = farm.videos.clone();
    // Either an answer was lost, and is given again, or an upload broke off just before its digest.
    if let Some(end) = upload.whole(incoming)
        && offset(&mut farm, caller.clone(), upload.claim.clone()).await? == end
    {
        let sha256 = upload.sha256.clone().unwrap_or_default();
        let only = WriteResultRequest { offset: end, sha256, ..upload.first_message() };
        let stored = call.run(client.write_result(call.request(iter([only])))).await?;
        return placed(&farm, &stored).ok_or_else(|| Refusal::broken(&call, NOWHERE));
    }
    let (sender, mut receiver) = mpsc::channel(DEPTH);
    let messages = poll_fn(move |context| receiver.poll_recv(context));
    let mut answer = pin!(client.write_result(call.request(messages)));
    let mut early = None;
    let end = tokio::select! {
        biased;
        answered = &mut answer => {
            early = Some(answered);
            None
        }
        end = forward(incoming, &upload, sender) => end?,
    };
    let answered = async {
        match early {
            Some(answered) => answered,
            None => answer.await,
        }
    };
    let answered = call.run(answered).await;
    // When it is said so before the end, that very result was there before.
    if let Some(response) = answered.as_ref().ok().and_then(|stored| placed(&farm, stored)) {
        return Ok(response);
    }
    match (answered, end) {
        // Without the digest the upload is not over, whatever the service calls that. What it has, it has.
        (answered, Some(end)) if upload.sha256.is_none() => {
            if offset(&mut farm, caller, upload.claim).await? == end {
                return Ok(told(StatusCode::ACCEPTED, "已接收部分数据", end));
            }
            answered?;
            Err(Refusal::broken(&call, "a part was not kept"))
        }
        (answered, _) => {
            answered?;
            Err(Refusal::broken(&call, NOWHERE))
        }
    }
}

/// The answer to a result that has its place.
fn placed(farm: &Farm, stored: &WriteResultResponse) -> Option<Response> {
    if stored.video_path.is_empty() {
        return None;
    }
    let video_path = row::video_path(&stored.video_path, farm.style().path_style);
    Some(answer::with(StatusCode::OK, "上传成功", Stored { size: stored.size_bytes, video_path }))
}

/// Passes a body on, chunk by chunk, and answers where it ended; `None` when the service wanted no more of it.
async fn forward(
    incoming: &mut Incoming,
    upload: &Upload,
    messages: mpsc::Sender<WriteResultRequest>,
) -> Result<Option<i64>, Refusal> {
    if messages.send(upload.first_message()).await.is_err() {
        return Ok(None);
    }
    if incoming.is_held_back() {
        sleep(CONSIDERATION).await;
    }
    let mut offset = upload.offset;
    while let Some(mut bytes) = incoming.next().await? {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            let length = i64::try_from(chunk.len()).map_err(|_| BROKEN)?;
            let end = offset.checked_add(length).ok_or(BROKEN)?;
            if upload.end.is_some_and(|announced| end > announced) {
                return Err(BROKEN);
            }
            // When the service wants no more, its answer says why.
            if messages.send(WriteResultRequest { offset, chunk, ..WriteResultRequest::default() }).await.is_err() {
                return Ok(None);
            }
            offset = end;
        }
    }
    if upload.end.is_some_and(|announced| announced != offset) {
        return Err(BROKEN);
    }
    if let Some(sha256) = upload.sha256.clone() {
        let last = WriteResultRequest { offset, sha256, ..WriteResultRequest::default() };
        if messages.send(last).await.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(offset))
}

impl From<Interruption> for Refusal {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Broken => BROKEN,
            Interruption::Idle => IDLE,
        }
    }
}
