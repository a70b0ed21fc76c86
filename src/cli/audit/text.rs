//! Entries in words, for people.

use std::fmt::Write as _;

use steward_proto::audit::v1 as pb;

use crate::cli::console::{Console, Tone, printable};
use crate::cli::time;

/// `2026-11-21T03:13:00Z  alice  10.0.0.1  LockService/Acquire  pull/sha256:a  OK`.
pub(super) fn line(entry: &pb::AuditEntry, console: &Console) -> String {
    let at = time::from_proto(entry.time).map_or_else(|| "-".to_owned(), time::text);
    let word = |text: &str| if text.is_empty() { "-".to_owned() } else { printable(text).into_owned() };
    let tone = match entry.outcome.as_str() {
        "OK" => Tone::Good,
        "UNAUTHENTICATED" | "PERMISSION_DENIED" | "DATA_LOSS" | "INTERNAL" => Tone::Bad,
        _ => Tone::Waiting,
    };
    let mut method = word(&entry.method);
    match entry.kind() {
        pb::EntryKind::Opened if !method.ends_with("Open") => method.push_str(" opened"),
        pb::EntryKind::Closed if !method.ends_with("Close") => method.push_str(" closed"),
        _ => {}
    }
    let mut line = format!(
        "{at}  {}  {}  {method}  {}  {}",
        word(&entry.user),
        console.paint(Tone::Quiet, word(&entry.address)),
        word(&entry.resource),
        console.paint(tone, word(&entry.outcome)),
    );
    if !entry.reason.is_empty() && entry.reason != entry.outcome {
        // A string always takes more.
        let _ = write!(line, " {}", printable(&entry.reason));
    }
    if entry.count > 1 {
        let _ = write!(line, "  {} times", entry.count);
    }
    line
}
