//! Which entries are shown.

use std::net::IpAddr;

use clap::Args;
use jiff::Timestamp;
use steward_proto::audit::v1 as pb;

use crate::cli::time;

/// What all commands can be asked for.
#[derive(Args, Clone, Debug)]
pub(super) struct FilterArgs {
    /// Only of this user.
    #[arg(long, value_name = "USER")]
    by: Option<String>,

    /// Only from this address.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,

    /// Only of this area: lock, transcode, artifact, replication, restic, volume, admin.
    #[arg(long, value_name = "AREA")]
    area: Option<String>,

    /// Only of this method, or of this service: `LockService/Acquire`, `LockService`.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,

    /// Only about resources that begin so.
    #[arg(long, value_name = "PREFIX")]
    resource: Option<String>,

    /// Only those that ended so: OK, `PERMISSION_DENIED`; !OK: all that failed.
    #[arg(long, value_name = "CODE")]
    outcome: Option<String>,

    /// Only of this request.
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// Not before: 2h for two hours ago, or 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "DURATION|TIME", value_parser = time::parse_past)]
    since: Option<Timestamp>,

    /// Before.
    #[arg(long, value_name = "DURATION|TIME", value_parser = time::parse_past)]
    until: Option<Timestamp>,
}

impl FilterArgs {
    pub(super) fn has_beginning(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn to_proto(&self) -> pb::EntryFilter {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        pb::EntryFilter {
            user: text(&self.by),
            area: text(&self.area),
            method: text(&self.method),
            resource_prefix: text(&self.resource),
            outcome: text(&self.outcome),
            start_time: self.since.map(time::to_proto),
            end_time: self.until.map(time::to_proto),
            address: self.from.map(|address| address.to_string()).unwrap_or_default(),
            request_id: text(&self.request),
        }
    }
}
