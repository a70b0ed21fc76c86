//! The header `Range`: one range of bytes, or an error.
//!
//! Quirk: what HTTP would have a server ignore (another unit, several ranges, nonsense) is refused, because a client
//! that asked for a part would take the whole for it.
//! Quirk: white space is tolerated wherever Go tolerates it.

use http::HeaderMap;
use http::header::RANGE;

/// Which bytes a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// From the first one to the last one, or to the end.
    Offsets { first: i64, last: Option<i64> },
    /// So many at the end.
    Suffix(i64),
}

/// The header is no single range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads the range that a request asks for, if it asks for one.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Range>, Malformed> {
    let mut values = headers.get_all(RANGE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Malformed);
    }
    parse(value.to_str().map_err(|_| Malformed)?).map(Some)
}

fn parse(header: &str) -> Result<Range, Malformed> {
    let (unit, range) = header.split_once('=').ok_or(Malformed)?;
    if !unit.trim_matches(SPACE).eq_ignore_ascii_case("bytes") {
        return Err(Malformed);
    }
    let (first, last) = range.split_once('-').ok_or(Malformed)?;
    match (position(first)?, position(last)?) {
        (None, None) => Err(Malformed),
        (None, Some(length)) => Ok(Range::Suffix(saturate(length))),
        (Some(first), Some(last)) if first > last => Err(Malformed),
        (Some(first), last) => Ok(Range::Offsets { first: saturate(first), last: last.map(saturate) }),
    }
}

const SPACE: [char; 2] = [' ', '\t'];

fn position(text: &str) -> Result<Option<u64>, Malformed> {
    let text = text.trim_matches(SPACE);
    if text.is_empty() {
        return Ok(None);
    }
    // Rust's own parser would take a sign too.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    text.parse().map(Some).map_err(|_| Malformed)
}

/// No object is as long as this, so what is beyond it is as far beyond the end of every object.
fn saturate(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
