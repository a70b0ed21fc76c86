//! Numbers of bytes, as people write and read them.

const UNITS: [(&str, u64); 10] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1000_u64.pow(2)),
    ("gb", 1000_u64.pow(3)),
    ("tb", 1000_u64.pow(4)),
    ("pb", 1000_u64.pow(5)),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];
// More digits are no longer bytes, and would not fit into the calculation.
const MAX_FRACTION_DIGITS: usize = 15;

/// Parses `10GB` (powers of 1000), `1.5TiB` (powers of 1024) and plain bytes, cut off to the byte.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || "not a size; write it as 10GB, 1.5TiB or a number of bytes".to_owned();
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit_bytes(unit.trim()).ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.len() > MAX_FRACTION_DIGITS {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let tail: u64 = fraction.parse().map_err(|_| wrong())?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or_default());
    let bytes = u128::from(whole) * u128::from(unit) + u128::from(tail) * u128::from(unit) / scale;
    i64::try_from(bytes).map_err(|_| "more than a disk can have".to_owned())
}

/// Writes `512 B` or `1.5 GiB`, cut off after one digit.
pub(crate) fn text(bytes: u64) -> String {
    const NAMES: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(power) = bytes.checked_ilog(1024).filter(|power| *power > 0) else {
        return format!("{bytes} B");
    };
    let tenths = u128::from(bytes) * 10 / 1024_u128.pow(power);
    format!("{}.{} {}", tenths / 10, tenths % 10, NAMES[power as usize - 1])
}

/// The same of a number in the protocol, which is never negative.
pub(crate) fn of_proto(bytes: i64) -> String {
    text(u64::try_from(bytes).unwrap_or_default())
}

fn unit_bytes(unit: &str) -> Option<u64> {
    if unit.is_empty() {
        return Some(1);
    }
    UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("10GB"), Ok(10_000_000_000));
        assert_eq!(parse("1.5TiB"), Ok(3 << 39));
        assert_eq!(parse("0.5 kib"), Ok(512));
    }

    #[test]
    fn ambiguous_and_impossible_sizes_are_refused() {
        for wrong in ["", "GB", "10G", "-1", "1.2.3", ".", "1e9", "9999999 TiB", "1.0000000000000000001MB"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_written_with_one_digit() {
        assert_eq!(text(0), "0 B");
        assert_eq!(text(1023), "1023 B");
        assert_eq!(text(1024), "1.0 KiB");
        assert_eq!(text(3 << 29), "1.5 GiB");
        assert_eq!(text(u64::MAX), "15.9 EiB");
    }
}
