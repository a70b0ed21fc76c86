//! What it costs to know who calls and what they may do: Steward without users, beside Steward with users, a table of
//! rights and the audit, in one run. Start it with `scripts/bench auth`.
//!
//! The servers run all the time and take turns of a second or two, in an order that goes round, so that each turn of
//! one has a turn of the other beside it. Two of them are the same, both without users: each side is compared with
//! the two together, and how much one of those differs from both is what the machine does by itself. Their clients send
//! a password, too; what that costs by itself shows a side of which nothing is sent. Everything is in memory unless
//! `--directory` says otherwise: the slower the disk, the less of the time is the layer's.

#[path = "locks/http.rs"]
mod http;
#[path = "locks/load.rs"]
#[expect(dead_code, reason = "nobody looks at single latencies here")]
mod load;
#[path = "restic/objects.rs"]
mod objects;
#[path = "auth/pairs.rs"]
mod pairs;
#[path = "locks/process.rs"]
#[expect(dead_code, reason = "flushes are not counted here")]
mod process;
#[path = "auth/sides.rs"]
mod sides;
#[path = "locks/steward.rs"]
#[expect(dead_code, reason = "locks are taken over gRPC here")]
mod steward;
#[path = "auth/table.rs"]
mod table;
#[path = "auth/transfers.rs"]
mod transfers;
#[path = "restic/wire.rs"]
#[expect(dead_code, reason = "nothing is listed here")]
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use self::sides::Sides;
use self::table::Rounds;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures Steward with users, rights and audit beside Steward without.
#[derive(Debug, Parser)]
struct Args {
    /// How long a turn with locks takes.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// How many turns each has.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many clients take locks; more than 16 share connections, 16 of them one.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    clients: Vec<usize>,
    /// Over how many connections objects are sent and fetched.
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    connections: Vec<usize>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "locks,transfers")]
    measures: Vec<Measure>,
    /// Which take turns, by words of their names: `password`, `token`, `audit`; those without users always do.
    #[arg(long, value_delimiter = ',')]
    sides: Vec<String>,
    /// How many servers each side has, which take its turns with locks one after the other: where a process lies in
    /// memory makes it some percent faster or slower.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    sets: u8,
    /// Where the servers keep their data. It is emptied.
    #[arg(long, default_value = "/dev/shm/bench-auth")]
    directory: PathBuf,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Lock and unlock pairs.
    Locks,
    /// Objects of backups, up and down.
    Transfers,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    // What an earlier run left; it may not be there.
    let _ = std::fs::remove_dir_all(&args.directory);
    let measured = measure(&args).await;
    // What is left in memory takes it from others.
    let _ = std::fs::remove_dir_all(&args.directory);
    measured
}

async fn measure(args: &Args) -> Result<(), BoxError> {
    let sets = usize::from(args.sets);
    let sides = Sides::start(&args.directory, &args.sides, sets).await?;
    let rounds = Rounds { count: args.rounds, sides: &sides, sets };
    let turn = Duration::from_secs_f64(args.seconds);
    println!("{}", sides.version());
    for measure in &args.measures {
        match measure {
            Measure::Locks => {
                for clients in &args.clients {
                    pairs::measure(&rounds, *clients, turn).await?;
                }
            }
            Measure::Transfers => {
                for connections in &args.connections {
                    transfers::measure(&Rounds { sets: 1, ..rounds }, *connections).await?;
                }
            }
        }
    }
    Ok(())
}
