//! The `steward` binary.

use std::process::ExitCode;

use clap::Parser;

pub mod cli;

/// Coordinates stored things.
#[derive(Debug, Parser)]
#[command(name = "steward", version)]
enum Command {
    /// Takes, watches and gives back locks.
    Lock(cli::lock::LockArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Command::parse() {
        Command::Lock(args) => cli::lock::run(args).await,
    }
}
