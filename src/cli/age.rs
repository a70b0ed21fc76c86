//! Long times: `7d`, `2w`, and what every other command reads.

use std::time::Duration;

use super::duration;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Parses `7d`, `2w`, `36h` and the like. A day has 24 hours.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let days = |unit, days: u64| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(days)?.checked_mul(DAY_SECONDS)
    };
    match days('d', 1).or_else(|| days('w', 7)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => duration::parse(text).map_err(|_| "not a duration; write it as 12h, 7d or 2w".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_times_too() {
        assert_eq!(parse("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(parse("2w"), Ok(Duration::from_hours(14 * 24)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        for wrong in ["d", "7", "-1d", "99999999999999999999d", "18446744073709551615w"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
