//! One line for each thing that a watch sees.

use jiff::Timestamp;
use steward_proto::lock::v1::{self as pb, LockEventKind as Kind};

use crate::cli::console::{Console, Tone, printable};
use crate::cli::lock::{key, text};
use crate::cli::time;

/// A lock as it was when the watch began.
pub(super) fn of_lock(lock: &pb::Lock, console: &Console, now: Timestamp) -> String {
    let key = key::text_or_unknown(lock.key.as_ref());
    let mut facts = vec![text::state(lock)];
    if lock.holder_count > 0 {
        facts.push(format!("held by {}", text::owners(lock)));
    }
    if lock.waiter_count > 0 {
        facts.push(format!("{} waiting", lock.waiter_count));
    }
    if lock.completion.is_some() {
        facts.push(text::completion(lock.completion.as_ref(), now));
    }
    assemble(console, now, Tone::Quiet, "now", &key, &facts.join(", "))
}

/// A change.
pub(super) fn of_event(event: &pb::LockEvent, console: &Console) -> String {
    let key = key::text_or_unknown(event.key.as_ref());
    let when = time::from_proto(event.event_time).unwrap_or_else(time::now);
    let (word, tone) = name(event.kind());
    assemble(console, when, tone, word, &key, &details(event))
}

fn assemble(console: &Console, when: Timestamp, tone: Tone, word: &str, key: &str, details: &str) -> String {
    const LONGEST_WORD: usize = 18;
    let word = console.paint(tone, format!("{word:<LONGEST_WORD$}"));
    format!("{}  {word}  {key}  {details}", time::text(when)).trim_end().to_owned()
}

fn name(kind: Kind) -> (&'static str, Tone) {
    match kind {
        Kind::Unspecified => ("changed", Tone::Quiet),
        Kind::Granted => ("granted", Tone::Good),
        Kind::Enqueued => ("enqueued", Tone::Waiting),
        Kind::Assigned => ("assigned", Tone::Good),
        Kind::Claimed => ("claimed", Tone::Good),
        Kind::Renewed => ("renewed", Tone::Quiet),
        Kind::Released => ("released", Tone::Waiting),
        Kind::Expired => ("expired", Tone::Bad),
        Kind::ForceReleased => ("force-released", Tone::Bad),
        Kind::Completed => ("completed", Tone::Good),
        Kind::CompletionDropped => ("completion dropped", Tone::Waiting),
        Kind::WaitCancelled => ("wait cancelled", Tone::Quiet),
        Kind::LeaseLost => ("lease lost", Tone::Bad),
    }
}

fn details(event: &pb::LockEvent) -> String {
    let mut text = printable(&event.owner).into_owned();
    if let Some(grant) = &event.grant {
        text = format!("{text}  token {}", grant.fencing_token);
    }
    match event.outcome() {
        pb::Outcome::Succeeded => text.push_str("  succeeded"),
        pb::Outcome::Failed => text.push_str("  failed"),
        pb::Outcome::Unspecified | pb::Outcome::Released => {}
    }
    if !event.error.is_empty() {
        text = format!("{text}: {}", printable(&event.error));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::cli::console::Format;

    fn console() -> Console {
        Console::plain(Box::new(io::sink()), Format::Text)
    }

    #[test]
    fn an_event_is_one_line() {
        let event = pb::LockEvent {
            kind: Kind::Released.into(),
            key: Some(key::parse("pull/a").unwrap()),
            owner: "nodea".to_owned(),
            grant: Some(pb::Grant { fencing_token: 7, ..pb::Grant::default() }),
            outcome: pb::Outcome::Failed.into(),
            error: "no\nspace".to_owned(),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
            ..pb::LockEvent::default()
        };
        assert_eq!(
            of_event(&event, &console()),
            "2023-11-14T22:13:20Z  released            pull/a  nodea  token 7  failed: no\\nspace"
        );
    }

    #[test]
    fn a_lock_at_the_start_is_one_line() {
        let lock = pb::Lock {
            key: Some(key::parse("pull/a").unwrap()),
            holders: vec![pb::Grant { owner: "nodea".to_owned(), ..pb::Grant::default() }],
            holder_count: 1,
            waiter_count: 2,
            ..pb::Lock::default()
        };
        assert_eq!(
            of_lock(&lock, &console(), Timestamp::new(1_700_000_000, 0).unwrap()),
            "2023-11-14T22:13:20Z  now                 pull/a  exclusive, held by nodea, 2 waiting"
        );
    }
}
