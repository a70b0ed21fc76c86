//! `steward volume snapshot delete`.

use clap::Args;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, Format};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::volume::json;
use crate::cli::volume::name::SnapshotPath;
use crate::cli::volume::operation;
use crate::cli::volume::session::Session;

/// Deletes snapshots. Their space is given back in the background.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct DeleteArgs {
    /// Which ones, in this order. One that cannot be deleted does not keep the others.
    #[arg(value_name = "PATH@NAME", required = true)]
    snapshots: Vec<SnapshotPath>,

    /// If clones need it: delete it as soon as the last of them needs it no more.
    #[arg(long, conflicts_with = "flatten_clones")]
    defer: bool,

    /// If clones need it: flatten them, then delete it.
    #[arg(long)]
    flatten_clones: bool,

    /// Wait until the space is given back.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: DeleteArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut exit = Exit::DONE;
    for snapshot in &args.snapshots {
        match delete(snapshot, &args, session, console).await {
            Ok(Exit::DONE) => {}
            Ok(other) => exit = other,
            Err(Error::Refused(status)) => {
                eprintln!("error: {snapshot}: {}", error::describe(&status));
                exit = Exit::ERROR;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

async fn delete(
    snapshot: &SnapshotPath,
    args: &DeleteArgs,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    let request = pb::DeleteSnapshotRequest {
        user: session.user(),
        snapshot: Some(snapshot.to_proto()),
        child_policy: args.child_policy().into(),
    };
    let answer = session.take(session.snapshots().delete_snapshot(request).await)?;
    match answer.operation {
        Some(operation) if args.wait => operation::finish(operation, session, console).await,
        Some(operation) if console.format() == Format::Json => {
            console.object(&json::Operation::from(operation)).map(|()| Exit::DONE)
        }
        Some(_) | None if console.format() == Format::Json => Ok(Exit::DONE),
        Some(_) | None => console.line(format_args!("deleted {snapshot}")).map(|()| Exit::DONE),
    }
}

impl DeleteArgs {
    fn child_policy(&self) -> pb::ChildPolicy {
        match (self.defer, self.flatten_clones) {
            (true, _) => pb::ChildPolicy::Defer,
            (false, true) => pb::ChildPolicy::Flatten,
            (false, false) => pb::ChildPolicy::Fail,
        }
    }
}
