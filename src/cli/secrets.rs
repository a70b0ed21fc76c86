//! `steward secrets`: the key that stored secrets are encrypted with.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use steward_proto::auth::v1::secret_service_client::SecretServiceClient;
use steward_proto::auth::v1::{RotateSecretsRequest, RotateSecretsResponse};

use super::connect::{ClientArgs, Server};
use super::console::{Console, Format, printable};
use super::error::{self, Error};
use super::exit::Exit;

/// `steward secrets …`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done, 1 error, or a stored secret that cannot be decrypted, 2 wrong usage.")]
pub struct SecretsArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Makes a new key, encrypts all stored secrets with it, and drops the former one.
    Rotate,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Rotated {
    sealed: i64,
    keys: i32,
    unreadable_count: i64,
    unreadable: Vec<String>,
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: SecretsArgs) -> ExitCode {
    let mut console = args.client.console();
    let done = match args.command {
        SecretsCommand::Rotate => rotate(args.client.server(), &mut console).await,
    };
    done.unwrap_or_else(|error| error::report(&error)).into()
}

async fn rotate(server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut client = SecretServiceClient::new(server.connect().await?);
    let answer = client.rotate_secrets(RotateSecretsRequest {}).await.map_err(server.failure())?.into_inner();
    let exit = if answer.unreadable_count == 0 { Exit::DONE } else { Exit::FOUND };
    show(answer, console)?;
    console.flush()?;
    Ok(exit)
}

fn show(answer: RotateSecretsResponse, console: &mut Console) -> Result<(), Error> {
    let RotateSecretsResponse { sealed_count, unreadable, unreadable_count, key_count } = answer;
    if console.format() == Format::Json {
        return console.object(&Rotated { sealed: sealed_count, keys: key_count, unreadable_count, unreadable });
    }
    console.line(format_args!("{sealed_count} stored secrets are encrypted with a new key"))?;
    if unreadable_count > 0 {
        console.line(format_args!(
            "{unreadable_count} can be decrypted with no key; until they are said again or removed, the former keys stay:"
        ))?;
    }
    unreadable.iter().try_for_each(|whose| console.line(format_args!("  {}", printable(whose))))
}
