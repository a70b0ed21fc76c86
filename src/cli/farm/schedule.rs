//! Times of the week as people write them: `mon-fri 22:00-06:00`, `sat,sun`, `01:00-07:00`.

use serde::{Deserialize, Serialize};
use steward_proto::transcode::v1 as pb;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const EVERY_DAY: u32 = 0x7f;
const MINUTES_OF_A_DAY: i32 = 24 * 60;
const EXAMPLE: &str = "write it as mon-fri 22:00-06:00, sat,sun or 01:00-07:00";

/// A window in a file or on the command line.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Window(pub(crate) pb::Window);

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).map(Window).map_err(|problem| format!("in {text:?}: {problem}"))
    }
}

/// A schedule in JSON and in files.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Schedule {
    windows: Vec<String>,
    time_zone: String,
}

impl From<pb::Schedule> for Schedule {
    fn from(schedule: pb::Schedule) -> Self {
        Schedule { windows: schedule.windows.iter().map(text).collect(), time_zone: schedule.time_zone }
    }
}

/// Reads a window: days, times or both.
pub(crate) fn parse(text: &str) -> Result<pb::Window, String> {
    let parts: Vec<_> = text.split_whitespace().collect();
    let (days, times) = match parts[..] {
        [times] if times.contains(':') => (0, times),
        [days] => (parse_days(days)?, "00:00-24:00"),
        [days, times] => (parse_days(days)?, times),
        _ => return Err(EXAMPLE.to_owned()),
    };
    let (start, end) = times.split_once('-').ok_or(EXAMPLE)?;
    let (start_minute, end_minute) = (parse_time(start)?, parse_time(end)?);
    if start_minute == MINUTES_OF_A_DAY {
        return Err("a window begins at 23:59 at the latest".to_owned());
    }
    Ok(pb::Window { days, start_minute, end_minute })
}

/// Writes a window so that [`parse`] reads it.
pub(crate) fn text(window: &pb::Window) -> String {
    let times = format!("{}-{}", time(window.start_minute), time(window.end_minute));
    match window.days & EVERY_DAY {
        0 | EVERY_DAY => times,
        days => format!("{} {times}", days_text(days)),
    }
}

/// All windows in a line: `mon-fri 22:00-06:00, sat 00:00-24:00 (Europe/Berlin)`.
pub(crate) fn line(schedule: Option<&pb::Schedule>) -> String {
    let Some(schedule) = schedule.filter(|schedule| !schedule.windows.is_empty()) else {
        return "always".to_owned();
    };
    let windows: Vec<_> = schedule.windows.iter().map(text).collect();
    let zone = if schedule.time_zone.is_empty() { "UTC" } else { &schedule.time_zone };
    format!("{} ({zone})", windows.join("; "))
}

fn parse_days(text: &str) -> Result<u32, String> {
    let mut days = 0;
    for part in text.split(',') {
        days |= match part.split_once('-') {
            Some((first, last)) => run_of_days(parse_day(first)?, parse_day(last)?),
            None if part.eq_ignore_ascii_case("daily") => EVERY_DAY,
            None => 1 << parse_day(part)?,
        };
    }
    Ok(days)
}

/// From the first to the last, across the end of the week if need be.
fn run_of_days(first: usize, last: usize) -> u32 {
    let length = (last + DAYS.len() - first) % DAYS.len();
    (0..=length).fold(0, |days, step| days | 1 << ((first + step) % DAYS.len()))
}

fn parse_day(text: &str) -> Result<usize, String> {
    let day = DAYS.iter().position(|day| text.eq_ignore_ascii_case(day));
    day.ok_or_else(|| format!("{text:?} is no day; the days are mon, tue, wed, thu, fri, sat, sun"))
}

fn parse_time(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no time of the day; write it as 22:00");
    let number = |digits: &str| {
        let is_short = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|_| is_short)
    };
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let (hour, minute) = (number(hour).ok_or_else(wrong)?, number(minute).ok_or_else(wrong)?);
    let minutes = hour * 60 + minute;
    if minute < 60 && minutes <= MINUTES_OF_A_DAY { Ok(minutes) } else { Err(wrong()) }
}

fn time(minute: i32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `mon-fri,sun`: two days in a row are named both.
fn days_text(days: u32) -> String {
    let mut parts = Vec::new();
    let mut day = 0;
    while day < DAYS.len() {
        let length = (day..DAYS.len()).take_while(|day| days >> day & 1 == 1).count();
        match length {
            0 => {}
            1 | 2 => parts.extend(DAYS[day..day + length].iter().map(|day| (*day).to_owned())),
            _ => parts.push(format!("{}-{}", DAYS[day], DAYS[day + length - 1])),
        }
        day += length.max(1);
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: u32, start_minute: i32, end_minute: i32) -> pb::Window {
        pb::Window { days, start_minute, end_minute }
    }

    #[test]
    fn windows_are_read_as_people_write_them() {
        for (text, expected) in [
            ("mon-fri 22:00-06:00", window(0b001_1111, 1320, 360)),
            ("sat,sun", window(0b110_0000, 0, 1440)),
            ("fri-mon 1:30-24:00", window(0b111_0001, 90, 1440)),
            ("Daily 00:00-12:00", window(0x7f, 0, 720)),
            ("01:00-07:00", window(0, 60, 420)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused_with_a_hint() {
        for wrong in ["", "mon-fri 22:00", "monday", "24:00-06:00", "22:60-23:00", "25:00-1:00", "+1:00-2:00", "a b c"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse("mon 7-8").unwrap_err(), "\"7\" is no time of the day; write it as 22:00");
    }

    #[test]
    fn windows_are_written_as_they_are_read() {
        for text in ["mon-fri 22:00-06:00", "mon,tue,sat,sun 00:00-24:00", "wed-sun 00:00-00:01", "01:00-07:00"] {
            assert_eq!(super::text(&parse(text).unwrap()), text);
        }
    }

    #[test]
    fn a_schedule_without_windows_is_always() {
        assert_eq!(line(None), "always");
        let windows = vec![parse("sat").unwrap(), parse("mon 1:00-2:00").unwrap()];
        let schedule = pb::Schedule { windows, time_zone: String::new() };
        assert_eq!(line(Some(&schedule)), "sat 00:00-24:00; mon 01:00-02:00 (UTC)");
    }
}
