//! Files and images in words, for people.

use jiff::Timestamp;
use steward_proto::artifact::v1 as pb;

use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::json::word;
use crate::cli::time;

/// How many digits of a digest people need to see.
const SHORT_DIGEST: usize = 12;

/// What a repository holds.
pub(super) fn held(held: pb::RepositoryType) -> String {
    word(held.as_str_name(), "REPOSITORY_TYPE_")
}

/// `3h ago`, or `-`.
pub(super) fn when(at: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    time::from_proto(at).map_or_else(|| "-".to_owned(), |at| time::relative(at, now))
}

/// `2026-11-21T03:13:00Z (3h ago)`, and who; empty: not known.
pub(super) fn moment(at: Option<prost_types::Timestamp>, by: &str, now: Timestamp) -> String {
    let at = time::from_proto(at).map(|at| time::moment(at, now)).unwrap_or_default();
    if by.is_empty() { at } else { format!("{at}, {}", printable(by)) }
}

/// `sha256:0123456789ab`: enough to tell digests apart.
pub(super) fn short(digest: &str) -> String {
    let shown = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    let hex: String = shown.chars().take(SHORT_DIGEST).collect();
    let algorithm = &digest[..digest.len() - shown.len()];
    printable(&format!("{algorithm}{hex}")).into_owned()
}

/// A heading, and below it the fields that are not empty.
pub(super) fn lines(heading: &str, fields: &[(&str, String)], console: &Console) -> String {
    let mut lines = vec![console.paint(Tone::Heading, heading).to_string()];
    lines.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| field(name, value)));
    lines.join("\n")
}

/// Says that something is gone.
pub(super) fn deleted(name: &str, count: i64, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&super::json::Deleted { name: name.to_owned(), deleted: count }),
        Format::Text if count == 1 => console.line(format_args!("{}: deleted", printable(name))),
        Format::Text => console.line(format_args!("{}: {count} files deleted", printable(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_cut_behind_its_algorithm() {
        assert_eq!(short("sha256:0123456789abcdef"), "sha256:0123456789ab");
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
        assert_eq!(short(""), "");
    }
}
