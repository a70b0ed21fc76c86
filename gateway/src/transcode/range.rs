//! Ranges of bytes: which are asked for, and which are sent.

use http::HeaderMap;
use http::header::{CONTENT_RANGE, IF_RANGE, RANGE};

/// The bytes that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// From one on, up to and including another or the end.
    From(i64, Option<i64>),
    /// So many at the end.
    Suffix(i64),
}

/// Reads the range that a request asks for. What is no single range asks for everything, as HTTP has it; and so does
/// a condition on an entity tag, which no source has.
pub(super) fn requested(headers: &HeaderMap) -> Option<Range> {
    let mut values = headers.get_all(RANGE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() || headers.contains_key(IF_RANGE) {
        return None;
    }
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.trim_end(), last.trim_start()) {
        ("", length) => Some(Range::Suffix(position(length)?)),
        (first, "") => Some(Range::From(position(first)?, None)),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(Range::From(first, Some(last)))
        }
    }
}

/// Where the bytes of a body belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: i64,
    /// The first byte behind it.
    pub(super) end: i64,
    /// The size of the whole, where it is known.
    pub(super) total: Option<i64>,
}

/// The header says nothing that could be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads where the bytes of a request belong, if it says so.
pub(super) fn sent(headers: &HeaderMap) -> Result<Option<Extent>, Malformed> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    extent(value.to_str().map_err(|_| Malformed)?).map(Some).ok_or(Malformed)
}

fn extent(value: &str) -> Option<Extent> {
    let (unit, range) = value.trim().split_once(' ')?;
    let (range, total) = range.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(position(total)?) };
    let (first, end) = (position(first)?, position(last)?.checked_add(1)?);
    let is_right = unit.eq_ignore_ascii_case("bytes") && first < end && total.is_none_or(|total| end <= total);
    is_right.then_some(Extent { first, end, total })
}

/// Reads a number of bytes. No file is longer than can be counted.
fn position(text: &str) -> Option<i64> {
    // Rust's own parser would take a sign too.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn range(value: &'static str) -> Option<Range> {
        requested(&HeaderMap::from_iter([(RANGE, HeaderValue::from_static(value))]))
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "(bytes|=|-|,|/| |\\*|[0-9]{1,25}|[!-~]){0,8}") {
            let value = HeaderValue::try_from(value).unwrap();
            let headers = HeaderMap::from_iter([(RANGE, value.clone()), (CONTENT_RANGE, value)]);
            requested(&headers);
            let _ = sent(&headers);
        }
    }

    #[test]
    fn single_ranges_are_read() {
        for (value, expected) in [
            ("bytes=0-", Range::From(0, None)),
            ("bytes=10-19", Range::From(10, Some(19))),
            ("Bytes = 5 - 5", Range::From(5, Some(5))),
            ("bytes=-100", Range::Suffix(100)),
            ("bytes=-0", Range::Suffix(0)),
            ("bytes=99999999999999999999-", Range::From(i64::MAX, None)),
        ] {
            assert_eq!(range(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn anything_else_asks_for_everything() {
        for value in
            ["", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=5-3", "bytes=0-1,5-6", "bytes=+1-2", "bytes=a-b"]
        {
            assert_eq!(range(value), None, "{value}");
        }
        let mut headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        headers.insert(IF_RANGE, HeaderValue::from_static("\"x\""));
        assert_eq!(requested(&headers), None);
    }

    #[test]
    fn places_of_bodies_are_read() {
        for (value, expected) in [
            ("bytes 0-9/10", Some(Extent { first: 0, end: 10, total: Some(10) })),
            ("bytes 10-19/100", Some(Extent { first: 10, end: 20, total: Some(100) })),
            ("bytes 10-19/*", Some(Extent { first: 10, end: 20, total: None })),
            ("bytes 0-10/10", None),
            ("bytes 5-4/10", None),
            ("bytes */10", None),
            ("bytes 0-9", None),
            ("bytes=0-9/10", None),
            ("bytes 0-99999999999999999999/*", None),
            ("", None),
        ] {
            assert_eq!(extent(value), expected, "{value}");
        }
    }
}
