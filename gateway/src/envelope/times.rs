//! Times without a zone, in the one of the server.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use prost_types::Timestamp;

/// Writes and reads times in a zone.
#[derive(Clone, Debug)]
pub(crate) struct LocalTimes(TimeZone);

impl LocalTimes {
    pub(crate) fn new(zone: TimeZone) -> Self {
        LocalTimes(zone)
    }

    /// `2022-08-23T10:45:19.79`: to the millisecond, without zeros at the end of the fraction.
    pub(crate) fn text(&self, time: Option<Timestamp>) -> Option<String> {
        let time = time?;
        let time = jiff::Timestamp::new(time.seconds, time.nanos).ok()?;
        let local = time.to_zoned(self.0.clone()).datetime();
        let seconds = local.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let fraction = format!("{:03}", local.subsec_nanosecond() / 1_000_000);
        match fraction.trim_end_matches('0') {
            "" => Some(seconds),
            digits => Some(format!("{seconds}.{digits}")),
        }
    }

    /// A local time as a point in time.
    pub(crate) fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let time = local.to_zoned(self.0.clone()).ok()?.timestamp();
        Some(Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
    }

    /// How far the zone is from UTC now: `+08:00`.
    pub(super) fn offset(&self) -> String {
        #[expect(clippy::disallowed_methods, reason = "a header that tells people what zone the times are in")]
        let offset = self.0.to_offset(jiff::Timestamp::now());
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

/// Reads a time without a zone. Quirk: a zone or an offset may be there, and says nothing.
pub(crate) fn parse_local(text: &str) -> Option<DateTime> {
    let text = text.split('[').next()?.trim_end_matches(['Z', 'z']);
    let (date, time) = text.split_once('T')?;
    let time = time.split(['+', '-']).next()?;
    format!("{date}T{time}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_no_zeros_at_their_end() {
        let times = LocalTimes::new(TimeZone::UTC);
        let text = |nanos| times.text(Some(Timestamp { seconds: 1_661_251_519, nanos })).expect("a time");
        assert_eq!(text(790_000_000), "2022-08-23T10:45:19.79");
        assert_eq!(text(0), "2022-08-23T10:45:19");
        assert_eq!(text(1_999_999), "2022-08-23T10:45:19.001");
        assert_eq!(times.offset(), "+00:00");
    }

    #[test]
    fn a_zone_that_comes_along_says_nothing() {
        let local = parse_local("2026-01-02T10:00:00");
        assert!(local.is_some());
        for text in ["2026-01-02T10:00:00Z", "2026-01-02T10:00:00+08:00", "2026-01-02T10:00:00-05:00[America/Lima]"] {
            assert_eq!(parse_local(text), local, "{text}");
        }
        assert_eq!(parse_local("tomorrow"), None);
        let shanghai = LocalTimes::new(TimeZone::fixed(jiff::tz::offset(8)));
        let instant = local.and_then(|local| shanghai.instant(local)).expect("a time");
        assert_eq!(shanghai.text(Some(instant)).as_deref(), Some("2026-01-02T10:00:00"));
    }
}
