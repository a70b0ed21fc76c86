//! `steward volume quota`: what a user may have.

use clap::{ArgGroup, Args, Subcommand};
use steward_proto::volume::v1 as pb;

use super::session::{Session, is_refused_for};
use super::{json, size, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size::text as size_text;

#[derive(Debug, Subcommand)]
pub(super) enum QuotaCommand {
    /// Sets what a user may have; for root alone. What is not given stays.
    Set(SetArgs),
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("limits").required(true).multiple(true))]
pub(super) struct SetArgs {
    /// Which user.
    #[arg(value_name = "USER")]
    // `user` is who signs in.
    of_user: String,

    /// How long its volumes may be together, such as 2T, or `none`.
    #[arg(long, value_name = "SIZE", group = "limits", value_parser = size::parse_limit)]
    bytes: Option<u64>,

    /// How many volumes, those in the trash included, or `none`.
    #[arg(long, value_name = "N", group = "limits", value_parser = size::parse_count)]
    volumes: Option<u64>,

    /// How many snapshots, or `none`.
    #[arg(long, value_name = "N", group = "limits", value_parser = size::parse_count)]
    snapshots: Option<u64>,
}

pub(super) async fn run(command: QuotaCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let QuotaCommand::Set(args) = command;
    let before = quota_of(&args.of_user, session).await?;
    let quota = pb::Quota {
        max_bytes: args.bytes.unwrap_or(before.max_bytes),
        max_volumes: args.volumes.unwrap_or(before.max_volumes),
        max_snapshots: args.snapshots.unwrap_or(before.max_snapshots),
        user: args.of_user,
    };
    let request = pb::SetQuotaRequest { user: session.user(), quota: Some(quota) };
    let answer = session.take(session.policies().set_quota(request).await)?;
    let quota = answer.quota.ok_or(Error::Nonsense("it has no quota"))?;
    match console.format() {
        Format::Json => console.object(&json::Quota::from(quota))?,
        Format::Text => {
            let fields = [
                ("bytes", bytes(quota.max_bytes)),
                ("volumes", count(quota.max_volumes)),
                ("snapshots", count(quota.max_snapshots)),
            ];
            let lines = text::lines(&printable(&quota.user), &fields, console);
            console.line(lines)?;
        }
    }
    Ok(Exit::DONE)
}

async fn quota_of(user: &str, session: &Session<'_>) -> Result<pb::Quota, Error> {
    let request = pb::GetUsageRequest { user: session.user(), of_user: user.to_owned() };
    match session.take(session.policies().get_usage(request).await) {
        Ok(answer) => {
            let usage = answer.usages.into_iter().find(|usage| usage.user == user);
            Ok(usage.and_then(|usage| usage.quota).unwrap_or_default())
        }
        // It has nothing yet.
        Err(error) if is_refused_for(&error, "NOT_FOUND") => Ok(pb::Quota::default()),
        Err(error) => Err(error),
    }
}

/// `1.5 TiB`, or `none`.
pub(super) fn bytes(limit: u64) -> String {
    if limit == 0 { "none".to_owned() } else { size_text(limit) }
}

/// `12`, or `none`.
pub(super) fn count(limit: u64) -> String {
    if limit == 0 { "none".to_owned() } else { limit.to_string() }
}
