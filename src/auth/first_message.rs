//! The first message of a call, read before the service gets to see it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

/// A byte that says whether the message is compressed, and four with its length.
const PREFIX_BYTES: usize = 5;
/// How long the first message may take to come.
const PATIENCE: Duration = Duration::from_mins(2);

/// Reads the first message of a body, of so many bytes at most. Returns it, and a body that begins with it again.
pub(super) async fn read(body: Body, max_bytes: usize) -> Result<(Bytes, Body), Status> {
    let reading = tokio::time::timeout(PATIENCE, gather(body, max_bytes)).await;
    reading.unwrap_or_else(|_| Err(Status::deadline_exceeded("the message of the call did not come in time")))
}

async fn gather(mut body: Body, max_bytes: usize) -> Result<(Bytes, Body), Status> {
    let mut read = BytesMut::new();
    let mut length = None;
    loop {
        if length.is_none() && read.len() >= PREFIX_BYTES {
            length = Some(length_of(&read[..PREFIX_BYTES], max_bytes)?);
        }
        if let Some(length) = length.filter(|length| read.len() >= PREFIX_BYTES + length) {
            let read = read.freeze();
            let message = read.slice(PREFIX_BYTES..PREFIX_BYTES + length);
            return Ok((message, Body::new(Replayed { read, rest: body })));
        }
        let Some(frame) = body.frame().await else {
            return Err(Status::invalid_argument("the call has no message"));
        };
        if let Ok(data) = frame?.into_data() {
            // Mostly all of it comes in one piece, which need not be copied.
            read = if read.is_empty() { BytesMut::from(data) } else { joined(read, &data) };
        }
    }
}

fn joined(mut read: BytesMut, data: &[u8]) -> BytesMut {
    read.extend_from_slice(data);
    read
}

fn length_of(prefix: &[u8], max_bytes: usize) -> Result<usize, Status> {
    let (flag, mut length) = (prefix[0], &prefix[1..]);
    if flag != 0 {
        return Err(Status::unimplemented("messages cannot be compressed"));
    }
    let length = usize::try_from(length.get_u32()).unwrap_or(usize::MAX);
    if length > max_bytes {
        let problem = format!("the message has {length} bytes, and at most {max_bytes} are taken");
        return Err(Status::out_of_range(problem));
    }
    Ok(length)
}

/// A body whose beginning was read, and comes again.
struct Replayed {
    read: Bytes,
    rest: Body,
}

impl http_body::Body for Replayed {
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
    use futures::stream;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    fn body(pieces: Vec<Vec<u8>>) -> Body {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    async fn read_all(pieces: Vec<Vec<u8>>) -> Result<(Bytes, Bytes), Status> {
        let (message, body) = read(body(pieces), 1000).await?;
        Ok((message, body.collect().await?.to_bytes()))
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
            prop_assert_eq!(&message[..], &first[..]);
            prop_assert_eq!(&body[..], &whole[..]);
        }
    }
}
