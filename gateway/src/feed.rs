//! The body of a request on its way into a call that takes bytes: a start, chunks, and a finish.
//!
//! The end of the body alone never ends the call well: the finish says how many bytes there were, and it is sent only
//! after the body has come to its end as HTTP has it. A client that goes away leaves a call without that word.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, lazy, ready};
use futures::stream::{BoxStream, StreamExt as _, iter, once, poll_fn};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use crate::direct::{Chunks, Direct};
use crate::incoming::{Incoming, Interruption};
use crate::upstream::{Call, Failure};

/// How many bytes a chunk has at most.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks may wait for the service. With the one that waits for room they make 1 MiB.
const DEPTH: usize = 3;
/// How long a refusal is waited for before a client is asked for the body that it holds back.
const CONSIDERATION: Duration = Duration::from_millis(100);

/// How much of a body the service wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    All,
    Part,
}

/// Why a body is not taken, for all that the service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Interrupted(Interruption),
    TooLong,
    WrongLength,
}

/// Why a call with a body did not succeed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The body was not whole.
    Body(Fault),
    /// The service refused it.
    Call(Failure),
}

/// How long a whole body is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) announced: Option<u64>,
    pub(crate) limit: u64,
}

impl Whole {
    /// As the headers announce it; an error when that is more than the limit.
    pub(crate) fn announced(headers: &HeaderMap, limit: u64) -> Result<Self, Fault> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|size: u64| size > limit) {
            Err(Fault::TooLong)
        } else {
            Ok(Self { announced, limit })
        }
    }
}

/// The end of a call where the body goes in.
pub(crate) struct Feed {
    chunks: mpsc::Sender<Bytes>,
    finish: oneshot::Sender<u64>,
}

/// The end of a call where messages come out.
pub(crate) struct Outlet {
    chunks: Direct<Chunks>,
    finish: oneshot::Receiver<u64>,
}

/// How the chunks and the finish become messages of a call.
pub(crate) struct Messages<M> {
    pub(crate) start: M,
    pub(crate) chunk: fn(Bytes) -> M,
    pub(crate) finish: fn(i64) -> M,
}

/// The two ends of what carries a body into a call.
pub(crate) fn open() -> (Feed, Outlet) {
    let (chunks, mut direct) = mpsc::channel(DEPTH);
    let direct = poll_fn(move |context| direct.poll_recv(context)).boxed();
    let (finish, finished) = oneshot::channel();
    (Feed { chunks, finish }, Outlet { chunks: Direct::of(direct), finish: finished })
}

impl Outlet {
    /// The request of the call: all parts, or all but the chunks that the service takes directly. Where the body was not
    /// whole, nobody sends a finish, and there is none among the parts.
    pub(crate) fn request<M: Send + 'static>(
        self,
        call: &Call,
        messages: Messages<M>,
    ) -> Request<BoxStream<'static, M>> {
        let Messages { start, chunk, finish } = messages;
        let direct = self.chunks.clone();
        let chunks = once(lazy(move |_| direct.take())).flat_map(iter).flatten();
        let finished = once(self.finish).flat_map(iter);
        let finished = finished.map(move |size| finish(saturate(size)));
        // The start goes alone: who reads it in front of the service must not set off what comes after it.
        let pause = once(yield_now()).filter_map(|()| ready(None));
        let parts = once(ready(start)).chain(pause).chain(chunks.map(chunk)).chain(finished);
        let mut request = call.request(parts.boxed());
        request.extensions_mut().insert(self.chunks);
        request
    }
}

impl Feed {
    /// Passes a body on while the service answers. The time limit of the call counts only once all bytes are there: a
    /// body takes as long as it takes.
    pub(crate) async fn pour<R>(
        self,
        incoming: &mut Incoming,
        whole: Whole,
        call: &Call,
        mut answer: BoxFuture<'_, Result<Response<R>, Status>>,
    ) -> Result<(R, Sent), Error> {
        let mut early = None;
        let sent = tokio::select! {
            biased;
            answered = &mut answer => {
                early = Some(answered);
                Sent::Part
            }
            sent = self.forward(incoming, whole) => sent?,
        };
        let answered = async {
            match early {
                Some(answered) => answered,
                None => answer.await,
            }
        };
        Ok((call.run(answered).await?, sent))
    }

    /// Passes a body on, chunk by chunk. It is finished only if the body was whole.
    async fn forward(self, incoming: &mut Incoming, whole: Whole) -> Result<Sent, Fault> {
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
                if self.chunks.send(chunk).await.is_err() {
                    return Ok(Sent::Part);
                }
            }
        }
        if whole.announced.is_some_and(|announced| announced != size) {
            return Err(Fault::WrongLength);
        }
        let finished = self.finish.send(size);
        Ok(if finished.is_ok() { Sent::All } else { Sent::Part })
    }
}

/// No body is as long as what this cuts off.
pub(crate) fn saturate(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl From<Interruption> for Fault {
    fn from(interruption: Interruption) -> Self {
        Self::Interrupted(interruption)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Body(fault)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}
