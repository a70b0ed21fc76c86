//! Metadata on the command line: `k=v`.

use std::collections::HashMap;

/// Parses `k=v`.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("not metadata; write it as key=value".to_owned()),
    }
}

/// As the protocol has them. The last of several values of a key counts.
pub(super) fn to_map(pairs: Vec<(String, String)>) -> HashMap<String, String> {
    pairs.into_iter().collect()
}
