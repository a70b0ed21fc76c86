//! `steward volume`: makes, attaches, snapshots, clones and checks volumes.

mod attach;
mod clone;
mod create;
mod delete;
mod export;
#[cfg(test)]
mod fake;
mod flatten;
mod image;
mod import;
mod json;
mod label;
mod labels;
mod list;
mod mkdir;
mod name;
mod operation;
mod policy;
mod protect;
mod purge;
mod quota;
mod rename;
mod resize;
mod restore;
mod rollback;
mod scrub;
mod session;
mod show;
pub(super) mod size;
mod snapshot;
#[cfg(test)]
mod tests;
mod text;
mod trash;
mod tree;
mod usage;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::session::Session;
use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward volume …`
#[derive(Args, Debug)]
#[command(
    after_help = "A PATH is absolute, such as /vm/disk1; /vm/disk1@before names its snapshot `before`. The units K, M, \
                  G and T of sizes are powers of 1024.\n\n\
                  Exit codes: 0 done, 1 error, 2 wrong usage. `attach` and `scrub` have more: see their help."
)]
pub struct VolumeArgs {
    #[command(flatten)]
    client: ClientArgs,

    /// On whose behalf. Default: the server decides, by who has signed in.
    #[arg(long = "as", global = true, value_name = "USER", env = "STEWARD_VOLUME_USER")]
    on_behalf_of: Option<String>,

    #[command(subcommand)]
    command: VolumeCommand,
}

#[derive(Debug, Subcommand)]
enum VolumeCommand {
    /// Creates a volume.
    Create(create::CreateArgs),
    /// Creates a directory.
    Mkdir(mkdir::MkdirArgs),
    /// Lists a directory.
    List(list::ListArgs),
    /// Shows a volume or a snapshot, with all that belongs to it.
    Show(show::ShowArgs),
    /// Draws the volumes with their snapshots and clones.
    Tree(tree::TreeArgs),
    /// Moves a volume or directory to another path.
    Rename(rename::RenameArgs),
    /// Makes a volume longer.
    Resize(resize::ResizeArgs),
    /// Sets and removes labels.
    Label(label::LabelArgs),
    /// Protects volumes or snapshots from deletion.
    Protect(protect::ProtectArgs),
    /// Takes the protection from volumes or snapshots.
    Unprotect(protect::ProtectArgs),
    /// Moves volumes into the trash, and removes empty directories.
    Delete(delete::DeleteArgs),
    /// Lists the trash.
    Trash,
    /// Brings a volume back out of the trash.
    Restore(restore::RestoreArgs),
    /// Removes volumes of the trash for good.
    Purge(purge::PurgeArgs),
    /// Makes, lists, deletes and compares snapshots.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Makes a volume that starts as a snapshot, or as a volume is now.
    Clone(clone::CloneArgs),
    /// Gives a clone all the bytes that it reads from its parent.
    Flatten(flatten::FlattenArgs),
    /// Makes a volume read as one of its snapshots does.
    Rollback(rollback::RollbackArgs),
    /// Shows and steers work that takes long.
    #[command(subcommand)]
    Operation(operation::OperationCommand),
    /// Writes a volume or snapshot into a raw image.
    Export(export::ExportArgs),
    /// Writes a raw image into a volume.
    Import(import::ImportArgs),
    /// Has the bytes of volumes checked.
    Scrub(scrub::ScrubArgs),
    /// Makes snapshots by a schedule.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Sets what a user may have.
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// Shows what users have and may have.
    Usage(usage::UsageArgs),
    /// Shows the volumes or snapshots as they are, then every change.
    Watch(watch::WatchArgs),
    /// Opens a volume or snapshot as a block device.
    Attach(attach::AttachArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: VolumeArgs) -> ExitCode {
    let mut console = args.client.console();
    let user = args.on_behalf_of.unwrap_or_default();
    let exit = answer(args.command, user, args.client.server(), &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: VolumeCommand, user: String, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is told before anything is done on this machine.
    let session = &Session::open(server, user).await?;
    let exit = match command {
        VolumeCommand::Create(args) => create::run(args, session, console).await?,
        VolumeCommand::Mkdir(args) => mkdir::run(args, session, console).await?,
        VolumeCommand::List(args) => list::run(args, session, console).await?,
        VolumeCommand::Show(args) => show::run(args, session, console).await?,
        VolumeCommand::Tree(args) => tree::run(args, session, console).await?,
        VolumeCommand::Rename(args) => rename::run(args, session, console).await?,
        VolumeCommand::Resize(args) => resize::run(args, session, console).await?,
        VolumeCommand::Label(args) => label::run(args, session, console).await?,
        VolumeCommand::Protect(args) => protect::run(args, true, session, console).await?,
        VolumeCommand::Unprotect(args) => protect::run(args, false, session, console).await?,
        VolumeCommand::Delete(args) => delete::run(args, session, console).await?,
        VolumeCommand::Trash => trash::run(session, console).await?,
        VolumeCommand::Restore(args) => restore::run(args, session, console).await?,
        VolumeCommand::Purge(args) => purge::run(args, session, console).await?,
        VolumeCommand::Snapshot(command) => snapshot::run(command, session, console).await?,
        VolumeCommand::Clone(args) => clone::run(args, session, console).await?,
        VolumeCommand::Flatten(args) => flatten::run(args, session, console).await?,
        VolumeCommand::Rollback(args) => rollback::run(args, session, console).await?,
        VolumeCommand::Operation(command) => operation::run(command, session, console).await?,
        VolumeCommand::Export(args) => export::run(args, session, console).await?,
        VolumeCommand::Import(args) => import::run(args, session, console).await?,
        VolumeCommand::Scrub(args) => scrub::run(args, session, console).await?,
        VolumeCommand::Policy(command) => policy::run(command, session, console).await?,
        VolumeCommand::Quota(command) => quota::run(command, session, console).await?,
        VolumeCommand::Usage(args) => usage::run(args, session, console).await?,
        VolumeCommand::Watch(args) => watch::run(args, session, console).await?,
        VolumeCommand::Attach(args) => attach::run(args, session, console).await?,
    };
    console.flush()?;
    Ok(exit)
}
