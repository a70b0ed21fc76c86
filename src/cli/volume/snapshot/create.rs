//! `steward volume snapshot create`: one snapshot, or a group of one moment.

use std::time::Duration;

use clap::Args;
use steward_proto::volume::v1 as pb;

use crate::cli::age;
use crate::cli::console::Console;
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::volume::name::SnapshotPath;
use crate::cli::volume::session::{NO_SNAPSHOT, Session};
use crate::cli::volume::{labels, text};

/// Makes a snapshot of a volume, or snapshots of several volumes at one moment: all of them or none.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct CreateArgs {
    /// Which volumes, and the name of the snapshot, which is the same for all of them.
    #[arg(value_name = "PATH@NAME", required = true)]
    snapshots: Vec<SnapshotPath>,

    /// Delete them by themselves after so long, such as 12h or 7d. Default: never.
    #[arg(long, value_name = "DURATION", value_parser = age::parse)]
    ttl: Option<Duration>,

    /// Protect them from deletion.
    #[arg(long)]
    protect: bool,

    /// A label of theirs; as often as needed.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = labels::parse)]
    labels: Vec<(String, String)>,
}

pub(super) async fn run(args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match args.snapshots.as_slice() {
        [snapshot] => one(snapshot.clone(), args, session, console).await?,
        [first, ..] => group(first.name.clone(), args, session, console).await?,
        // The command line asks for at least one.
        [] => {}
    }
    Ok(Exit::DONE)
}

async fn one(
    snapshot: SnapshotPath,
    args: CreateArgs,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let request = pb::CreateSnapshotRequest {
        user: session.user(),
        volume: Some(snapshot.volume.to_proto()),
        name: snapshot.name,
        labels: args.labels.into_iter().collect(),
        ttl: args.ttl.map(duration::to_proto),
        protected: args.protect,
    };
    let answer = session.take(session.snapshots().create_snapshot(request).await)?;
    let line = |name: &str| {
        if answer.created { created(name, answer.pause) } else { format!("{name} is there already") }
    };
    text::say_snapshot(answer.snapshot.ok_or(NO_SNAPSHOT)?, line, console)
}

async fn group(name: String, args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    if let Some(other) = args.snapshots.iter().find(|snapshot| snapshot.name != name) {
        let problem = format!("the snapshots of one moment have one name, and {other} is not called {name:?}");
        return Err(Error::Local(problem));
    }
    let request = pb::CreateGroupSnapshotRequest {
        user: session.user(),
        volumes: args.snapshots.iter().map(|snapshot| snapshot.volume.to_proto()).collect(),
        name,
        labels: args.labels.into_iter().collect(),
        ttl: args.ttl.map(duration::to_proto),
    };
    let answer = session.take(session.snapshots().create_group_snapshot(request).await)?;
    for mut snapshot in answer.snapshots {
        if args.protect {
            let name = pb::SnapshotName { uuid: snapshot.uuid.clone(), ..pb::SnapshotName::default() };
            snapshot = session.protect_snapshot(name, true).await?;
        }
        text::say_snapshot(snapshot, |name| created(name, answer.pause), console)?;
    }
    Ok(())
}

/// `created /vm/disk1@before; writes waited 3ms`.
fn created(name: &str, pause: Option<prost_types::Duration>) -> String {
    let pause = pause.and_then(duration::from_proto).filter(|pause| *pause >= Duration::from_millis(1));
    let pause = pause.map(|pause| format!("; writes waited {}", duration::text(pause)));
    format!("created {name}{}", pause.unwrap_or_default())
}
