//! `POST` of one object.
//!
//! The end of the body alone never makes an object: the call says how many bytes there were, and only after the body has
//! come to its end as HTTP has it. A client that goes away leaves a call without that word, and nothing is stored.
//!
//! Quirk: what exists with the same bytes is answered as stored.

use std::pin::pin;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream::poll_fn;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::upload_request::Part;
use steward_proto::restic::v1::{ObjectKey, UploadFinish, UploadRequest, UploadStart};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;

use super::Restic;
use super::incoming::{Incoming, Interruption};
use super::refusal::Refusal;
use crate::upstream::{Call, Caller};

/// How many bytes a message has at most.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many messages may wait for the service. With the one that waits for room they make 1 MiB.
const DEPTH: usize = 3;
/// How long the service may take once it has all bytes: less than the five minutes that restic waits.
const TIMEOUT: Duration = Duration::from_mins(4);
/// How long a refusal is waited for before a client is asked for the body that it holds back.
const CONSIDERATION: Duration = Duration::from_millis(100);

/// Handles `POST /{path}/{type}/{name}` and `POST /{path}/config`.
pub(super) async fn store(
    mut restic: Restic,
    caller: Caller,
    key: ObjectKey,
    headers: &HeaderMap,
    incoming: &mut Incoming,
) -> Result<Response, Refusal> {
    let limit = restic.options.max_upload_bytes;
    let start = UploadStart { key: Some(key), size: announced(headers).map(saturate) };
    if announced(headers).is_some_and(|size| size > limit) {
        return Err(Fault::TooLong.into());
    }
    let call = Call::new("Upload", caller, TIMEOUT);
    let (parts, receiver) = mpsc::channel(DEPTH);
    let mut answer = pin!(restic.client.upload(call.request(messages(receiver))));
    let mut early = None;
    let sent = tokio::select! {
        biased;
        answered = &mut answer => {
            early = Some(answered);
            Sent::Part
        }
        sent = forward(incoming, parts, start, limit) => sent?,
    };
    let answered = async {
        match early {
            Some(answered) => answered,
            None => answer.await,
        }
    };
    let stored = call.run(answered).await?;
    if sent == Sent::Part {
        if !stored.already_existed {
            return Err(Refusal::broken(&call, "an object was stored before all of it was sent"));
        }
        incoming.drain().await.map_err(Fault::from)?;
    }
    Ok(StatusCode::OK.into_response())
}

/// How much of an object the service wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    All,
    Part,
}

/// Why an object is not stored, for all that the service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Interrupted(Interruption),
    TooLong,
    WrongLength,
}

/// Passes a body on, part by part. The last part is sent only if the body was whole.
async fn forward(
    incoming: &mut Incoming,
    parts: Sender<UploadRequest>,
    start: UploadStart,
    limit: u64,
) -> Result<Sent, Fault> {
    let announced = start.size;
    let mut size = 0;
    if send(&parts, Part::Start(start)).await.is_err() {
        return Ok(Sent::Part);
    }
    if incoming.is_held_back() {
        sleep(CONSIDERATION).await;
    }
    while let Some(mut bytes) = incoming.next().await? {
        size += bytes.len() as u64;
        if size > limit {
            return Err(Fault::TooLong);
        }
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            if send(&parts, Part::Chunk(chunk)).await.is_err() {
                return Ok(Sent::Part);
            }
        }
    }
    let size = saturate(size);
    if announced.is_some_and(|announced| announced != size) {
        return Err(Fault::WrongLength);
    }
    let finished = send(&parts, Part::Finish(UploadFinish { size })).await;
    Ok(if finished.is_ok() { Sent::All } else { Sent::Part })
}

/// Fails when the service wants no more; then its answer says why.
async fn send(parts: &Sender<UploadRequest>, part: Part) -> Result<(), SendError<UploadRequest>> {
    parts.send(UploadRequest { part: Some(part) }).await
}

fn messages(mut parts: Receiver<UploadRequest>) -> impl Stream<Item = UploadRequest> + Send {
    poll_fn(move |context| parts.poll_recv(context))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn saturate(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl From<Interruption> for Fault {
    fn from(interruption: Interruption) -> Self {
        Self::Interrupted(interruption)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Interrupted(Interruption::Broken) => Self::new(StatusCode::BAD_REQUEST, "body broke off").closing(),
            Fault::Interrupted(Interruption::Idle) => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "no more of the body came").closing()
            }
            Fault::TooLong => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "object is longer than this server takes"),
            Fault::WrongLength => Self::new(StatusCode::BAD_REQUEST, "body is not as long as announced").closing(),
        }
    }
}
