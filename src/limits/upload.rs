//! The bytes of a request on their way to a service.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use http_body::{Body as _, Frame, SizeHint};
use steward_gateway::Chunks;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::call::Call;
use super::framing::Framing;
use super::purse::Purse;
use super::purses::Purses;
use super::refusal::Limit;

/// How many bytes of an upload over HTTP may be between its connection and its service: what the gateway reads ahead,
/// and what the service is at.
const READ_AHEAD_BYTES: u64 = 1024 * 1024 + 256 * 1024;

/// How long a message may take to come, from its first byte on: one that stays where it is takes up room for ever.
const PATIENCE: Duration = Duration::from_mins(2);

/// What of the messages of a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    Messages,
    /// The bytes come beside the messages, and are counted there.
    Nothing,
}

/// The body of a request, which is counted message by message if anything of its call is: each byte from when it comes
/// until the service asks for more behind its message, those of the last one until the call is answered.
pub struct Upload {
    body: Body,
    /// Apart, because a body is moved often on its way to a service.
    counted: Option<Box<Counted>>,
}

/// What is counted of the body of a request.
struct Counted {
    call: Arc<Call>,
    framing: Framing,
    /// When the message that is coming has to be there.
    deadline: Option<Pin<Box<Sleep>>>,
    patience: Duration,
    purses: Purses,
    /// Bytes that have come and for which there is no room yet.
    next: Option<Frame<Bytes>>,
}

impl Upload {
    /// Counts what comes of this body.
    pub(super) fn of(body: Body, call: &Arc<Call>, counting: Counting) -> Self {
        let purses = match counting {
            Counting::Messages => call.purses(),
            Counting::Nothing => Purses::default(),
        };
        let counted = Counted {
            call: Arc::clone(call),
            framing: Framing::default(),
            deadline: None,
            patience: PATIENCE,
            purses,
            next: None,
        };
        Upload { body, counted: Some(Box::new(counted)) }
    }

    /// Counts nothing.
    pub(super) fn uncounted(body: Body) -> Self {
        Upload { body, counted: None }
    }

    /// Whether bytes wait for room.
    fn has_next(&self) -> bool {
        self.counted.as_ref().is_some_and(|counted| counted.next.is_some())
    }
}

impl Counted {
    /// The next frame of the body, once there is room for it.
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(refusal) = self.call.refusal() {
            return Poll::Ready(Some(Err(refusal.status())));
        }
        if self.next.is_none() {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => {
                    self.shrink();
                    if self.is_late(cx) {
                        let problem = "a message of the call did not come in time";
                        return Poll::Ready(Some(Err(Status::deadline_exceeded(problem))));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    self.shrink();
                    if let Some(bytes) = frame.data_ref() {
                        self.accept(bytes);
                        self.purses.want(bytes.len() as u64);
                    }
                    self.next = Some(frame);
                }
                Poll::Ready(ended) => return Poll::Ready(ended),
            }
        }
        match ready!(self.purses.poll_take(cx)) {
            Ok(()) => Poll::Ready(self.next.take().map(Ok)),
            Err(limit) => Poll::Ready(Some(Err(self.call.refuse(limit).status()))),
        }
    }

    fn shrink(&mut self) {
        self.purses.shrink_to(self.framing.open());
    }

    /// Follows what has come.
    fn accept(&mut self, bytes: &[u8]) {
        let (before, was_open) = (self.framing.complete(), self.framing.open() > 0);
        self.framing.accept(bytes);
        let is_open = self.framing.open() > 0;
        if !is_open {
            self.deadline = None;
        } else if !was_open || before < self.framing.complete() {
            self.deadline = Some(Box::pin(tokio::time::sleep(self.patience)));
        }
    }

    /// Whether the message that is coming has taken too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Upload { body, counted } = &mut *self;
        match counted {
            Some(counted) => counted.poll_frame(body, cx),
            None => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.has_next() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What waits here is no longer in the body.
        if self.has_next() { SizeHint::default() } else { self.body.size_hint() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.call.keep(std::mem::take(&mut self.purses));
    }
}

/// An upload over HTTP, whose chunks pass the messages by.
struct DirectUpload {
    chunks: Chunks,
    call: Arc<Call>,
    own: Option<Purse>,
    /// For what is read ahead.
    memory: Purses,
    next: Option<Bytes>,
}

/// Counts each chunk until the service asks for the next one, and all that is read ahead as long as chunks come.
pub(super) fn direct(chunks: Chunks, call: &Arc<Call>) -> BoxStream<'static, Bytes> {
    let (own, mut memory) = (call.purse(), call.memory_purses());
    memory.want(READ_AHEAD_BYTES);
    DirectUpload { chunks, call: Arc::clone(call), own, memory, next: None }.boxed()
}

impl Stream for DirectUpload {
    type Item = Bytes;

    /// Ends early when there is no room; what the messages then say is why.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if this.call.refusal().is_some() {
            return Poll::Ready(None);
        }
        if let Err(limit) = ready!(this.memory.poll_take(cx)) {
            this.call.refuse(limit);
            return Poll::Ready(None);
        }
        let Some(own) = &mut this.own else { return this.chunks.poll_next_unpin(cx) };
        if this.next.is_none() {
            own.shrink_to(0);
            this.next = ready!(this.chunks.poll_next_unpin(cx));
        }
        let bytes = this.next.as_ref().map_or(0, Bytes::len);
        if ready!(own.poll_grow(cx, bytes as u64)).is_err() {
            this.call.refuse(Limit::Bytes);
            return Poll::Ready(None);
        }
        Poll::Ready(this.next.take())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn upload(pieces: Vec<Vec<u8>>) -> Upload {
        let pieces = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        let body = Body::new(StreamBody::new(stream::iter(pieces).chain(stream::pending())));
        let mut upload = Upload::of(body, &Arc::new(Call::new(None, None)), Counting::Messages);
        upload.counted.as_mut().unwrap().patience = Duration::from_millis(20);
        upload
    }

    #[tokio::test]
    async fn a_message_that_stays_where_it_is_is_given_up() {
        let status = upload(vec![vec![0, 0, 0, 0, 2], vec![7]]).collect().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        let one_and_a_half = upload(vec![vec![0, 0, 0, 0, 1, 7, 0]]).collect().await.unwrap_err();
        assert_eq!(one_and_a_half.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_stream_may_rest_between_two_messages_as_long_as_it_likes() {
        let resting = upload(vec![vec![0, 0, 0, 0, 1, 7], vec![0, 0, 0, 0], vec![0]]);
        let ended = tokio::time::timeout(Duration::from_millis(200), resting.collect()).await;
        assert!(ended.is_err(), "it still goes on");
    }
}
