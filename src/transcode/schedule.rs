//! Times of the week in which work is given out.

use std::time::Duration;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, Zoned};

use super::model::{ScheduleRecord, WindowRecord};
use crate::clock::Timestamp;

/// How far ahead an opening is looked for: every window opens within a week, but for the jumps of the clocks.
const HORIZON_DAYS: i32 = 8;
const HORIZON: Duration = Duration::from_hours(8 * 24);

/// Whether work is given out now.
pub(crate) fn is_open(schedule: Option<&ScheduleRecord>, now: Timestamp) -> bool {
    let Some(times) = schedule.and_then(Times::of) else { return true };
    times.is_open(instant(now))
}

/// `None` while work is given out; else when that begins.
pub(crate) fn next_opening(schedule: Option<&ScheduleRecord>, now: Timestamp) -> Option<Timestamp> {
    let times = schedule.and_then(Times::of)?;
    let here = instant(now);
    if times.is_open(here) {
        return None;
    }
    // What opens, opens at the start of a window, or where the clocks jump past it.
    let openings = times.starts(here).chain(times.jumps(here));
    let first = openings.filter(|time| *time > here && times.is_open(*time)).min();
    let nanos = first.and_then(|first| i64::try_from(first.as_nanosecond()).ok());
    Some(nanos.map_or_else(|| now.plus(HORIZON), Timestamp::from_nanos))
}

fn instant(time: Timestamp) -> Instant {
    Instant::from_nanosecond(i128::from(time.nanos())).unwrap_or_default()
}

/// The windows of a schedule at their place.
#[derive(Debug)]
struct Times<'a> {
    windows: &'a [WindowRecord],
    zone: TimeZone,
}

impl<'a> Times<'a> {
    /// `None`: without windows it is always open.
    fn of(schedule: &'a ScheduleRecord) -> Option<Self> {
        let zone = || time_zone(&schedule.time_zone).unwrap_or(TimeZone::UTC);
        (!schedule.windows.is_empty()).then(|| Times { windows: &schedule.windows, zone: zone() })
    }

    fn is_open(&self, time: Instant) -> bool {
        let time = time.to_zoned(self.zone.clone());
        self.windows.iter().any(|window| contains(window, &time))
    }

    /// When windows start, from the day of `now` on. A time of day that comes twice is there twice.
    fn starts(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let today = now.to_zoned(self.zone.clone()).date();
        let days = (0..=HORIZON_DAYS).filter_map(move |day| today.checked_add(day.days()).ok());
        days.flat_map(move |day| self.windows.iter().flat_map(move |window| self.start(window, day)))
    }

    fn start(&self, window: &WindowRecord, day: Date) -> impl Iterator<Item = Instant> + use<> {
        let part = |minutes: i32| i8::try_from(minutes).unwrap_or(0);
        let time = is_on(window, weekday(day))
            .then(|| day.at(part(window.start_minute / 60), part(window.start_minute % 60), 0, 0));
        let time = time.map(|time| self.zone.to_ambiguous_timestamp(time));
        time.into_iter().flat_map(|time| [time.earlier().ok(), time.later().ok()]).flatten()
    }

    /// When the clocks jump.
    fn jumps(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let jumps = self.zone.following(now).map(|jump| jump.timestamp());
        jumps.take_while(move |jump| jump.duration_since(now).unsigned_abs() <= HORIZON)
    }
}

/// The time zone of a schedule; `None` when there is no such one.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

/// From Monday, 0.
fn weekday(date: Date) -> i8 {
    date.weekday().to_monday_zero_offset()
}

fn is_on(window: &WindowRecord, weekday: i8) -> bool {
    window.days == 0 || window.days & (1 << weekday) != 0
}

fn contains(window: &WindowRecord, time: &Zoned) -> bool {
    let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
    let today = weekday(time.date());
    let yesterday = (today + 6) % 7;
    if window.start_minute < window.end_minute {
        return is_on(window, today) && (window.start_minute..window.end_minute).contains(&minute);
    }
    (is_on(window, today) && minute >= window.start_minute) || (is_on(window, yesterday) && minute < window.end_minute)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

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

    /// The same by a walk through all minutes.
    fn walked(schedule: &ScheduleRecord, now: Timestamp) -> Option<Timestamp> {
        if is_open(Some(schedule), now) {
            return None;
        }
        let into_minute = u64::try_from(now.nanos().rem_euclid(60_000_000_000)).expect("positive");
        let mut time = now.plus(MINUTE.saturating_sub(Duration::from_nanos(into_minute)));
        while !is_open(Some(schedule), time) {
            time = time.plus(MINUTE);
            if time.since(now) > HORIZON {
                return Some(now.plus(HORIZON));
            }
        }
        Some(time)
    }

    fn windows() -> impl Strategy<Value = Vec<WindowRecord>> {
        let minutes = prop_oneof![0..1440i32, prop::sample::select(vec![0, 60, 90, 120, 150, 179, 180])];
        let days = prop_oneof![3 => 1..128u32, 1 => Just(0)];
        let window = (days, minutes, prop_oneof![0..=1440i32, 100..200i32])
            .prop_map(|(days, start_minute, end_minute)| WindowRecord { days, start_minute, end_minute });
        prop::collection::vec(window, 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_next_opening_is_the_first_open_minute_also_where_the_clocks_jump(
            windows in windows(),
            zone in prop::sample::select(vec![
                "", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Beirut",
            ]),
            // Around the jumps of the year, and at any time of it.
            day in prop_oneof![80..95i64, 295..310i64, 0..365i64],
            second in 0..86_400i64,
        ) {
            let schedule = ScheduleRecord { windows, time_zone: zone.to_owned() };
            let now = at("2026-01-01T00:00:00Z").plus(Duration::from_secs(u64::try_from(day * 86_400 + second).unwrap()));
            prop_assert_eq!(next_opening(Some(&schedule), now), walked(&schedule, now));
        }
    }
}
