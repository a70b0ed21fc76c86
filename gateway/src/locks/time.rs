//! Times and durations between the protocol and the legacy API.
//!
//! Quirk: times have as many digits of a second as they need, as Go writes them.

use std::time::Duration;

use jiff::Timestamp;

/// What Go writes for a time that was never set.
const GO_ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Writes a time in UTC. One that no calendar has becomes Go's zero time.
pub(super) fn rfc3339(time: &prost_types::Timestamp) -> String {
    Timestamp::new(time.seconds, time.nanos).map_or_else(|_| zero(), |time| time.to_string())
}

/// Writes a time in UTC, or Go's zero time when there is none.
pub(super) fn rfc3339_or_zero(time: Option<&prost_types::Timestamp>) -> String {
    time.map_or_else(zero, rfc3339)
}

/// Converts a duration of at most some centuries.
pub(super) fn to_proto(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).expect("a checked ttl fits into 64 bits of seconds")
}

fn zero() -> String {
    GO_ZERO_TIME.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{rfc3339, rfc3339_or_zero};

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (seconds, nanos, expected) in [
            (1_795_230_780, 970_373_481, "2026-11-21T03:13:00.970373481Z"),
            (1_795_230_780, 970_000_000, "2026-11-21T03:13:00.97Z"),
            (1_795_230_780, 1, "2026-11-21T03:13:00.000000001Z"),
            (1_795_230_780, 0, "2026-11-21T03:13:00Z"),
            (i64::MAX, 0, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(&prost_types::Timestamp { seconds, nanos }), expected);
        }
        assert_eq!(rfc3339_or_zero(None), "0001-01-01T00:00:00Z");
    }
}
