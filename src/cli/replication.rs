//! `steward replication`: tasks that copy artifacts, and what their runs come to.

mod cancel;
mod cluster;
mod create;
mod delete;
mod history;
mod json;
mod list;
mod log;
mod name;
mod password;
mod plan;
mod rate;
mod results;
mod run;
mod session;
mod show;
mod status;
mod text;
mod toggle;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::session::Session;
use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward replication …`
#[derive(Args, Debug)]
#[command(
    after_help = "A TASK is named PROJECT/REPO/NAME, a run (EXECUTION) by 24 hexadecimal digits; a TASK in its place \
                        stands for the latest run of the task.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage. `status`, `run --wait` and `plan` have more: see \
                        their help."
)]
pub struct ReplicationArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: ReplicationCommand,
}

#[derive(Debug, Subcommand)]
enum ReplicationCommand {
    /// Creates a task, or changes the one of that name.
    Create(Box<create::CreateArgs>),
    /// Lists the tasks.
    List(list::ListArgs),
    /// Shows a task.
    Show(show::ShowArgs),
    /// Deletes a task and its runs.
    Delete(delete::DeleteArgs),
    /// Lets a task run.
    Enable(toggle::ToggleArgs),
    /// Lets a task run no more.
    Disable(toggle::ToggleArgs),
    /// Runs a task now.
    Run(run::RunArgs),
    /// Shows how a run stands.
    Status(status::StatusArgs),
    /// Stops a run.
    Cancel(cancel::CancelArgs),
    /// Does what a run has left that failed or was stopped.
    Resume(cancel::ResumeArgs),
    /// Tells what a run would do, without doing it.
    Plan(plan::PlanArgs),
    /// Lists the runs of a task.
    History(history::HistoryArgs),
    /// Lists what the artifacts of a run came to.
    Results(results::ResultsArgs),
    /// Shows the log of a run.
    Log(log::LogArgs),
    /// Looks after the other Stewards that can be copied to.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: ReplicationArgs) -> ExitCode {
    let mut console = args.client.console();
    let exit = answer(args.command, args.client.server(), &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: ReplicationCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is told before anybody is asked for a password.
    let session = &Session::open(server).await?;
    let exit = match command {
        ReplicationCommand::Create(args) => create::run(*args, session, console).await?,
        ReplicationCommand::List(args) => list::run(args, session, console).await?,
        ReplicationCommand::Show(args) => show::run(args, session, console).await?,
        ReplicationCommand::Delete(args) => delete::run(args, session, console).await?,
        ReplicationCommand::Enable(args) => toggle::run(args, true, session, console).await?,
        ReplicationCommand::Disable(args) => toggle::run(args, false, session, console).await?,
        ReplicationCommand::Run(args) => run::run(args, session, console).await?,
        ReplicationCommand::Status(args) => status::run(args, session, console).await?,
        ReplicationCommand::Cancel(args) => cancel::cancel(args, session, console).await?,
        ReplicationCommand::Resume(args) => cancel::resume(args, session, console).await?,
        ReplicationCommand::Plan(args) => plan::run(args, session, console).await?,
        ReplicationCommand::History(args) => history::run(args, session, console).await?,
        ReplicationCommand::Results(args) => results::run(args, session, console).await?,
        ReplicationCommand::Log(args) => log::run(args, session, console).await?,
        ReplicationCommand::Cluster(command) => cluster::run(command, session, console).await?,
    };
    console.flush()?;
    Ok(exit)
}
