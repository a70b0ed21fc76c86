//! Answers that are streams: their call has ended when they have.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::layer::Call;
use super::written::Written;
use crate::error::Failure;

/// A body whose end is an entry.
pub(super) struct Followed {
    body: Body,
    /// None: the entry is made.
    call: Option<Call>,
    /// The end, held back until its entry is written.
    held: Option<(Written, Frame<Bytes>)>,
}

impl Followed {
    pub(super) fn new(body: Body, call: Call) -> Self {
        Followed { body, call: Some(call), held: None }
    }

    /// Holds back the end of the stream.
    fn end(&mut self, frame: Frame<Bytes>) -> Result<(), Frame<Bytes>> {
        let Some(mut call) = self.call.take() else { return Err(frame) };
        let trailers = frame.trailers_ref();
        let status = trailers.and_then(Status::from_header_map).filter(|status| status.code() != Code::Ok);
        if let Some(status) = status {
            call.failed(&status);
            return Err(frame);
        }
        self.held = Some((call.succeeded(), frame));
        Ok(())
    }
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.held.is_none() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => {
                    if let Err(frame) = this.end(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Some(Err(status)) => {
                    if let Some(mut call) = this.call.take() {
                        call.failed(&status);
                    }
                    return Poll::Ready(Some(Err(status)));
                }
                other => return Poll::Ready(other),
            }
        }
        let Some((written, _)) = &mut this.held else { return Poll::Ready(None) };
        let result = ready!(Pin::new(written).poll(cx));
        let held = this.held.take().map(|(_, frame)| frame);
        Poll::Ready(match result {
            Ok(()) => held.map(Ok),
            Err(failure) => Some(Ok(Frame::trailers(trailers(failure)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The end of a stream that fails so.
fn trailers(failure: Failure) -> http::HeaderMap {
    let response: http::Response<()> = Status::from(failure).into_http();
    response.headers().clone()
}
