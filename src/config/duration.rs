//! Durations as people write them: `30s`, `5m`, `1h 30m`, `7d`. A day has 24 hours.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let duration = SignedDuration::try_from(*duration).unwrap_or(SignedDuration::MAX);
    serializer.collect_str(&format_args!("{duration:#}"))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

fn parse(text: &str) -> Result<Duration, String> {
    let span: Span =
        text.parse().map_err(|_| format!("\"{}\" is not a duration such as 30s, 5m or 7d", text.escape_debug()))?;
    // Refused: months and years, which have no fixed length.
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| format!("{text}: {error}"))?;
    Duration::try_from(duration).map_err(|_| format!("{text} is negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_read_and_months_are_not() {
        assert_eq!(parse("7d"), Ok(Duration::from_hours(7 * 24)));
        assert_eq!(parse("2w"), Ok(Duration::from_hours(14 * 24)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("1500ms"), Ok(Duration::from_millis(1500)));
        for odd in ["1mo", "1y", "-5s", "soon", "5"] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}
