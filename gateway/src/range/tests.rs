use http::HeaderMap;
use http::header::{HeaderValue, RANGE};
use proptest::prelude::*;

use super::{Malformed, Range, parse, requested};

fn offsets(first: i64, last: Option<i64>) -> Range {
    Range::Offsets { first, last }
}

#[test]
fn one_range_of_bytes_is_read() {
    for (header, expected) in [
        ("bytes=0-", offsets(0, None)),
        ("bytes=10-19", offsets(10, Some(19))),
        ("bytes=5-5", offsets(5, Some(5))),
        ("bytes=007-0010", offsets(7, Some(10))),
        ("bytes=-100", Range::Suffix(100)),
        ("bytes=-0", Range::Suffix(0)),
        ("Bytes=1-2", offsets(1, Some(2))),
        (" bytes = 1 - 2\t", offsets(1, Some(2))),
        ("bytes=9223372036854775807-", offsets(i64::MAX, None)),
        ("bytes=9223372036854775808-18446744073709551615", offsets(i64::MAX, Some(i64::MAX))),
        ("bytes=-18446744073709551615", Range::Suffix(i64::MAX)),
    ] {
        assert_eq!(parse(header), Ok(expected), "{header}");
    }
}

#[test]
fn anything_else_is_malformed() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes= - ",
        "0-5",
        "=0-5",
        "items=0-5",
        "bytes:0-5",
        "bytes=abc",
        "bytes=a-b",
        "bytes=5",
        "bytes=5-3",
        "bytes=0-1,5-6",
        "bytes=0-1,",
        "bytes=,0-1",
        "bytes=--1",
        "bytes=1--2",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=-+2",
        "bytes=0x1-2",
        "bytes=1.0-2",
        "bytes=1 2-3",
        "bytes=0-1-2",
        "bytes=٣-",
        "bytes=18446744073709551616-",
        "bytes=0-18446744073709551616",
        "bytes=-18446744073709551616",
        "bytes=18446744073709551615-9223372036854775807",
    ] {
        assert_eq!(parse(header), Err(Malformed), "{header}");
    }
}

#[test]
fn a_request_has_one_header_or_none() {
    let mut headers = HeaderMap::new();
    assert_eq!(requested(&headers), Ok(None));
    headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(requested(&headers).map(|range| range.is_some()), Ok(true));
    headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(requested(&headers), Err(Malformed));
    headers.insert(RANGE, HeaderValue::from_bytes(b"bytes=\xff-").unwrap());
    assert_eq!(requested(&headers), Err(Malformed));
}

/// The grammar again, as plainly as can be.
fn model(first: Option<u128>, last: Option<u128>) -> Result<Range, Malformed> {
    let clamp = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    let is_too_large = |number: Option<u128>| number.is_some_and(|number| number >= 1 << 64);
    match (first, last) {
        _ if is_too_large(first) || is_too_large(last) => Err(Malformed),
        (Some(first), Some(last)) if first > last => Err(Malformed),
        (Some(first), last) => Ok(offsets(clamp(first), last.map(clamp))),
        (None, Some(length)) => Ok(Range::Suffix(clamp(length))),
        (None, None) => Err(Malformed),
    }
}

fn any_position() -> impl Strategy<Value = Option<u128>> {
    prop::option::of(prop_oneof![
        0..20_u128,
        (1_u128 << 63) - 2..(1_u128 << 63) + 2,
        (1_u128 << 64) - 2..(1_u128 << 64) + 2
    ])
}

proptest! {
    #[test]
    fn reading_agrees_with_the_grammar(first in any_position(), last in any_position(), space in "[ \t]{0,2}") {
        let text = |position: Option<u128>| position.map(|position| position.to_string()).unwrap_or_default();
        let header = format!("bytes={space}{}-{}{space}", text(first), text(last));
        prop_assert_eq!(parse(&header), model(first, last));
    }

    #[test]
    fn nothing_panics(header in "(bytes|=|-|,|[0-9]{1,25}|.){0,8}") {
        let _ = parse(&header);
    }
}
