//! `steward volume snapshot`: makes, lists, deletes and compares snapshots.

mod create;
mod delete;
mod diff;
mod list;

use clap::Subcommand;

use super::session::Session;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Makes a snapshot; several are made at one moment.
    Create(create::CreateArgs),
    /// Lists snapshots.
    List(list::ListArgs),
    /// Deletes snapshots.
    Delete(delete::DeleteArgs),
    /// Shows what differs between two snapshots.
    Diff(diff::DiffArgs),
}

pub(super) async fn run(command: SnapshotCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match command {
        SnapshotCommand::Create(args) => create::run(args, session, console).await,
        SnapshotCommand::List(args) => list::run(args, session, console).await,
        SnapshotCommand::Delete(args) => delete::run(args, session, console).await,
        SnapshotCommand::Diff(args) => diff::run(args, session, console).await,
    }
}
