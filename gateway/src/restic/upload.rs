//! `POST` of one object.
//!
//! The end of the body alone never makes an object: the call says how many bytes there were, and only after the body has
//! come to its end as HTTP has it. A client that goes away leaves a call without that word, and nothing is stored.
//!
//! Quirk: what exists with the same bytes is answered as stored.

use std::pin::pin;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::{lazy, ready};
use futures::stream::{Stream, StreamExt as _, iter, once, poll_fn};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use steward_proto::restic::v1::upload_request::Part;
use steward_proto::restic::v1::{ObjectKey, UploadFinish, UploadRequest, UploadStart};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::Restic;
use super::refusal::Refusal;
use crate::direct::{Chunks, Direct};
use crate::incoming::{Incoming, Interruption};
use crate::upstream::{Call, Caller};

/// How many bytes a chunk has at most.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks may wait for the service. With the one that waits for room they make 1 MiB.
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
    let announced = announced(headers);
    if announced.is_some_and(|size| size > limit) {
        return Err(Fault::TooLong.into());
    }
    let call = Call::new("Upload", caller, TIMEOUT);
    let (chunks, direct) = mpsc::channel(DEPTH);
    let (finish, finished) = oneshot::channel();
    let direct = Direct::of(direct);
    let start = UploadStart { key: Some(key), size: announced.map(saturate) };
    let mut request = call.request(messages(start, direct.clone(), finished));
    request.extensions_mut().insert(direct);
    let mut answer = pin!(restic.client.upload(request));
    let mut early = None;
    let sent = tokio::select! {
        biased;
        answered = &mut answer => {
            early = Some(answered);
            Sent::Part
        }
        sent = forward(incoming, Whole { announced, limit }, chunks, finish) => sent?,
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

/// How long a whole body is.
#[derive(Clone, Copy, Debug)]
struct Whole {
    announced: Option<u64>,
    limit: u64,
}

/// Passes a body on, chunk by chunk. It is finished only if the body was whole.
async fn forward(
    incoming: &mut Incoming,
    whole: Whole,
    chunks: mpsc::Sender<Bytes>,
    finish: oneshot::Sender<UploadFinish>,
) -> Result<Sent, Fault> {
    let mut size = 0;
    if incoming.is_held_back() {
        sleep(CONSIDERATION).await;
    }
    while let Some(mut bytes) = incoming.next().await? {
        size += bytes.len() as u64;
        if size > whole.limit {
            return Err(Fault::TooLong);
        }
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            // When the service wants no more, its answer says why.
            if chunks.send(chunk).await.is_err() {
                return Ok(Sent::Part);
            }
        }
    }
    if whole.announced.is_some_and(|announced| announced != size) {
        return Err(Fault::WrongLength);
    }
    let finished = finish.send(UploadFinish { size: saturate(size) });
    Ok(if finished.is_ok() { Sent::All } else { Sent::Part })
}

/// The parts of an upload: all of them, or all but the chunks that the service has taken directly. Where the body was
/// not whole, nobody sends a finish, and there is none among the parts.
fn messages(
    start: UploadStart,
    direct: Direct<Chunks>,
    finish: oneshot::Receiver<UploadFinish>,
) -> impl Stream<Item = UploadRequest> + Send {
    let start = once(ready(Part::Start(start)));
    let left = once(lazy(move |_| direct.take())).flat_map(iter);
    let chunks = left.flat_map(|mut chunks| poll_fn(move |context| chunks.poll_recv(context)));
    let finish = once(finish).flat_map(iter);
    let parts = start.chain(chunks.map(Part::Chunk)).chain(finish.map(Part::Finish));
    parts.map(|part| UploadRequest { part: Some(part) })
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
