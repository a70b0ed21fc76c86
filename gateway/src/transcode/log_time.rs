//! Times between the protocol and the legacy API.
//!
//! Quirk: what is written has no zone and no fraction, and means UTC.
//! Quirk: what is read may have a zone, which is heeded; without one it is UTC. A `+` that a query turned into a space
//! is still one.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Writes a time; `None` for one that no calendar has.
pub(super) fn write(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = Timestamp::from_second(time?.seconds).ok()?;
    Some(TimeZone::UTC.to_datetime(time).to_string())
}

/// Reads an ISO date, with or without a time and a zone.
pub(super) fn read(text: &str) -> Option<prost_types::Timestamp> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"-:.,TtZz+ ".contains(&byte);
    // Longer than any such time, and the reader below knows more than times.
    if text.len() > 40 || !text.bytes().all(is_plain) {
        return None;
    }
    let text = restore_plus(text);
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let naive: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(naive).ok()
    })?;
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

/// The last moment that is shown as this time: what is written has no fraction, so what is shown as the end is inside.
pub(super) fn end_of_second(time: prost_types::Timestamp) -> prost_types::Timestamp {
    if time.nanos == 0 { prost_types::Timestamp { nanos: 999_999_999, ..time } } else { time }
}

/// A space behind the time of day was a plus.
fn restore_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((time, zone)) if time.contains(':') => format!("{time}+{zone}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9]{1,4}|[-:.,TtZz+ ]|.){0,20}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_is_read(seconds in -60_000_000_000_i64..250_000_000_000) {
            let time = prost_types::Timestamp { seconds, nanos: 0 };
            prop_assert_eq!(read(&write(Some(&time)).unwrap()), Some(time));
        }
    }

    #[test]
    fn times_are_written_naively_in_utc() {
        for (seconds, nanos, expected) in [
            (1_795_230_555, 0, Some("2026-11-21T03:09:15")),
            (1_795_230_555, 999_999_999, Some("2026-11-21T03:09:15")),
            (i64::MAX, 0, None),
        ] {
            assert_eq!(write(Some(&prost_types::Timestamp { seconds, nanos })).as_deref(), expected);
        }
        assert_eq!(write(None), None);
    }

    #[test]
    fn times_are_read_in_all_forms() {
        for (text, expected) in [
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("2026-11-21T03:09", "2026-11-21T03:09:00Z"),
            ("2026-11-21T03:09:15", "2026-11-21T03:09:15Z"),
            ("2026-11-21 03:09:15", "2026-11-21T03:09:15Z"),
            ("2026-11-21T03:09:15.5", "2026-11-21T03:09:15.5Z"),
            ("2026-11-21T03:09:15Z", "2026-11-21T03:09:15Z"),
            ("2026-11-21T03:09Z", "2026-11-21T03:09:00Z"),
            ("2026-11-21T03:09:15.123Z", "2026-11-21T03:09:15.123Z"),
            ("2026-11-21T03:09:15+08:00", "2026-11-20T19:09:15Z"),
            ("2026-11-21T03:09:15 08:00", "2026-11-20T19:09:15Z"),
            ("2026-11-21 03:09:15 08:00", "2026-11-20T19:09:15Z"),
            ("2026-11-21T03:09+0800", "2026-11-20T19:09:00Z"),
            ("2026-11-21T03:09:15-05:30", "2026-11-21T08:39:15Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            let read = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((read.seconds, read.nanos), (expected.as_second(), expected.subsec_nanosecond()), "{text}");
        }
    }

    #[test]
    fn other_times_are_none() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-11-21T25:00",
            "2026-11-21T03:09:15+99:00",
            "2026-11-21T03:09:15+08:00[Asia/Shanghai]",
            "1795230555",
            " ",
            "+",
            "2026-11-21 ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
