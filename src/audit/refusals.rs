//! Refusals of one client within a second become one entry: the first is told at once, the others together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use steward_gateway::network;
use steward_proto::audit::v1::AuditEntry;

use crate::clock::Timestamp;

/// How long refusals are put together.
const WINDOW: Duration = Duration::from_secs(1);
/// So many clients are told apart within a second; all further ones are one.
const MAX_CLIENTS: usize = 200;

/// What was refused within the last second.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    clients: HashMap<Client, Collected>,
}

/// An address, or the network of one subscriber, and the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    One(Option<IpAddr>, String),
    Others,
}

#[derive(Debug)]
struct Collected {
    since: Timestamp,
    /// Those after the first.
    further: Option<AuditEntry>,
}

impl Refusals {
    /// Adds a refusal. Returns the entries that are to be written now.
    pub(super) fn add(&mut self, entry: AuditEntry, now: Timestamp) -> Vec<AuditEntry> {
        let mut client = Client::of(&entry);
        if !self.clients.contains_key(&client) && self.clients.len() >= MAX_CLIENTS {
            client = Client::Others;
        }
        let Some(collected) = self.clients.get_mut(&client) else {
            self.clients.insert(client, Collected { since: now, further: None });
            return vec![entry];
        };
        if now < collected.since.plus(WINDOW) {
            match &mut collected.further {
                Some(further) => merge(further, entry),
                None => collected.further = Some(entry),
            }
            return Vec::new();
        }
        let further = collected.further.take();
        collected.since = now;
        further.into_iter().chain([entry]).collect()
    }

    /// The entries whose second is over; without a time, all.
    pub(super) fn take_due(&mut self, now: Option<Timestamp>) -> Vec<AuditEntry> {
        let is_due = |collected: &Collected| now.is_none_or(|now| now >= collected.since.plus(WINDOW));
        self.clients
            .extract_if(|_, collected| is_due(collected))
            .filter_map(|(_, collected)| collected.further)
            .collect()
    }
}

impl Client {
    fn of(entry: &AuditEntry) -> Self {
        let address = entry.address.parse().ok().map(network);
        Client::One(address, entry.outcome.clone())
    }
}

/// Makes `sum` stand for `entry` too. What is not the same of both is empty.
fn merge(sum: &mut AuditEntry, entry: AuditEntry) {
    sum.count += entry.count;
    let pairs = [
        (&mut sum.user, entry.user),
        (&mut sum.proof, entry.proof),
        (&mut sum.address, entry.address),
        (&mut sum.method, entry.method),
        (&mut sum.area, entry.area),
        (&mut sum.right, entry.right),
        (&mut sum.resource, entry.resource),
        (&mut sum.outcome, entry.outcome),
        (&mut sum.reason, entry.reason),
        (&mut sum.request_id, entry.request_id),
    ];
    for (known, other) in pairs {
        if *known != other {
            known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str, user: &str) -> AuditEntry {
        let (address, user, method) = (address.to_owned(), user.to_owned(), "LockService/Get".to_owned());
        AuditEntry { address, user, method, outcome: "UNAUTHENTICATED".to_owned(), count: 1, ..AuditEntry::default() }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_of_the_second_together() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.add(refusal("10.0.0.1", "a"), at(0)).len(), 1);
        for (millis, user) in [(1, "a"), (2, "b"), (999, "c")] {
            assert!(refusals.add(refusal("10.0.0.1", user), at(millis)).is_empty());
        }
        assert_eq!(refusals.add(refusal("10.0.0.2", "a"), at(5)).len(), 1, "another client");
        let mut other = refusal("10.0.0.1", "a");
        other.outcome = "PERMISSION_DENIED".to_owned();
        assert_eq!(refusals.add(other, at(6)).len(), 1, "another outcome");
        assert!(refusals.take_due(Some(at(999))).is_empty());
        let due = refusals.take_due(Some(at(1000)));
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].count, due[0].user.as_str(), due[0].method.as_str()), (3, "", "LockService/Get"));
        assert_eq!(refusals.take_due(None).len(), 0);
        assert!(refusals.clients.is_empty());
    }

    #[test]
    fn none_is_lost_or_told_twice() {
        let mut refusals = Refusals::default();
        let mut told = 0;
        for step in 0..10_000_i64 {
            let address = format!("2001:db8::{:x}", step % 7);
            let entries = refusals.add(refusal(&address, "a"), at(step * 13));
            told += entries.iter().map(|entry| entry.count).sum::<i64>();
            if step % 50 == 0 {
                told += refusals.take_due(Some(at(step * 13))).iter().map(|entry| entry.count).sum::<i64>();
            }
        }
        told += refusals.take_due(None).iter().map(|entry| entry.count).sum::<i64>();
        assert_eq!(told, 10_000);
    }

    #[test]
    fn clients_that_are_too_many_are_one() {
        let mut refusals = Refusals::default();
        for number in 0..400_u32 {
            refusals.add(refusal(&std::net::Ipv4Addr::from_bits(number).to_string(), "a"), at(0));
        }
        assert_eq!(refusals.clients.len(), MAX_CLIENTS + 1);
        let due = refusals.take_due(None);
        assert_eq!(due.iter().map(|entry| (entry.count, entry.address.as_str())).collect::<Vec<_>>(), [(199, "")]);
    }
}
