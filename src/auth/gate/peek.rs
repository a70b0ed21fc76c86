//! What a call is about whose caller may do everything: read from the beginning of its first message, while that passes by
//! on its way to the service.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use steward_proto::access::Part;
use tonic::Status;

use crate::auth::{Trail, fields};
use crate::message_prefix::{PREFIX_BYTES, Prefix};

/// How much of a message is looked at. The names are at the beginning.
const MAX_BYTES: usize = 4 * 1024;

/// A body of whose beginning it is noted what it names.
pub(super) struct Peeked<B> {
    body: B,
    /// What the resource is made of, until that is known.
    resource: Option<&'static [Part]>,
    trail: Trail,
    /// What has come, as long as that is not enough.
    came: Vec<u8>,
}

impl<B> Peeked<B> {
    pub(super) fn new(body: B, resource: &'static [Part], trail: Trail) -> Self {
        Peeked { body, resource: Some(resource), trail, came: Vec::new() }
    }

    fn see(&mut self, data: &[u8]) {
        if self.came.is_empty() && is_enough(data) {
            return self.note(&data[..data.len().min(MAX_BYTES)]);
        }
        let room = MAX_BYTES - self.came.len();
        self.came.extend_from_slice(&data[..data.len().min(room)]);
        if is_enough(&self.came) {
            self.note_what_came();
        }
    }

    fn note_what_came(&mut self) {
        let came = std::mem::take(&mut self.came);
        self.note(&came);
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(resource) = self.resource.take() {
            self.trail.write_named_resource(text(resource, message(bytes)));
        }
    }
}

impl<B> http_body::Body for Peeked<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.resource.is_some() {
            match &frame {
                Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| self.see(data)),
                Some(Err(_)) | None => self.note_what_came(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether nothing more has to come.
fn is_enough(bytes: &[u8]) -> bool {
    bytes.len() >= MAX_BYTES || length(bytes).is_some_and(|length| bytes.len() - PREFIX_BYTES >= length)
}

/// How long the first message is, once that has come; nothing of a compressed one is looked at.
fn length(bytes: &[u8]) -> Option<usize> {
    Prefix::of(bytes).map(|prefix| if prefix.is_compressed { 0 } else { prefix.bytes() })
}

/// What has come of the first message.
fn message(bytes: &[u8]) -> &[u8] {
    let Some(length) = length(bytes) else { return &[] };
    let behind = &bytes[PREFIX_BYTES..];
    &behind[..length.min(behind.len())]
}

/// The text that `parts` make of a message; nothing where none of its fields has come.
fn text(parts: &[Part], message: &[u8]) -> String {
    let mut has_any = parts.iter().all(|part| matches!(part, Part::Text(_)));
    let mut made = String::new();
    for part in parts {
        match *part {
            Part::Text(text) => made.push_str(text),
            Part::Field(numbers) => {
                let value = fields::text_of_beginning(message, numbers);
                has_any |= !value.is_empty();
                made.push_str(&value);
            }
        }
    }
    if has_any { made } else { String::new() }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use prost::Message as _;
    use steward_proto::access;
    use steward_proto::lock::v1::{AcquireRequest, LockKey};

    use super::*;

    fn acquire(resource_id: &str) -> Vec<u8> {
        let key = LockKey { r#type: "pull".to_owned(), resource_id: resource_id.to_owned() };
        let request = AcquireRequest { key: Some(key), owner: "me".to_owned(), ..AcquireRequest::default() };
        let message = request.encode_to_vec();
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
    }

    /// What is noted of a body that comes in pieces.
    async fn noted(pieces: &[&[u8]]) -> String {
        let resource = access::find("/steward.lock.v1.LockService/Acquire").unwrap().needs[0].resource;
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let trail = Trail::kept();
        let peeked = Peeked::new(StreamBody::new(stream::iter(frames)), resource, trail.clone());
        let passed = peeked.collect().await.unwrap().to_bytes();
        assert_eq!(passed, pieces.concat(), "it passes as it is");
        trail.resource().to_owned()
    }

    #[tokio::test]
    async fn the_resource_is_read_as_the_protocol_names_it_however_it_comes() {
        let whole = acquire("sha256:a");
        assert_eq!(noted(&[&whole]).await, "pull/sha256:a");
        assert_eq!(noted(&[&whole, b"more"]).await, "pull/sha256:a");
        for cut in 0..whole.len() {
            assert_eq!(noted(&[&whole[..cut], &whole[cut..]]).await, "pull/sha256:a", "{cut}");
        }
    }

    #[tokio::test]
    async fn what_has_not_come_is_not_named() {
        assert_eq!(noted(&[]).await, "");
        assert_eq!(noted(&[&acquire("sha256:a")[..12]]).await, "", "half of a name is another name");
        assert_eq!(noted(&[&acquire(&"a".repeat(MAX_BYTES))]).await, "");
        let mut compressed = acquire("sha256:a");
        compressed[0] = 1;
        assert_eq!(noted(&[&compressed]).await, "");
    }

    #[test]
    fn a_resource_that_needs_no_field_is_always_known() {
        assert_eq!(text(&[Part::Text("audit")], &[]), "audit");
        assert_eq!(text(&[], &[]), "");
    }
}
