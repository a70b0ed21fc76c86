//! Sizes of volumes: `10G` is 10 · 1024³ bytes, as other tools of block devices have it.

use crate::cli::size;

/// How long a volume is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewSize {
    To(u64),
    /// By so much longer.
    By(u64),
}

/// Parses `10G`, `1.5T`, `10GiB`, `10GB` (powers of 1000) and plain bytes.
pub(in crate::cli) fn parse(text: &str) -> Result<u64, String> {
    let is_letter = |character: char| "kmgtKMGT".contains(character);
    let full = if text.ends_with(is_letter) { format!("{text}iB") } else { text.to_owned() };
    let bytes = size::parse(&full).ok().and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| "not a size; write it as 512M, 10G, 1.5T or a number of bytes".to_owned())
}

/// Parses `100M/s`, also without `/s`; `max` is 0, no limit but the server's.
pub(super) fn parse_speed(text: &str) -> Result<u64, String> {
    match text.strip_suffix("/s").unwrap_or(text) {
        "max" => Ok(0),
        size => match parse(size) {
            // The protocol's 0 is the opposite of what was asked for.
            Ok(0) => Err("nothing moves at that speed; `pause` lets an operation rest".to_owned()),
            Ok(bytes) => Ok(bytes),
            Err(_) => Err("not a speed; write it as 100M/s, or max".to_owned()),
        },
    }
}

/// Parses a size, or `+10G`.
pub(super) fn parse_new(text: &str) -> Result<NewSize, String> {
    match text.strip_prefix('+') {
        Some(more) => parse(more).map(NewSize::By),
        None => parse(text).map(NewSize::To),
    }
}

/// Parses a limit: a size, or `none`.
pub(super) fn parse_limit(text: &str) -> Result<u64, String> {
    if text == "none" { Ok(0) } else { parse(text).and_then(not_nothing) }
}

/// Parses a limit of things: a number, or `none`.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    if text == "none" {
        return Ok(0);
    }
    text.parse().map_err(|_| "not a number; write `none` for no limit".to_owned()).and_then(not_nothing)
}

/// The protocol's 0 is no limit, which is the opposite of what was asked for.
fn not_nothing(limit: u64) -> Result<u64, String> {
    if limit == 0 { Err("a limit is more than nothing; write `none` for no limit".to_owned()) } else { Ok(limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_is_a_power_of_1024() {
        for (text, bytes) in
            [("10G", 10 << 30), ("1.5t", 3 << 39), ("512k", 512 << 10), ("4096", 4096), ("1GB", 1_000_000_000)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "G", "10X", "-1G", "10 GG", "99999999T"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_plus_makes_longer() {
        assert_eq!(parse_new("+1G"), Ok(NewSize::By(1 << 30)));
        assert_eq!(parse_new("1G"), Ok(NewSize::To(1 << 30)));
        assert!(parse_new("++1G").is_err());
    }

    #[test]
    fn a_speed_is_a_size_a_second() {
        assert_eq!(parse_speed("100M/s"), Ok(100 << 20));
        assert_eq!(parse_speed("1G"), Ok(1 << 30));
        assert_eq!(parse_speed("max"), Ok(0));
        assert!(parse_speed("0").is_err() && parse_speed("fast").is_err());
    }

    #[test]
    fn no_limit_is_asked_for_by_name() {
        assert_eq!((parse_limit("none"), parse_count("none")), (Ok(0), Ok(0)));
        assert_eq!((parse_limit("1T"), parse_count("12")), (Ok(1 << 40), Ok(12)));
        assert!(parse_limit("0").is_err() && parse_count("0").is_err());
    }
}
