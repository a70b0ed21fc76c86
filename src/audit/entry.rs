//! The parts of entries.

use std::borrow::Cow;
use std::net::IpAddr;

use steward_proto::audit::v1::{AuditEntry, EntryKind};
use tonic::Code;

use crate::clock::Timestamp;

/// The longest text of an entry, in bytes.
const MAX_TEXT_BYTES: usize = 512;
/// Of a second.
pub(super) const NANOS: i64 = 1_000_000_000;

/// When an entry was made; the beginning of time when that cannot be told.
pub(super) fn time(entry: &AuditEntry) -> Timestamp {
    entry.time.map_or(Timestamp::from_nanos(0), from_proto)
}

pub(super) fn from_proto(time: prost_types::Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.seconds.saturating_mul(NANOS).saturating_add(i64::from(time.nanos)))
}

pub(super) fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.nanos().div_euclid(NANOS), time.nanos().rem_euclid(NANOS));
    // The rest of a division by a billion fits.
    prost_types::Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or(0) }
}

/// What the server itself does.
pub(super) fn of_server(method: &str) -> AuditEntry {
    AuditEntry {
        kind: EntryKind::Server.into(),
        method: method.to_owned(),
        area: "admin".to_owned(),
        outcome: code_name(Code::Ok).to_owned(),
        ..AuditEntry::default()
    }
}

pub(super) fn address(address: Option<IpAddr>) -> String {
    address.map(|address| address.to_canonical().to_string()).unwrap_or_default()
}

/// A text that may be anything, cut.
pub(super) fn cut<'a>(text: impl Into<Cow<'a, str>>) -> String {
    let mut text = text.into().into_owned();
    if text.len() > MAX_TEXT_BYTES {
        let end = (0..=MAX_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// As gRPC writes it.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("abc"), "abc");
        let long = cut("ä".repeat(1000));
        assert!(long.len() < MAX_TEXT_BYTES + 5 && long.ends_with("ä…"), "{long}");
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        for nanos in [0, 1, 1_700_000_000_123_456_789, -1] {
            let time = Timestamp::from_nanos(nanos);
            assert_eq!(from_proto(to_proto(time)), time);
        }
    }
}
