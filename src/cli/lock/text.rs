//! Locks in words, for people.

use std::iter;

use jiff::Timestamp;
use steward_proto::lock::v1 as pb;

use super::key;
use crate::cli::console::{Console, Tone, field, printable};
use crate::cli::time::{self, moment};

/// A new grant, with all that its holder needs, over several lines.
pub(super) fn granted(grant: Option<&pb::Grant>, console: &Console, now: Timestamp) -> String {
    let Some(grant) = grant else { return "granted".to_owned() };
    let key = key::text_or_unknown(grant.key.as_ref());
    let mut lines = vec![
        format!("{} {key} to {}", console.paint(Tone::Good, "granted"), printable(&grant.owner)),
        field("fencing token", &grant.fencing_token.to_string()),
        field("grant id", &printable(&grant.grant_id)),
        field("expires", &expiry(grant, now)),
    ];
    if !grant.lease_id.is_empty() {
        lines.push(field("lease", &printable(&grant.lease_id)));
    }
    lines.join("\n")
}

/// A lock as it stands, over several lines.
pub(super) fn lock(lock: &pb::Lock, console: &Console, now: Timestamp) -> String {
    let key = key::text_or_unknown(lock.key.as_ref());
    let mut lines = vec![console.paint(Tone::Heading, key).to_string(), field("state", &state(lock))];
    lines.extend(counted("holders", lock.holder_count, lock.holders.iter().map(|grant| holder(grant, now))));
    lines.extend(counted("waiters", lock.waiter_count, lock.waiters.iter().map(|place| waiter(place, now))));
    if lock.completion.is_some() {
        lines.push(field("completion", &completion(lock.completion.as_ref(), now)));
    }
    lines.join("\n")
}

/// How a lock is held, in one or two words.
pub(super) fn state(lock: &pb::Lock) -> String {
    if lock.holder_count > 0 {
        return held_as(lock);
    }
    match (lock.waiter_count, &lock.completion) {
        (0, None) => "free".to_owned(),
        (0, Some(_)) => "completed".to_owned(),
        (_, _) => "awaited".to_owned(),
    }
}

fn held_as(lock: &pb::Lock) -> String {
    match lock.mode() {
        pb::LockMode::Unspecified | pb::LockMode::Exclusive => "exclusive".to_owned(),
        pb::LockMode::Shared => "shared".to_owned(),
        pb::LockMode::Semaphore => {
            let taken: u32 = lock.holders.iter().map(|grant| grant.permits).sum();
            // Of a hundred holders and more only the first are known.
            let at_least = if lock.holder_count as usize > lock.holders.len() { "≥" } else { "" };
            format!("semaphore {at_least}{taken}/{}", lock.capacity)
        }
    }
}

/// `completed by nodec 3m ago, skipped until … (in 2m)`.
pub(super) fn completion(completion: Option<&pb::Completion>, now: Timestamp) -> String {
    let Some(completion) = completion else { return "completed".to_owned() };
    let mut text = format!("completed by {}", printable(&completion.owner));
    if let Some(time) = time::from_proto(completion.complete_time) {
        text = format!("{text} {}", time::relative(time, now));
    }
    if let Some(time) = time::from_proto(completion.expire_time) {
        text = format!("{text}, skipped until {}", moment(time, now));
    }
    text
}

/// When a grant ends: `2026-11-21T03:13:00Z (in 28s)`, or `never`.
pub(super) fn expiry(grant: &pb::Grant, now: Timestamp) -> String {
    match time::from_proto(grant.expire_time) {
        Some(time) => moment(time, now),
        None if grant.lease_id.is_empty() => "never".to_owned(),
        None => "with its lease".to_owned(),
    }
}

/// The holders by name, at most three of them.
pub(super) fn owners(lock: &pb::Lock) -> String {
    const SHOWN: usize = 3;
    let names: Vec<_> = lock.holders.iter().take(SHOWN).map(|grant| printable(&grant.owner)).collect();
    let others = (lock.holder_count as usize).saturating_sub(names.len());
    match others {
        0 => names.join(", "),
        others => format!("{} and {others} more", names.join(", ")),
    }
}

/// The number of things and one line for each; one more for those that the server did not list.
fn counted(name: &str, count: u32, lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let missing = (count as usize).saturating_sub(lines.len());
    let rest = (missing > 0).then(|| format!("    and {missing} more"));
    iter::once(field(name, &count.to_string())).chain(lines).chain(rest).collect()
}

fn holder(grant: &pb::Grant, now: Timestamp) -> String {
    let mut line = format!("    {}  token {}", printable(&grant.owner), grant.fencing_token);
    if grant.permits > 0 {
        line = format!("{line}  permits {}", grant.permits);
    }
    if let Some(since) = time::from_proto(grant.grant_time) {
        line = format!("{line}  since {}", moment(since, now));
    }
    let ends = if grant.is_unclaimed { "has to claim it by" } else { "expires" };
    format!("{line}  {ends} {}", expiry(grant, now))
}

fn waiter(place: &pb::Waiter, now: Timestamp) -> String {
    let line = format!("    {}  {}", place.queue_position, printable(&place.owner));
    match time::from_proto(place.enqueue_time) {
        Some(since) => format!("{line}  since {}", moment(since, now)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::console::Format;

    const NOW: i64 = 1_700_000_000;

    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    fn held() -> pb::Lock {
        pb::Lock {
            key: Some(key::parse("pull/sha256:abc").unwrap()),
            mode: pb::LockMode::Exclusive.into(),
            holders: vec![pb::Grant {
                owner: "nodea".to_owned(),
                fencing_token: 7,
                grant_time: Some(at(NOW - 60)),
                expire_time: Some(at(NOW + 28)),
                ..pb::Grant::default()
            }],
            holder_count: 1,
            waiters: vec![pb::Waiter { owner: "nodeb".to_owned(), queue_position: 1, ..pb::Waiter::default() }],
            waiter_count: 3,
            ..pb::Lock::default()
        }
    }

    #[test]
    fn a_held_lock_is_told_over_several_lines() {
        let console = Console::plain(Box::new(io::sink()), Format::Text);
        let expected = "\
pull/sha256:abc
  state          exclusive
  holders        1
    nodea  token 7  since 2023-11-14T22:12:20Z (1m ago)  expires 2023-11-14T22:13:48Z (in 28s)
  waiters        3
    1  nodeb
    and 2 more";
        assert_eq!(lock(&held(), &console, Timestamp::new(NOW, 0).unwrap()), expected);
    }

    #[test]
    fn a_lock_without_holders_is_free_awaited_or_completed() {
        let free = pb::Lock::default();
        assert_eq!(state(&free), "free");
        assert_eq!(state(&pb::Lock { waiter_count: 1, ..free.clone() }), "awaited");
        assert_eq!(state(&pb::Lock { completion: Some(pb::Completion::default()), ..free }), "completed");
    }

    #[test]
    fn a_semaphore_counts_its_permits() {
        let mut lock = held();
        lock.mode = pb::LockMode::Semaphore.into();
        lock.capacity = 4;
        lock.holders[0].permits = 3;
        assert_eq!(state(&lock), "semaphore 3/4");
    }

    #[test]
    fn owners_beyond_three_are_counted() {
        let mut lock = held();
        assert_eq!(owners(&lock), "nodea");
        lock.holder_count = 5;
        assert_eq!(owners(&lock), "nodea and 4 more");
    }
}
