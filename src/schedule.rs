//! When something is due again and again: cron expressions in a time zone.

use croner::Cron;
use croner::parser::{CronParser, CronParserBuilder, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 128;

/// How an expression is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Five fields, or `@hourly` and the like.
    Cron,
    /// The same, or Quartz's six or seven fields: seconds first, a year last, Sunday is 1, and one of the days is `?`.
    QuartzOrCron,
}

/// A schedule that is due again and again.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression. It has to be due at some time after `now_us`.
    pub(crate) fn parse(expression: &str, syntax: Syntax, zone: TimeZone, now_us: u64) -> Result<Self, String> {
        if expression.len() > MAX_BYTES {
            return Err(format!("has {} bytes; the limit is {MAX_BYTES}", expression.len()));
        }
        let parser = match syntax {
            Syntax::QuartzOrCron if expression.split_whitespace().count() > 5 => quartz(expression)?,
            Syntax::Cron | Syntax::QuartzOrCron => {
                CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed)
            }
        };
        let cron = parser.build().parse(expression).map_err(|error| format!("{expression:?}: {error}"))?;
        let parsed = Schedule { cron, zone };
        match parsed.next(now_us) {
            Some(_) => Ok(parsed),
            None => Err(format!("{expression:?} is never due")),
        }
    }

    /// When it is due first after a time; both in microseconds since the epoch.
    pub(crate) fn next(&self, after_us: u64) -> Option<u64> {
        let after = instant(after_us)?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        u64::try_from(next.timestamp().as_microsecond()).ok()
    }
}

/// How Quartz reads its fields, of which exactly one of the days has to be `?`.
fn quartz(expression: &str) -> Result<CronParserBuilder, String> {
    let mut fields = expression.split_whitespace().skip(3);
    let is_open = |field: Option<&str>| field == Some("?");
    let (day, weekday) = (is_open(fields.next()), is_open(fields.nth(1)));
    if day == weekday {
        return Err(format!("{expression:?}: one of the day of the month and the day of the week has to be `?`"));
    }
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Optional);
    // `0/15` is Quartz's own way to say every quarter.
    Ok(parser.alternative_weekdays(true).sloppy_ranges(true))
}

/// A time of a record.
pub(crate) fn instant(micros: u64) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(time: &str) -> u64 {
        u64::try_from(time.parse::<Timestamp>().expect("a time").as_microsecond()).expect("after 1970")
    }

    fn next(expression: &str, zone: &str, after: &str) -> Option<u64> {
        let zone = TimeZone::get(zone).expect("a zone");
        let schedule = Schedule::parse(expression, Syntax::QuartzOrCron, zone, micros(after)).expect("a schedule");
        schedule.next(micros(after))
    }

    #[test]
    fn the_forms_of_quartz_and_of_cron_are_read() {
        // A Sunday.
        let now = "2026-03-01T10:15:00Z";
        for (expression, due) in [
            ("30 2 * * *", "2026-03-02T02:30:00Z"),
            ("@hourly", "2026-03-01T11:00:00Z"),
            ("*/20 * * * *", "2026-03-01T10:20:00Z"),
            ("0 0 2 * * ?", "2026-03-02T02:00:00Z"),
            ("0/5 * * * * ?", "2026-03-01T10:15:05Z"),
            ("0 0/15 * * * ?", "2026-03-01T10:30:00Z"),
            ("30 15 10 ? * *", "2026-03-01T10:15:30Z"),
            ("0 0 12 ? * 2", "2026-03-02T12:00:00Z"),
            ("0 0 12 ? * MON-FRI", "2026-03-02T12:00:00Z"),
            ("0 0 12 ? * SUN", "2026-03-01T12:00:00Z"),
            ("0 0 12 L * ?", "2026-03-31T12:00:00Z"),
            ("0 0 12 15W * ?", "2026-03-16T12:00:00Z"),
            ("0 0 12 ? * 6L", "2026-03-27T12:00:00Z"),
            ("0 0 12 ? * 6#2", "2026-03-13T12:00:00Z"),
            ("0 0 12 1 1 ? 2030", "2030-01-01T12:00:00Z"),
            ("0 0 12 1 1 ? 2028-2030", "2028-01-01T12:00:00Z"),
        ] {
            assert_eq!(next(expression, "UTC", now), Some(micros(due)), "{expression:?}");
        }
        assert_eq!(next("0 0 8 ? * MON", "Europe/Berlin", now), Some(micros("2026-03-02T07:00:00Z")));
        assert_eq!(next("0 0 8 * * ?", "Asia/Shanghai", now), Some(micros("2026-03-02T00:00:00Z")));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let long = "0,".repeat(100);
        for expression in [
            "",
            "bad",
            "* * * *",
            "0 0 2 * * *",
            "0 0 2 ? * ?",
            "0 0 2 ? * 0",
            "0 61 * * * ?",
            "0 0 0 30 2 ?",
            "0 0 12 1 1 ? 2020",
            "0 0 12 1 1 ? 2030 1",
            "@reboot",
            &long,
        ] {
            let read = Schedule::parse(expression, Syntax::QuartzOrCron, TimeZone::UTC, micros("2026-03-01T10:15:00Z"));
            assert!(read.is_err(), "{expression:?}");
        }
        assert!(Schedule::parse("0 0 2 * * ?", Syntax::Cron, TimeZone::UTC, 0).is_err());
    }
}
