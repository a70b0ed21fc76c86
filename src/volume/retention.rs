//! Which snapshots of a policy are kept: of each period that has any, the newest.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use steward_proto::store::v1::SnapshotPolicyRecord;

/// How many snapshots to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many.
    pub last: u32,
    /// Of so many hours.
    pub hourly: u32,
    /// Of so many days.
    pub daily: u32,
    /// Of so many weeks, from Monday.
    pub weekly: u32,
    /// Of so many months.
    pub monthly: u32,
}

impl Retention {
    /// What a policy says.
    pub fn of(policy: &SnapshotPolicyRecord) -> Self {
        Retention {
            last: policy.keep_last,
            hourly: policy.keep_hourly,
            daily: policy.keep_daily,
            weekly: policy.keep_weekly,
            monthly: policy.keep_monthly,
        }
    }

    /// Whether any rule is there: without one everything is kept.
    pub fn has_rules(&self) -> bool {
        *self != Retention::default()
    }

    /// Those of `snapshots` that no rule keeps, the newest first.
    pub fn expired<T>(&self, mut snapshots: Vec<(Timestamp, T)>, zone: &TimeZone) -> Vec<T> {
        if !self.has_rules() {
            return Vec::new();
        }
        snapshots.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let mut rules = [
            Rule::new(self.last, Period::Each),
            Rule::new(self.hourly, Period::Hour),
            Rule::new(self.daily, Period::Day),
            Rule::new(self.weekly, Period::Week),
            Rule::new(self.monthly, Period::Month),
        ];
        let mut expired = Vec::new();
        for (number, (time, snapshot)) in snapshots.into_iter().enumerate() {
            let time = time.to_zoned(zone.clone());
            // Every rule looks at every snapshot, whether another one keeps it or not.
            let keeping = rules.iter_mut().filter_map(|rule| rule.keeps(number, &time).then_some(())).count();
            if keeping == 0 {
                expired.push(snapshot);
            }
        }
        expired
    }
}

#[derive(Clone, Copy, Debug)]
enum Period {
    Each,
    Hour,
    Day,
    Week,
    Month,
}

impl Period {
    /// A number that is the same for all times of one period, and only for them.
    fn of(self, number: usize, time: &Zoned) -> i64 {
        let day = || i64::from(time.date().duration_since(jiff::civil::date(1970, 1, 5)).as_hours() / 24);
        match self {
            Period::Each => i64::try_from(number).unwrap_or(i64::MAX),
            Period::Hour => (time.timestamp().as_second() + i64::from(time.offset().seconds())).div_euclid(3600),
            Period::Day => day(),
            // 1970-01-05 was a Monday.
            Period::Week => day().div_euclid(7),
            Period::Month => i64::from(time.year()) * 12 + i64::from(time.month()),
        }
    }
}

struct Rule {
    left: u32,
    period: Period,
    latest: Option<i64>,
}

impl Rule {
    fn new(left: u32, period: Period) -> Self {
        Rule { left, period, latest: None }
    }

    /// Whether it keeps the next older snapshot.
    fn keeps(&mut self, number: usize, time: &Zoned) -> bool {
        let period = self.period.of(number, time);
        if self.left == 0 || self.latest == Some(period) {
            return false;
        }
        self.latest = Some(period);
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(times: &[&str]) -> Vec<(Timestamp, String)> {
        times.iter().map(|time| (time.parse().expect("a time"), (*time).to_owned())).collect()
    }

    #[test]
    fn of_each_period_the_newest_is_kept() {
        let all = [
            "2026-03-01T10:00:00Z",
            "2026-03-01T22:00:00Z",
            "2026-03-02T10:00:00Z",
            "2026-03-02T22:00:00Z",
            "2026-03-03T10:00:00Z",
        ];
        let daily = Retention { daily: 2, ..Retention::default() };
        assert_eq!(daily.expired(times(&all), &TimeZone::UTC), [all[2], all[1], all[0]]);
        let weekly = Retention { weekly: 9, ..Retention::default() };
        assert_eq!(weekly.expired(times(&all), &TimeZone::UTC), [all[3], all[2], all[0]], "a Sunday ends its week");
        let monthly = Retention { monthly: 1, last: 2, ..Retention::default() };
        assert_eq!(monthly.expired(times(&all), &TimeZone::UTC), [all[2], all[1], all[0]]);
    }

    #[test]
    fn days_are_those_of_the_time_zone() {
        let all = ["2026-03-01T22:30:00Z", "2026-03-01T23:30:00Z"];
        let daily = Retention { daily: 9, ..Retention::default() };
        assert_eq!(daily.expired(times(&all), &TimeZone::UTC), [all[0]]);
        let berlin = TimeZone::get("Europe/Berlin").expect("a time zone");
        assert!(daily.expired(times(&all), &berlin).is_empty());
    }

    fn rules() -> impl Strategy<Value = Retention> {
        (0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32)
            .prop_map(|(last, hourly, daily, weekly, monthly)| Retention { last, hourly, daily, weekly, monthly })
    }

    fn moments() -> impl Strategy<Value = Vec<(Timestamp, usize)>> {
        prop::collection::btree_set(0..10_000_000_i64, 0..60).prop_map(|seconds| {
            let time = |second| Timestamp::from_second(1_700_000_000 + second).expect("a time");
            seconds.into_iter().enumerate().map(|(number, second)| (time(second), number)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_newest_is_always_kept_and_nothing_goes_without_a_rule(rules in rules(), all in moments()) {
            let expired = rules.expired(all.clone(), &TimeZone::UTC);
            if let Some((_, newest)) = all.last() {
                prop_assert!(!expired.contains(newest));
            }
            prop_assert!(rules.has_rules() || expired.is_empty());
        }

        #[test]
        fn at_most_as_many_are_kept_as_the_rules_say(rules in rules(), all in moments()) {
            let kept = all.len() - rules.expired(all, &TimeZone::UTC).len();
            let most = rules.last + rules.hourly + rules.daily + rules.weekly + rules.monthly;
            prop_assert!(!rules.has_rules() || kept <= usize::try_from(most).expect("a small number"));
        }

        #[test]
        fn what_was_kept_is_kept_when_it_is_looked_at_again(rules in rules(), all in moments()) {
            let expired = rules.expired(all.clone(), &TimeZone::UTC);
            let kept: Vec<_> = all.into_iter().filter(|(_, number)| !expired.contains(number)).collect();
            prop_assert!(rules.expired(kept, &TimeZone::UTC).is_empty());
        }
    }
}
