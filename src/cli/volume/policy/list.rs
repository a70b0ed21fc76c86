//! `steward volume policy list`, and policies in words.

use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;
use crate::cli::volume::session::Session;
use crate::cli::volume::{json, text};

const PAGE_SIZE: u32 = 1000;
const HEADINGS: [&str; 6] = ["NAME", "SCHEDULE", "KEEPS", "NEXT", "OWNER", "STATE"];

pub(super) async fn run(session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let mut request = pb::ListSnapshotPoliciesRequest {
        user: session.user(),
        page_size: PAGE_SIZE,
        ..pb::ListSnapshotPoliciesRequest::default()
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = session.take(session.policies().list_snapshot_policies(request.clone()).await)?;
        let now = time::now();
        table.show::<_, json::Policy>(page.policies, |policy| row(policy, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

fn row(policy: &pb::SnapshotPolicy, now: Timestamp) -> [String; 6] {
    [
        printable(&policy.name).into_owned(),
        schedule(policy),
        retention(policy.retention.as_ref()),
        or_dash(text::when(policy.next_time, now)),
        or_dash(printable(&policy.owner).into_owned()),
        state(policy),
    ]
}

/// `0 * * * * (Europe/Berlin)`.
pub(super) fn schedule(policy: &pb::SnapshotPolicy) -> String {
    let zone = if policy.time_zone.is_empty() { "UTC" } else { &policy.time_zone };
    printable(&format!("{} ({zone})", policy.schedule)).into_owned()
}

/// `last 3, daily 7`, or `all`.
pub(super) fn retention(retention: Option<&pb::Retention>) -> String {
    let pb::Retention { last, hourly, daily, weekly, monthly } = retention.copied().unwrap_or_default();
    let rules = [("last", last), ("hourly", hourly), ("daily", daily), ("weekly", weekly), ("monthly", monthly)];
    let rules: Vec<_> =
        rules.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    if rules.is_empty() { "all".to_owned() } else { rules.join(", ") }
}

/// `ready`, `paused` or what went wrong.
pub(super) fn state(policy: &pb::SnapshotPolicy) -> String {
    match (policy.paused, policy.last_error.as_str()) {
        (true, _) => "paused".to_owned(),
        (false, "") => "ready".to_owned(),
        (false, error) => printable(error).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_keep_nothing_are_not_told() {
        assert_eq!(retention(None), "all");
        let rules = pb::Retention { last: 3, daily: 7, ..pb::Retention::default() };
        assert_eq!(retention(Some(&rules)), "last 3, daily 7");
    }
}
