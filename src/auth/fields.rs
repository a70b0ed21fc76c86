//! Texts of a message that nobody has decoded yet.

use std::borrow::Cow;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A message is damaged, or has a field twice that may be there once: which of both counts would be a matter of opinion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is damaged, or a field is in it twice")]
pub(super) struct Malformed;

/// The text of a field; nothing when it is not there. The numbers are those of the fields that it is in and its own.
pub(super) fn text<'a>(message: &'a [u8], numbers: &[u32]) -> Result<&'a str, Malformed> {
    let mut part = message;
    for number in numbers {
        part = only(part, *number)?;
    }
    std::str::from_utf8(part).map_err(|_| Malformed)
}

/// The same of the beginning of a message, as far as that has come: what is cut off is not there, and of several the last
/// counts, as everywhere.
pub(super) fn text_of_beginning<'a>(beginning: &'a [u8], numbers: &[u32]) -> Cow<'a, str> {
    let mut part = beginning;
    for number in numbers {
        part = last(part, *number);
    }
    String::from_utf8_lossy(part)
}

/// The texts of one message, where several are wanted.
pub(super) struct Texts<'a> {
    bytes: &'a [u8],
    /// The part that was looked into last, and its number: mostly the next text is in it, too.
    part: Option<(u32, &'a [u8])>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Texts { bytes, part: None }
    }

    /// The text of a field, as [`text`] finds it.
    pub(super) fn find(&mut self, numbers: &[u32]) -> Result<&'a str, Malformed> {
        let Some((outer, inner)) = numbers.split_first().filter(|(_, inner)| !inner.is_empty()) else {
            return text(self.bytes, numbers);
        };
        let part = match self.part {
            Some((number, part)) if number == *outer => part,
            _ => only(self.bytes, *outer)?,
        };
        self.part = Some((*outer, part));
        text(part, inner)
    }
}

/// The bytes of the only field of a number; nothing when it is not there. All of the message is looked at.
fn only(message: &[u8], number: u32) -> Result<&[u8], Malformed> {
    let mut rest = message;
    let mut found = None;
    while !rest.is_empty() {
        let (tag, value) = next(&mut rest)?;
        if tag == number && found.replace(value.ok_or(Malformed)?).is_some() {
            return Err(Malformed);
        }
    }
    Ok(found.unwrap_or_default())
}

/// The bytes of the last whole field of a number.
fn last(beginning: &[u8], number: u32) -> &[u8] {
    let mut rest = beginning;
    let fields = std::iter::from_fn(|| next(&mut rest).ok());
    fields.filter_map(|(tag, value)| value.filter(|_| tag == number)).last().unwrap_or_default()
}

/// The next field: its number, and its bytes if it has any.
#[inline]
fn next<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), Malformed> {
    // Most have a small number and are short: their key and their length, or their value, are a byte each.
    if let [key @ 0x08..0x80, second @ ..0x80, behind @ ..] = *rest {
        let (tag, wire_type) = (u32::from(key >> 3), u32::from(key & 7));
        if wire_type == WireType::LengthDelimited as u32
            && let Some((value, behind)) = behind.split_at_checked(usize::from(*second))
        {
            *rest = behind;
            return Ok((tag, Some(value)));
        }
        if wire_type == WireType::Varint as u32 {
            *rest = behind;
            return Ok((tag, None));
        }
    }
    any_next(rest)
}

/// The same of any field.
#[inline(never)]
fn any_next<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), Malformed> {
    let (tag, wire_type) = decode_key(rest).map_err(|_| Malformed)?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, tag, rest, DecodeContext::default()).map_err(|_| Malformed)?;
        return Ok((tag, None));
    }
    let length = decode_varint(rest).ok().and_then(|length| usize::try_from(length).ok()).ok_or(Malformed)?;
    let (value, behind) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = behind;
    Ok((tag, Some(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use steward_proto::lock::v1::{AcquireRequest, LockKey};

    use super::*;

    fn request(r#type: &str, resource_id: &str, owner: &str) -> AcquireRequest {
        let key = LockKey { r#type: r#type.to_owned(), resource_id: resource_id.to_owned() };
        AcquireRequest { key: Some(key), owner: owner.to_owned(), permits: 7, ..AcquireRequest::default() }
    }

    #[test]
    fn texts_are_found_by_their_numbers() {
        let message = request("pull", "sha256:a", "node").encode_to_vec();
        assert_eq!(text(&message, &[1, 1]), Ok("pull"));
        assert_eq!(text(&message, &[1, 2]), Ok("sha256:a"));
        assert_eq!(text(&message, &[2]), Ok("node"));
        assert_eq!(text(&message, &[100]), Ok(""));
        assert_eq!(text(&[], &[1, 2]), Ok(""));
    }

    #[test]
    fn a_field_that_is_there_twice_or_is_no_text_is_refused() {
        let twice = [request("pull", "a", "").encode_to_vec(), request("pull", "b", "").encode_to_vec()].concat();
        assert_eq!(text(&twice, &[1, 2]), Err(Malformed));
        let permits = AcquireRequest { permits: 7, ..AcquireRequest::default() }.encode_to_vec();
        assert_eq!(text(&permits, &[u32::from(permits[0] >> 3)]), Err(Malformed), "a number");
        assert_eq!(text(&[0x0a, 0x05, b'a'], &[1]), Err(Malformed), "too short");
        assert_eq!(text(&[0x0a, 0x01, 0xff], &[1]), Err(Malformed), "not UTF-8");
    }

    #[test]
    fn of_a_beginning_only_what_has_come_as_a_whole_is_found() {
        let message = request("pull", "sha256:a", "node").encode_to_vec();
        assert_eq!(text_of_beginning(&message, &[1, 2]), "sha256:a");
        let end_of_key = AcquireRequest { permits: 0, ..request("pull", "sha256:a", "") }.encoded_len();
        assert_eq!(text_of_beginning(&message[..end_of_key], &[1, 2]), "sha256:a");
        assert_eq!(text_of_beginning(&message[..end_of_key - 1], &[1, 2]), "", "half of a name is another name");
        assert_eq!(text_of_beginning(&message[..end_of_key + 4], &[2]), "");
    }

    proptest! {
        #[test]
        fn short_fields_are_found_as_all_others_are(mut bytes: Vec<u8>, key in 0_u8..0x80, second in 0_u8..0x80) {
            bytes.splice(0..0, [key, second]);
            let (mut one, mut other) = (&*bytes, &*bytes);
            prop_assert_eq!(next(&mut one), any_next(&mut other));
            prop_assert!(next(&mut &*bytes).is_err() || one == other);
        }

        #[test]
        fn garbage_does_no_harm(garbage: Vec<u8>, numbers in prop::collection::vec(1..20_u32, 0..4)) {
            let _ = text(&garbage, &numbers);
            let _ = text_of_beginning(&garbage, &numbers);
        }

        #[test]
        fn what_it_finds_is_what_the_service_decodes(
            name in ".{0,12}", id in ".{0,200}", owner in ".{0,12}", at in 0_usize..64, byte: u8,
        ) {
            let mut message = request(&name, &id, &owner).encode_to_vec();
            // Damaged, too, in every way that still decodes.
            if let Some(place) = message.get_mut(at) {
                *place = byte;
            }
            if let (Ok(decoded), Ok(found), Ok(acting)) =
                (AcquireRequest::decode(&*message), text(&message, &[1, 2]), text(&message, &[2]))
            {
                prop_assert_eq!(found, decoded.key.unwrap_or_default().resource_id);
                prop_assert_eq!(acting, decoded.owner);
            }
        }
    }
}
