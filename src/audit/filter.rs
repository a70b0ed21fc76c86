//! Which entries somebody wants to see.

use std::net::IpAddr;

use steward_proto::audit::v1::{AuditEntry, EntryFilter};

use super::entry;
use super::files::TimeRange;
use crate::fields::Fields;

/// The longest text to look for.
const MAX_TEXT_BYTES: usize = 512;

/// What an entry has to be like.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    asked: EntryFilter,
    /// `!OK` is one without its sign.
    is_outcome_excluded: bool,
    pub(super) time: TimeRange,
}

impl Filter {
    pub(super) fn read(fields: &mut Fields, asked: Option<EntryFilter>) -> Self {
        let mut asked = asked.unwrap_or_default();
        for (field, text) in [
            ("filter.user", &asked.user),
            ("filter.area", &asked.area),
            ("filter.method", &asked.method),
            ("filter.resource_prefix", &asked.resource_prefix),
            ("filter.outcome", &asked.outcome),
            ("filter.address", &asked.address),
            ("filter.request_id", &asked.request_id),
        ] {
            fields.text(field, text, MAX_TEXT_BYTES);
        }
        if !asked.address.is_empty() {
            match asked.address.parse::<IpAddr>() {
                Ok(address) => asked.address = entry::address(Some(address)),
                Err(_) => fields.reject("filter.address", "is no IP address"),
            }
        }
        let excluded = asked.outcome.strip_prefix('!').map(str::to_owned);
        let is_outcome_excluded = excluded.is_some();
        asked.outcome = excluded.unwrap_or(asked.outcome).to_ascii_uppercase();
        let mut time = |field, time: Option<prost_types::Timestamp>| {
            time.map(|time| {
                if !(0..1_000_000_000).contains(&time.nanos) {
                    fields.reject(field, "is out of range");
                }
                entry::from_proto(time)
            })
        };
        let start = time("filter.start_time", asked.start_time);
        let end = time("filter.end_time", asked.end_time);
        Filter { asked, is_outcome_excluded, time: TimeRange { start, end } }
    }

    pub(super) fn matches(&self, entry: &AuditEntry) -> bool {
        let asked = &self.asked;
        let is_asked = |asked: &str, known: &str| asked.is_empty() || asked == known;
        let is_method = || {
            let service = || entry.method.strip_prefix(asked.method.as_str());
            is_asked(&asked.method, &entry.method) || service().is_some_and(|rest| rest.starts_with('/'))
        };
        let is_outcome = || asked.outcome.is_empty() || (asked.outcome == entry.outcome) != self.is_outcome_excluded;
        let time = entry::time(entry);
        is_asked(&asked.user, &entry.user)
            && is_asked(&asked.area, &entry.area)
            && is_method()
            && entry.resource.starts_with(&asked.resource_prefix)
            && is_outcome()
            && is_asked(&asked.address, &entry.address)
            && is_asked(&asked.request_id, &entry.request_id)
            && self.time.overlaps(time, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(asked: EntryFilter) -> Filter {
        let mut fields = Fields::default();
        let filter = Filter::read(&mut fields, Some(asked));
        fields.check().expect("a good filter");
        filter
    }

    fn entry() -> AuditEntry {
        AuditEntry {
            time: Some(prost_types::Timestamp { seconds: 100, nanos: 0 }),
            user: "alice".to_owned(),
            address: "10.0.0.1".to_owned(),
            method: "LockService/Acquire".to_owned(),
            area: "lock".to_owned(),
            resource: "pull/sha256:a".to_owned(),
            outcome: "OK".to_owned(),
            request_id: "r".to_owned(),
            ..AuditEntry::default()
        }
    }

    #[test]
    fn every_part_of_a_filter_counts() {
        let text = |text: &str| text.to_owned();
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let none = EntryFilter::default;
        let yes = [
            none(),
            EntryFilter { user: text("alice"), area: text("lock"), ..none() },
            EntryFilter { method: text("LockService"), ..none() },
            EntryFilter { method: text("LockService/Acquire"), resource_prefix: text("pull/"), ..none() },
            EntryFilter { outcome: text("ok"), ..none() },
            EntryFilter { outcome: text("!NOT_FOUND"), address: text("::ffff:10.0.0.1"), ..none() },
            EntryFilter { start_time: time(100), end_time: time(101), request_id: text("r"), ..none() },
        ];
        let no = [
            EntryFilter { user: text("bob"), ..none() },
            EntryFilter { area: text("loc"), ..none() },
            EntryFilter { method: text("LockService/Acq"), ..none() },
            EntryFilter { resource_prefix: text("push"), ..none() },
            EntryFilter { outcome: text("!OK"), ..none() },
            EntryFilter { address: text("10.0.0.2"), ..none() },
            EntryFilter { start_time: time(101), ..none() },
            EntryFilter { end_time: time(100), ..none() },
            EntryFilter { request_id: text("s"), ..none() },
        ];
        assert!(yes.iter().all(|asked| filter(asked.clone()).matches(&entry())));
        assert!(!no.iter().any(|asked| filter(asked.clone()).matches(&entry())));
    }

    #[test]
    fn odd_filters_are_refused_and_named() {
        let mut fields = Fields::default();
        let time = Some(prost_types::Timestamp { seconds: 0, nanos: -1 });
        let odd = EntryFilter {
            user: "x".repeat(513),
            address: "nowhere".to_owned(),
            end_time: time,
            ..EntryFilter::default()
        };
        Filter::read(&mut fields, Some(odd));
        let named: Vec<String> = fields.violations().into_iter().map(|(field, _)| field).collect();
        assert_eq!(named, ["filter.user", "filter.address", "filter.end_time"]);
    }
}
