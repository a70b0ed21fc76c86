//! `steward volume operation`: shows and steers work that takes long.

mod follow;
mod list;
mod wait;

use clap::{Args, Subcommand};
use steward_proto::volume::v1 as pb;

pub(super) use self::follow::finish;
use super::session::{NO_OPERATION, Session};
use super::{size, text};
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum OperationCommand {
    /// Lists operations.
    List(list::ListArgs),
    /// Shows one.
    Show(OneArgs),
    /// Waits until one has ended, and shows how far it is.
    Wait(wait::WaitArgs),
    /// Stops one and takes back what it has done so far.
    Cancel(OneArgs),
    /// Lets one rest, also over restarts of the server.
    Pause(OneArgs),
    /// Lets one that rests go on.
    Resume(OneArgs),
    /// Changes how fast one may be.
    Speed(SpeedArgs),
}

/// Which operation.
#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Its UUID.
    #[arg(value_name = "UUID")]
    uuid: String,
}

/// How fast an operation may be.
#[derive(Args, Debug)]
pub(super) struct SpeedArgs {
    /// Its UUID.
    #[arg(value_name = "UUID")]
    uuid: String,

    /// Such as 100M/s; max: as the server is set.
    #[arg(value_name = "SPEED", value_parser = size::parse_speed)]
    speed: u64,
}

pub(super) async fn run(
    command: OperationCommand,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    let user = session.user();
    let mut operations = session.operations();
    let operation = match command {
        OperationCommand::List(args) => return list::run(args, session, console).await,
        OperationCommand::Wait(args) => return wait::run(args, session, console).await,
        OperationCommand::Show(OneArgs { uuid }) => {
            session.take(operations.get_operation(pb::GetOperationRequest { user, uuid }).await)?.operation
        }
        OperationCommand::Cancel(OneArgs { uuid }) => {
            session.take(operations.cancel_operation(pb::CancelOperationRequest { user, uuid }).await)?.operation
        }
        OperationCommand::Pause(OneArgs { uuid }) => {
            session.take(operations.pause_operation(pb::PauseOperationRequest { user, uuid }).await)?.operation
        }
        OperationCommand::Resume(OneArgs { uuid }) => {
            session.take(operations.resume_operation(pb::ResumeOperationRequest { user, uuid }).await)?.operation
        }
        OperationCommand::Speed(SpeedArgs { uuid, speed }) => {
            let request = pb::SetOperationSpeedRequest { user, uuid, bytes_per_second: speed };
            session.take(operations.set_operation_speed(request).await)?.operation
        }
    };
    text::show_operation(operation.ok_or(NO_OPERATION)?, console)?;
    Ok(Exit::DONE)
}
