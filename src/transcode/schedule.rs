//! Times of the week in which work is given out.

use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::model::{ScheduleRecord, WindowRecord};
use crate::clock::Timestamp;

/// How far ahead an opening is looked for: every window opens within a week, but for the jumps of the clocks.
const HORIZON_MINUTES: i64 = 8 * 24 * 60;
const MINUTE: Duration = Duration::from_mins(1);

/// `None` while work is given out; else when that begins. Minutes are the finest step.
pub(crate) fn next_opening(schedule: Option<&ScheduleRecord>, now: Timestamp) -> Option<Timestamp> {
    let schedule = schedule.filter(|schedule| !schedule.windows.is_empty())?;
    let zone = time_zone(&schedule.time_zone).unwrap_or(TimeZone::UTC);
    let local = |time: Timestamp| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(time.nanos())).unwrap_or_default();
        time.to_zoned(zone.clone())
    };
    let is_open = |time: &Zoned| schedule.windows.iter().any(|window| contains(window, time));
    if is_open(&local(now)) {
        return None;
    }
    let into_minute = u64::try_from(now.nanos().rem_euclid(60_000_000_000)).unwrap_or(0);
    let mut time = Timestamp::from_nanos(now.nanos()).plus(MINUTE - Duration::from_nanos(into_minute));
    // A week by minutes is some ten thousand steps, which only a worker that rests pays, once a claim.
    for _ in 0..HORIZON_MINUTES {
        if is_open(&local(time)) {
            return Some(time);
        }
        time = time.plus(MINUTE);
    }
    Some(time)
}

/// The time zone of a schedule; `None` when there is no such one.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

fn contains(window: &WindowRecord, time: &Zoned) -> bool {
    let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
    let today = time.weekday().to_monday_zero_offset();
    let yesterday = (today + 6) % 7;
    let is_on = |day: i8| window.days == 0 || window.days & (1 << day) != 0;
    if window.start_minute < window.end_minute {
        return is_on(today) && (window.start_minute..window.end_minute).contains(&minute);
    }
    (is_on(today) && minute >= window.start_minute) || (is_on(yesterday) && minute < window.end_minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        let time: jiff::Timestamp = time.parse().expect("a time");
        Timestamp::from_nanos(i64::try_from(time.as_nanosecond()).expect("in range"))
    }

    fn schedule(days: u32, start_minute: i32, end_minute: i32, time_zone: &str) -> ScheduleRecord {
        let windows = vec![WindowRecord { days, start_minute, end_minute }];
        ScheduleRecord { windows, time_zone: time_zone.to_owned() }
    }

    #[test]
    fn without_windows_it_is_always_open() {
        assert_eq!(next_opening(None, at("2026-11-21T12:00:00Z")), None);
        assert_eq!(next_opening(Some(&ScheduleRecord::default()), at("2026-11-21T12:00:00Z")), None);
    }

    #[test]
    fn a_night_goes_on_into_the_next_day() {
        // Friday evening to Saturday morning, in Berlin.
        let night = schedule(1 << 4, 22 * 60, 6 * 60, "Europe/Berlin");
        assert_eq!(next_opening(Some(&night), at("2026-11-20T21:30:00Z")), None);
        assert_eq!(next_opening(Some(&night), at("2026-11-21T04:59:00Z")), None);
        assert_eq!(next_opening(Some(&night), at("2026-11-21T05:00:00Z")), Some(at("2026-11-27T21:00:00Z")));
        assert_eq!(next_opening(Some(&night), at("2026-11-20T20:59:30Z")), Some(at("2026-11-20T21:00:00Z")));
    }
}
