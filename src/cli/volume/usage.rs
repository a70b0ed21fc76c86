//! `steward volume usage`: who has what.

use clap::Args;
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use super::session::Session;
use super::{json, quota};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::{Table, or_dash};

const HEADINGS: [&str; 7] = ["USER", "SIZE", "VOLUMES", "SNAPSHOTS", "USED", "ALONE", "SHARED"];

/// Shows what users have of what they may have.
#[derive(Args, Debug)]
pub(super) struct UsageArgs {
    /// Whose. Default: one's own; of everybody for root.
    #[arg(value_name = "USER", default_value = "", hide_default_value = true)]
    of_user: String,
}

/// The last line.
#[derive(Serialize)]
struct Free {
    free_bytes: u64,
}

pub(super) async fn run(args: UsageArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::GetUsageRequest { user: session.user(), of_user: args.of_user };
    let answer = session.take(session.policies().get_usage(request).await)?;
    Table::new(HEADINGS).show::<_, json::Usage>(answer.usages, row, console)?;
    let free_bytes = answer.free_bytes;
    match console.format() {
        Format::Json => console.object(&Free { free_bytes })?,
        Format::Text => console.line(format_args!("{} are free", size::text(free_bytes)))?,
    }
    Ok(Exit::DONE)
}

fn row(usage: &pb::Usage) -> [String; 7] {
    let limit = usage.quota.clone().unwrap_or_default();
    [
        or_dash(printable(&usage.user).into_owned()),
        of(size::text(usage.logical_bytes), limit.max_bytes, quota::bytes),
        of(usage.volumes.to_string(), limit.max_volumes, quota::count),
        of(usage.snapshots.to_string(), limit.max_snapshots, quota::count),
        size::text(usage.used_bytes),
        size::text(usage.unique_bytes),
        size::text(usage.shared_bytes),
    ]
}

/// `3 of 10`, or `3`.
fn of(has: String, limit: u64, text: fn(u64) -> String) -> String {
    if limit == 0 { has } else { format!("{has} of {}", text(limit)) }
}
