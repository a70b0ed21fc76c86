//! The first message of a call, read before the service gets to see it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use crate::message_prefix::{PREFIX_BYTES, Prefix};

/// How long the first message may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A body of which the first message has been read.
#[derive(Debug)]
pub(super) struct Begun<B> {
    read: Bytes,
    length: usize,
    rest: B,
}

impl<B> Begun<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin + Send + 'static,
{
    /// The first message.
    pub(super) fn message(&self) -> &[u8] {
        &self.read[PREFIX_BYTES..PREFIX_BYTES + self.length]
    }

    /// A body that begins with it again.
    pub(super) fn into_body(self) -> Body {
        Body::new(Replayed { read: self.read, rest: self.rest })
    }
}

/// Reads the first message of a body, of so many bytes at most.
pub(super) struct Reading<B> {
    /// Until the message is there.
    body: Option<B>,
    read: BytesMut,
    max_bytes: usize,
    patience: Duration,
    /// When the message has to be there, from when it was first waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> Reading<B> {
    pub(super) fn of(body: B, max_bytes: usize) -> Self {
        Reading { body: Some(body), read: BytesMut::new(), max_bytes, patience: PATIENCE, deadline: None }
    }
}

impl<B> Reading<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<Result<Begun<B>, Status>> {
        while let Some(body) = &mut self.body {
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)?) else { break };
            let Ok(came) = frame.into_data() else { continue };
            // Mostly all of it comes in one piece, which is left as it is.
            if self.read.is_empty()
                && let Some(length) = length_of_whole(&came, self.max_bytes)?
            {
                return Poll::Ready(self.begun(came, length));
            }
            self.read.extend_from_slice(&came);
            if let Some(length) = length_of_whole(&self.read, self.max_bytes)? {
                let read = std::mem::take(&mut self.read).freeze();
                return Poll::Ready(self.begun(read, length));
            }
        }
        Poll::Ready(Err(no_message()))
    }

    fn begun(&mut self, read: Bytes, length: usize) -> Result<Begun<B>, Status> {
        self.body.take().map(|rest| Begun { read, length, rest }).ok_or_else(no_message)
    }
}

fn no_message() -> Status {
    Status::invalid_argument("the call has no message")
}

impl<B> Future for Reading<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Output = Result<Begun<B>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(begun) = this.poll_gather(cx) {
            return Poll::Ready(begun);
        }
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(this.patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(Status::deadline_exceeded("the message of the call did not come in time")))
    }
}

/// How long the first message is; `None` while it has not come as a whole.
fn length_of_whole(read: &[u8], max_bytes: usize) -> Result<Option<usize>, Status> {
    let Some(prefix) = Prefix::of(read) else { return Ok(None) };
    if prefix.is_compressed {
        return Err(Status::unimplemented("messages cannot be compressed"));
    }
    let length = prefix.bytes();
    if length > max_bytes {
        let problem = format!("the message has {length} bytes, and at most {max_bytes} are taken");
        return Err(Status::out_of_range(problem));
    }
    Ok((read.len() - PREFIX_BYTES >= length).then_some(length))
}

/// A body whose beginning was read, and comes again.
struct Replayed<B> {
    read: Bytes,
    rest: B,
}

impl<B> http_body::Body for Replayed<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(cx);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))))
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.len() as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::default();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::{self, StreamExt as _};
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn body(pieces: Vec<Vec<u8>>) -> Body {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    async fn read_all(pieces: Vec<Vec<u8>>) -> Result<(Vec<u8>, Bytes), Status> {
        let begun = Reading::of(body(pieces), 1000).await?;
        let message = begun.message().to_vec();
        Ok((message, begun.into_body().collect().await?.to_bytes()))
    }

    #[tokio::test]
    async fn a_call_without_a_whole_message_is_refused() {
        for (pieces, code) in [
            (vec![], tonic::Code::InvalidArgument),
            (vec![vec![0, 0, 0, 0]], tonic::Code::InvalidArgument),
            (vec![vec![0, 0, 0, 0, 2, 7]], tonic::Code::InvalidArgument),
            (vec![vec![1, 0, 0, 0, 0]], tonic::Code::Unimplemented),
            (vec![vec![0, 0xff, 0, 0, 0]], tonic::Code::OutOfRange),
        ] {
            assert_eq!(read_all(pieces).await.unwrap_err().code(), code);
        }
    }

    #[tokio::test]
    async fn a_message_that_does_not_come_is_not_waited_for_for_ever() {
        let half = Ok::<_, Status>(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 7])));
        let pieces = stream::iter([half]).chain(stream::pending());
        let mut reading = Reading::of(Body::new(StreamBody::new(pieces)), 1000);
        reading.patience = Duration::from_millis(20);
        assert_eq!(reading.await.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    }

    proptest! {
        #[test]
        fn the_body_is_the_same_after_its_first_message_was_read(
            first in prop::collection::vec(any::<u8>(), 0..40),
            rest in prop::collection::vec(any::<u8>(), 0..40),
            cuts in prop::collection::vec(0_usize..90, 0..6),
        ) {
            let length = u32::try_from(first.len()).unwrap().to_be_bytes();
            let whole = [&[0][..], &length, &first, &rest].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| whole[cut[0]..cut[1]].to_vec()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (message, body) = runtime.block_on(read_all(pieces)).unwrap();
            prop_assert_eq!(message, first);
            prop_assert_eq!(&body[..], &whole[..]);
        }
    }
}
