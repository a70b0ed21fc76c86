//! Points in time, as people and programs read them.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp, Unit};

use super::duration;

/// The machine's wall clock, for showing how far away something is. Nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "a person compares the output with their own clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Out of its protobuf form; nothing when it is absent or out of range.
pub(crate) fn from_proto(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// Into its protobuf form.
pub(crate) fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    SystemTime::from(time).into()
}

/// RFC 3339, for programs.
pub(crate) fn json(time: Option<prost_types::Timestamp>) -> Option<String> {
    from_proto(time).map(|time| time.to_string())
}

/// RFC 3339 to the second, for people.
pub(crate) fn text(time: Timestamp) -> String {
    // Rounding fails only at the very end of jiff's range.
    time.round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc))
        .unwrap_or(time)
        .to_string()
}

/// `in 28s` or `3m ago`.
pub(crate) fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = time.duration_since(now);
    let length = duration::text(length(distance));
    match distance.cmp(&SignedDuration::ZERO) {
        Ordering::Less => format!("{length} ago"),
        Ordering::Equal => "now".to_owned(),
        Ordering::Greater => format!("in {length}"),
    }
}

/// Both: `2026-11-21T03:13:00Z (in 28s)`.
pub(crate) fn moment(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", text(time), relative(time, now))
}

/// Parses an age such as `2h`, or a point such as `2026-03-01T12:00:00Z`.
pub(crate) fn parse_past(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong = || "not a duration or a time; write it as 2h or 2026-03-01T12:00:00Z".to_owned();
    let age = SignedDuration::try_from(duration::parse(text).map_err(|_| wrong())?).map_err(|_| wrong())?;
    now().checked_sub(age).map_err(|_| wrong())
}

fn length(distance: SignedDuration) -> Duration {
    distance.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(seconds, 0).unwrap()
    }

    #[test]
    fn times_are_told_from_now() {
        assert_eq!(relative(at(130), at(100)), "in 30s");
        assert_eq!(relative(at(100), at(160)), "1m ago");
        assert_eq!(relative(at(100), at(100)), "now");
    }

    #[test]
    fn programs_get_every_digit_and_people_get_seconds() {
        let time = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 };
        assert_eq!(json(Some(time)).as_deref(), Some("2023-11-14T22:13:20.5Z"));
        assert_eq!(text(from_proto(Some(time)).unwrap()), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_past_time_is_a_point_or_an_age() {
        assert_eq!(parse_past("2023-11-14T22:13:20Z").unwrap(), at(1_700_000_000));
        let since = parse_past("2h").unwrap();
        let age = now().duration_since(since);
        assert!(age >= SignedDuration::from_hours(2) && age < SignedDuration::from_hours(3), "{age}");
        assert!(parse_past("yesterday").is_err());
    }
}
