//! What a call is about: read from the beginning of its first message, while that passes by on its way to the service.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use steward_proto::access::Part;
use tonic::Status;
use tonic::body::Body;

/// How much of a message is looked at. The names are at the beginning.
const MAX_BYTES: usize = 4 * 1024;
/// In front of each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// The wire type of bytes, of texts and of messages.
const LENGTH_DELIMITED: u64 = 2;

/// The beginning of what a caller sends.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning(Arc<Mutex<Vec<u8>>>);

impl Beginning {
    /// The text that `parts` make of the message; nothing as far as it has not come by.
    pub(super) fn text(&self, parts: &[Part]) -> String {
        let bytes = self.0.lock();
        let message = match bytes.split_at_checked(PREFIX_BYTES) {
            Some(([0, length @ ..], rest)) => {
                let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                &rest[..length.min(rest.len())]
            }
            // Compressed, or not there.
            Some(_) | None => &[],
        };
        let text = |part: &Part| match *part {
            Part::Text(text) => text.to_owned(),
            Part::Field(numbers) => String::from_utf8_lossy(field(message, numbers)).into_owned(),
        };
        let has_any =
            parts.iter().any(|part| matches!(part, Part::Field(numbers) if !field(message, numbers).is_empty()));
        let is_fixed = parts.iter().all(|part| matches!(part, Part::Text(_)));
        if has_any || is_fixed { parts.iter().map(text).collect() } else { String::new() }
    }
}

/// A body whose beginning is kept.
pub(super) struct Peeked {
    body: Body,
    beginning: Beginning,
    room: usize,
}

impl Peeked {
    pub(super) fn new(body: Body, beginning: Beginning) -> Self {
        Peeked { body, beginning, room: MAX_BYTES }
    }
}

impl http_body::Body for Peeked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && self.room > 0
        {
            let kept = &data[..data.len().min(self.room)];
            self.beginning.0.lock().extend_from_slice(kept);
            self.room -= kept.len();
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

/// The bytes of a field, in the messages in which it is; of several the last counts, as everywhere.
fn field<'a>(message: &'a [u8], numbers: &[u32]) -> &'a [u8] {
    let Some((number, further)) = numbers.split_first() else { return message };
    let mut found: &[u8] = &[];
    let mut rest = message;
    while let Some((tag, value)) = next(&mut rest) {
        if tag == (u64::from(*number) << 3 | LENGTH_DELIMITED) {
            found = value;
        }
    }
    field(found, further)
}

/// The next field: its tag, and its bytes if it has any.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let tag = varint(rest)?;
    let length = match tag & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        LENGTH_DELIMITED => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    // A text that goes on behind what was kept is none: half of a name is another name.
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some((tag, value))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use steward_proto::access;
    use steward_proto::lock::v1::{AcquireRequest, LockKey};

    use super::*;

    fn begun(message: &[u8]) -> Beginning {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Beginning(Arc::new(Mutex::new([&[0][..], &length, message].concat())))
    }

    fn acquire(lock_type: &str, resource_id: &str) -> Vec<u8> {
        let key = LockKey { r#type: lock_type.to_owned(), resource_id: resource_id.to_owned() };
        AcquireRequest { key: Some(key), owner: "me".to_owned(), capacity: 7, ..AcquireRequest::default() }
            .encode_to_vec()
    }

    fn resource() -> &'static [Part] {
        access::find("/steward.lock.v1.LockService/Acquire").unwrap().needs[0].resource
    }

    #[test]
    fn the_resource_is_read_as_the_protocol_names_it() {
        assert_eq!(begun(&acquire("pull", "sha256:a")).text(resource()), "pull/sha256:a");
        assert_eq!(begun(&[]).text(resource()), "");
        assert_eq!(Beginning::default().text(resource()), "");
        assert_eq!(Beginning::default().text(&[Part::Text("audit")]), "audit");
    }

    #[test]
    fn half_of_a_name_is_none() {
        let message = acquire("pull", &"a".repeat(MAX_BYTES));
        let mut cut = begun(&message).0.lock().clone();
        cut.truncate(MAX_BYTES);
        assert_eq!(Beginning(Arc::new(Mutex::new(cut))).text(resource()), "");
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(garbage: Vec<u8>, numbers in prop::collection::vec(1..20_u32, 0..4)) {
            let _ = field(&garbage, &numbers);
        }
    }
}
