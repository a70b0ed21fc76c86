//! When a policy is due: schedules of cron in a time zone.

use jiff::tz::TimeZone;

use super::error::Error;
use crate::schedule::{self, Syntax};

pub(super) use crate::schedule::instant;

/// A schedule that is due again and again.
#[derive(Clone, Debug)]
pub(super) struct Schedule(schedule::Schedule);

impl Schedule {
    /// Reads five fields of cron, or `@hourly` and the like. It has to be due at some time after `now_us`.
    pub(super) fn parse(schedule: &str, zone: &str, now_us: u64) -> Result<Self, Error> {
        let parsed = schedule::Schedule::parse(schedule, Syntax::Cron, time_zone(zone)?, now_us);
        parsed.map(Schedule).map_err(|problem| Error::Invalid { field: "policy.schedule", problem })
    }

    /// When it is due first after a time; both in microseconds since the epoch.
    pub(super) fn next(&self, after_us: u64) -> Option<u64> {
        self.0.next(after_us)
    }
}

/// The time zone of this name; empty: UTC.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, Error> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        let shown: String = name.chars().take(80).collect();
        Error::Invalid { field: "policy.time_zone", problem: format!("{shown:?} is not a time zone") }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn micros(time: &str) -> u64 {
        u64::try_from(time.parse::<Timestamp>().expect("a time").as_microsecond()).expect("after 1970")
    }

    fn next(schedule: &str, zone: &str, after: &str) -> Option<u64> {
        Schedule::parse(schedule, zone, micros(after)).expect("a schedule").next(micros(after))
    }

    #[test]
    fn five_fields_and_nicknames_are_read() {
        let now = "2026-03-01T10:15:00Z";
        assert_eq!(next("30 2 * * *", "", now), Some(micros("2026-03-02T02:30:00Z")));
        assert_eq!(next("@hourly", "", now), Some(micros("2026-03-01T11:00:00Z")));
        assert_eq!(next("15 10 * * *", "", now), Some(micros("2026-03-02T10:15:00Z")), "never the same minute again");
        assert_eq!(next("0 8 * * MON", "Europe/Berlin", now), Some(micros("2026-03-02T07:00:00Z")));
    }

    #[test]
    fn an_hour_that_comes_twice_is_one_tick_of_a_day() {
        // The clocks go back from 03:00 to 02:00 on 2026-10-25.
        let first = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z").expect("a tick");
        let schedule = Schedule::parse("30 2 * * *", "Europe/Berlin", first).expect("a schedule");
        assert!(schedule.next(first).expect("a tick") >= micros("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let long = "0,".repeat(100);
        for schedule in ["", "* * * *", "0 0 0 * * *", "61 * * * *", "hourly", "0 0 30 2 *", "@reboot", &long] {
            let read = Schedule::parse(schedule, "", 0);
            assert!(matches!(read, Err(Error::Invalid { field: "policy.schedule", .. })), "{schedule:?}");
        }
        let read = Schedule::parse("@daily", "Europe/Nowhere", 0);
        assert!(matches!(read, Err(Error::Invalid { field: "policy.time_zone", .. })));
    }
}
