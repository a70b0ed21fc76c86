//! References to manifests: tags and digests.

use std::fmt;

use super::error::Error;
use crate::blob::Digest;

/// The longest tag, in bytes.
const MAX_TAG_BYTES: usize = 128;

/// Which manifest of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// The one that a tag names.
    Tag(String),
    /// The one with a digest.
    Digest(Digest),
}

impl Reference {
    /// Reads a tag or a digest.
    pub(super) fn parse(field: &'static str, text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::invalid(field, "is required"));
        }
        // No tag has a colon.
        if text.contains(':') {
            return parse_digest(field, text).map(Reference::Digest);
        }
        parse_tag(field, text).map(Reference::Tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Tag(tag) => f.write_str(tag),
            Reference::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Reads a tag.
pub(super) fn parse_tag(field: &'static str, text: &str) -> Result<String, Error> {
    if is_tag(text) {
        return Ok(text.to_owned());
    }
    let problem = format!(
        "is not a tag: a letter, a digit or `_`, then letters, digits, `.`, `_` and `-`; at most {MAX_TAG_BYTES} bytes"
    );
    Err(Error::invalid(field, problem))
}

/// Reads a digest.
pub(super) fn parse_digest(field: &'static str, text: &str) -> Result<Digest, Error> {
    text.parse::<Digest>().map_err(|error| Error::invalid(field, error.to_string()))
}

/// Whether a text can be a tag.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let Some((first, rest)) = text.as_bytes().split_first() else { return false };
    text.len() <= MAX_TAG_BYTES
        && is_word(*first)
        && rest.iter().all(|byte| is_word(*byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_tag_or_a_digest() {
        let longest = "a".repeat(128);
        for tag in ["latest", "1.0", "_", "V1-rc.1_x", &longest] {
            assert_eq!(Reference::parse("reference", tag).unwrap(), Reference::Tag(tag.to_owned()));
        }
        for digest in [format!("sha256:{}", "a".repeat(64)), format!("sha512:{}", "b".repeat(128))] {
            let reference = Reference::parse("reference", &digest).unwrap();
            assert_eq!(reference.to_string(), digest);
            assert!(matches!(reference, Reference::Digest(_)));
        }
        let longer = "a".repeat(129);
        for bad in ["", ".a", "-a", "a b", "a/b", "ä", "sha256:baddigeststring", "md5:00", "a:b", longer.as_str()] {
            let refused = Reference::parse("reference", bad);
            assert!(matches!(refused, Err(Error::Invalid { field: "reference", .. })), "{bad:?}");
        }
    }
}
