//! Looks on while an operation goes on, across restarts of the server.

use steward_proto::volume::v1 as pb;
use tonic::Status;

use crate::cli::backoff::Backoff;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::volume::session::Session;
use crate::cli::volume::{json, text};

/// How an operation ended.
#[derive(Debug)]
pub(in crate::cli::volume) struct Followed(pub(in crate::cli::volume) pb::Operation);

/// Waits for `operation`, and shows how it ended.
pub(in crate::cli::volume) async fn finish(
    operation: pb::Operation,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    if has_ended(&operation) {
        return report(Followed(operation), console);
    }
    let label = printable(&operation.target).into_owned();
    report(follow(&operation.uuid, &label, session).await?, console)
}

/// Waits for the operation `uuid`, with a line of progress called `label` on a terminal.
pub(in crate::cli::volume) async fn follow(uuid: &str, label: &str, session: &Session<'_>) -> Result<Followed, Error> {
    let progress = Progress::stderr();
    progress.begin(if label.is_empty() { uuid } else { label }, 0);
    let mut backoff = Backoff::new();
    loop {
        match watch(uuid, &progress, &mut backoff, session).await {
            Ok(Some(end)) => return Ok(end),
            Err(status) if !error::is_transient(&status) => return Err(session.failure(status)),
            Ok(None) | Err(_) => {
                if backoff.is_fresh() {
                    progress.clear();
                    eprintln!("steward: the connection is lost; reconnecting");
                }
                backoff.pause().await;
            }
        }
    }
}

/// Shows how it goes until it ends; nothing if the stream ends before.
async fn watch(
    uuid: &str,
    progress: &Progress,
    backoff: &mut Backoff,
    session: &Session<'_>,
) -> Result<Option<Followed>, Status> {
    let request = pb::WatchOperationRequest { user: session.user(), uuid: uuid.to_owned() };
    let mut stream = session.operations().watch_operation(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        let Some(operation) = message.operation else { continue };
        *backoff = Backoff::new();
        if has_ended(&operation) {
            progress.clear();
            return Ok(Some(Followed(operation)));
        }
        progress.set(operation.bytes_done, operation.bytes_total);
    }
    Ok(None)
}

/// Shows how an operation ended.
pub(in crate::cli::volume) fn report(Followed(operation): Followed, console: &mut Console) -> Result<Exit, Error> {
    let exit = match operation.state() {
        pb::OperationState::Succeeded | pb::OperationState::MetaInstalled => Exit::DONE,
        _ => Exit::FOUND,
    };
    match console.format() {
        Format::Json => console.object(&json::Operation::from(operation))?,
        Format::Text => console.line(line(&operation, console))?,
    }
    console.flush()?;
    Ok(exit)
}

/// `flatten of /vm/b: failed: disk full`.
fn line(operation: &pb::Operation, console: &Console) -> String {
    let state = text::operation_state(operation).painted(console);
    let line = format!("{} of {}: {state}", text::operation_type(operation), printable(&operation.target));
    match operation.error_message.as_str() {
        "" => line,
        error => format!("{line}: {}", printable(error)),
    }
}

/// Nothing more happens by itself: a clone that can be used counts too, for it may stay so for ever.
fn has_ended(operation: &pb::Operation) -> bool {
    match operation.state() {
        pb::OperationState::Succeeded
        | pb::OperationState::Failed
        | pb::OperationState::Cancelled
        | pb::OperationState::MetaInstalled => true,
        pb::OperationState::Unspecified
        | pb::OperationState::Queued
        | pb::OperationState::Running
        | pb::OperationState::Paused
        | pb::OperationState::Canceling
        | pb::OperationState::Retrying => false,
    }
}
