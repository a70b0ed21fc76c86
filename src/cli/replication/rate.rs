//! How fast a task may copy: `10M/s`.

use crate::cli::volume::size;

/// Parses `10M/s`, also without `/s`; `none` is 0, no limit. The units are powers of 1024; `MB` is a power of 1000.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    if text == "none" {
        return Ok(0);
    }
    let bytes = size::parse(text.strip_suffix("/s").unwrap_or(text)).ok();
    match bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
        // The protocol's 0 is the opposite of what was asked for.
        Some(0) => Err("nothing moves at that rate; write `none` for no limit".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("not a rate; write it as 10M/s, or none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_size_a_second() {
        assert_eq!(parse("10M/s"), Ok(10 << 20));
        assert_eq!(parse("512k"), Ok(512 << 10));
        assert_eq!(parse("none"), Ok(0));
        assert!(parse("0").is_err() && parse("fast").is_err() && parse("/s").is_err());
    }
}
