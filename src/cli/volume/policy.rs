//! `steward volume policy`: snapshots by a schedule.

mod attach;
mod list;
mod set;

use clap::{Args, Subcommand};
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

const NO_POLICY: Error = Error::Nonsense("it has no policy");

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Creates or replaces a policy.
    Set(set::SetArgs),
    /// Lists the policies.
    List,
    /// Shows one.
    Show(OneArgs),
    /// Removes one; its snapshots stay.
    Delete(OneArgs),
    /// Lets one rest: it makes no snapshots and deletes none.
    Pause(OneArgs),
    /// Lets one that rests go on.
    Resume(OneArgs),
    /// Lets a volume follow a policy.
    Attach(attach::AttachArgs),
    /// Lets a volume follow a policy no more.
    Detach(attach::AttachArgs),
}

/// Which policy.
#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
}

pub(super) async fn run(command: PolicyCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match command {
        PolicyCommand::Set(args) => show(put(args.policy(), session).await?, console)?,
        PolicyCommand::List => list::run(session, console).await?,
        PolicyCommand::Show(args) => show(get(args.name, session).await?, console)?,
        PolicyCommand::Delete(args) => delete(args.name, session, console).await?,
        PolicyCommand::Pause(args) => pause(args.name, true, session, console).await?,
        PolicyCommand::Resume(args) => pause(args.name, false, session, console).await?,
        PolicyCommand::Attach(args) => attach::run(args, attach::Step::Attach, session, console).await?,
        PolicyCommand::Detach(args) => attach::run(args, attach::Step::Detach, session, console).await?,
    }
    Ok(Exit::DONE)
}

async fn get(name: String, session: &Session<'_>) -> Result<pb::SnapshotPolicy, Error> {
    let request = pb::GetSnapshotPolicyRequest { user: session.user(), name };
    let answer = session.take(session.policies().get_snapshot_policy(request).await)?;
    answer.policy.ok_or(NO_POLICY)
}

async fn put(policy: pb::SnapshotPolicy, session: &Session<'_>) -> Result<pb::SnapshotPolicy, Error> {
    let request = pb::SetSnapshotPolicyRequest { user: session.user(), policy: Some(policy) };
    let answer = session.take(session.policies().set_snapshot_policy(request).await)?;
    answer.policy.ok_or(NO_POLICY)
}

async fn delete(name: String, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let request = pb::DeleteSnapshotPolicyRequest { user: session.user(), name: name.clone() };
    session.take(session.policies().delete_snapshot_policy(request).await)?;
    match console.format() {
        Format::Json => console.object(&Deleted { name }),
        Format::Text => console.line(format_args!("{}: deleted; its snapshots stay", printable(&name))),
    }
}

async fn pause(name: String, paused: bool, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let policy = get(name, session).await?;
    show(put(pb::SnapshotPolicy { paused, ..policy }, session).await?, console)
}

fn show(policy: pb::SnapshotPolicy, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        return console.object(&json::Policy::from(policy));
    }
    let now = time::now();
    let moment = |time| time::from_proto(time).map(|time| time::moment(time, now)).unwrap_or_default();
    let fields = [
        ("owner", printable(&policy.owner).into_owned()),
        ("schedule", list::schedule(&policy)),
        ("keeps", list::retention(policy.retention.as_ref())),
        ("state", list::state(&policy)),
        ("next", moment(policy.next_time)),
        ("last", moment(policy.last_time)),
    ];
    let lines = text::lines(&printable(&policy.name), &fields, console);
    console.line(lines)
}
