//! What it costs to know who calls and what they may do: Steward without users, beside Steward with users, a table of
//! rights and the audit, in one run. Start it with `scripts/bench auth`.
//!
//! The servers take turns in an order that goes round, so that each turn of one has a turn of the other beside it. Two of
//! them are the same, both without users: each side is compared with the two together, and those two with each other, which
//! is what the machine does by itself. Their clients send a password, too; what that costs by itself shows a side of which
//! nothing is sent. Everything is in memory unless `--directory` says otherwise: the slower the disk, the less of the time
//! is the layer's.

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

use clap::Parser;

use self::sides::Sides;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures Steward with users, rights and audit beside Steward without.
#[derive(Debug, Parser)]
struct Args {
    /// How long a turn with locks takes, of 16 clients or fewer; more have longer ones.
    #[arg(long, default_value_t = 0.05)]
    seconds: f64,
    /// How many turns each has; with locks, those of one set of servers.
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
    /// How often the servers are started anew with locks: how fast one is differs by some percent from start to start.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    sets: u32,
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
    let measured = measure(&args).await;
    // What is left in memory takes it from others.
    let _ = std::fs::remove_dir_all(&args.directory);
    measured
}

async fn measure(args: &Args) -> Result<(), BoxError> {
    println!("steward {}", env!("CARGO_PKG_VERSION"));
    if args.measures.contains(&Measure::Locks) {
        for clients in &args.clients {
            pairs::measure(args, *clients).await?;
        }
    }
    if args.measures.contains(&Measure::Transfers) {
        let sides = Sides::start(&args.directory, &args.sides, 0).await?;
        for connections in &args.connections {
            transfers::measure(&sides, args.rounds, *connections).await?;
        }
    }
    Ok(())
}
