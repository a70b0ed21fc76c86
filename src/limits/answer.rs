//! The bytes of an answer on their way to the caller.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use steward_gateway::Pieces;
use tonic::Status;
use tonic::body::Body;

use super::call::Call;
use super::purse::Purse;
use super::refusal::Limit;

/// An answer of which each piece is counted until the next one is asked for. The call is open until its end.
pub(super) struct Answer {
    body: Body,
    call: Option<Arc<Call>>,
    own: Option<Purse>,
    next: Option<Frame<Bytes>>,
}

impl Answer {
    /// Counts what is taken of this body.
    pub(super) fn of(body: Body, call: Arc<Call>) -> Self {
        let own = call.purse();
        Answer { body, call: Some(call), own, next: None }
    }

    fn end(&mut self) {
        (self.own, self.call) = (None, None);
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(call) = &this.call else { return Poll::Ready(None) };
        if this.next.is_none() {
            if let Some(own) = &mut this.own {
                own.shrink_to(0);
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => this.next = Some(frame),
                last => {
                    this.end();
                    return Poll::Ready(last);
                }
            }
        }
        let bytes = this.next.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        if let Some(own) = &mut this.own
            && ready!(own.poll_grow(cx, bytes as u64)).is_err()
        {
            let trailers = trailers(&call.refuse(Limit::Bytes).status());
            this.end();
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(this.next.take().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none() || self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It may be cut short.
        if self.own.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

/// A stream that has begun says at its end what became of it.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
    }
    trailers
}

/// A download over HTTP, whose bytes pass the messages by.
struct DirectDownload {
    pieces: Pieces,
    call: Arc<Call>,
    own: Option<Purse>,
    next: Option<Bytes>,
}

/// Counts each piece until the next one is asked for.
pub(super) fn direct(pieces: Pieces, call: Arc<Call>) -> Pieces {
    let own = call.purse();
    DirectDownload { pieces, call, own, next: None }.boxed()
}

impl Stream for DirectDownload {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(own) = &mut this.own else { return this.pieces.poll_next_unpin(cx) };
        if this.next.is_none() {
            own.shrink_to(0);
            match ready!(this.pieces.poll_next_unpin(cx)) {
                Some(Ok(piece)) => this.next = Some(piece),
                last => return Poll::Ready(last),
            }
        }
        let bytes = this.next.as_ref().map_or(0, Bytes::len);
        if ready!(own.poll_grow(cx, bytes as u64)).is_err() {
            this.next = None;
            return Poll::Ready(Some(Err(this.call.refuse(Limit::Bytes).status())));
        }
        Poll::Ready(this.next.take().map(Ok))
    }
}
