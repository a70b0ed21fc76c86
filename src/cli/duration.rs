//! Lengths of time, as people write and read them.

use std::time::Duration;

use jiff::SignedDuration;

/// Parses `30s`, `5m`, `1h30m`, `250ms` (and ISO 8601: `PT30S`).
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let example = "write it as 30s, 5m or 1h30m";
    let signed: SignedDuration = text.parse().map_err(|_| format!("not a duration; {example}"))?;
    Duration::try_from(signed).map_err(|_| format!("a duration cannot be negative; {example}"))
}

/// Writes `1h 30m`, to the second; to the millisecond when it is under a second.
pub(crate) fn text(duration: Duration) -> String {
    let rounded = match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    };
    SignedDuration::try_from(rounded).map_or_else(|_| format!("{}s", rounded.as_secs()), |signed| format!("{signed:#}"))
}

/// Into its protobuf form; the longest one when it does not fit.
pub(crate) fn to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 999_999_999 })
}

/// Out of its protobuf form; nothing when it is negative.
pub(crate) fn from_proto(duration: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(duration).ok()
}

/// As protobuf's JSON has it: `30s`, `1.5s`.
pub(crate) fn json(duration: prost_types::Duration) -> Option<String> {
    from_proto(duration).map(|duration| format!("{}s", duration.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn negative_and_bare_numbers_are_refused() {
        for wrong in ["-5s", "5s ago", "30", "", "soon"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn durations_are_written_to_the_second() {
        assert_eq!(text(Duration::from_millis(5_432_100)), "1h 30m 32s");
        assert_eq!(text(Duration::from_micros(250_999)), "250ms");
    }

    #[test]
    fn json_durations_are_seconds() {
        assert_eq!(json(to_proto(Duration::from_secs(30))).as_deref(), Some("30s"));
        assert_eq!(json(to_proto(Duration::from_millis(1500))).as_deref(), Some("1.5s"));
    }
}
