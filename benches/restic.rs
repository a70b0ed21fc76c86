//! Backup repositories of Steward beside rest-server and rclone: the same requests, the same machine, the same run.
//! Start it with `scripts/bench restic`.
//!
//! The servers run all the time and are asked one after the other, so that a measure is taken of all of them within
//! seconds. The load is raw HTTP/1.1 on kept connections: requests are framed beforehand, answers are read into one
//! buffer and thrown away. The client has the same cores as the server; what the server used is told beside.

#[path = "restic/measures.rs"]
mod measures;
#[path = "restic/objects.rs"]
mod objects;
#[path = "restic/server.rs"]
mod server;
#[path = "restic/table.rs"]
mod table;
#[path = "restic/tree.rs"]
mod tree;
#[path = "restic/whole.rs"]
mod whole;
#[path = "restic/wire.rs"]
mod wire;

use std::path::{Path, PathBuf};

use clap::Parser;

use self::measures::Bench;
use self::server::Server;
use self::table::Table;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures backup repositories of Steward, rest-server and rclone.
#[derive(Debug, Parser)]
struct Args {
    /// How long a rate is measured.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// A directory on a disk. It is emptied.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-restic"))]
    directory: PathBuf,
    /// A directory in memory. It is emptied.
    #[arg(long, default_value = "/dev/shm/bench-restic")]
    memory: PathBuf,
    /// Where to measure.
    #[arg(long, value_delimiter = ',', default_value = "memory,disk")]
    places: Vec<Place>,
    /// What to measure: transfers, requests, lists, million, whole.
    #[arg(long, value_delimiter = ',', default_value = "transfers,requests,lists,whole")]
    measures: Vec<Measure>,
    /// Whom to measure.
    #[arg(long, value_delimiter = ',', default_value = "steward,rest-server,rclone")]
    servers: Vec<server::Kind>,
    /// How often each measure is taken; the median is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    Memory,
    Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Objects of 16 MiB, up and down.
    Transfers,
    /// Small requests.
    Requests,
    /// Lists of 100,000 objects.
    Lists,
    /// Lists of 1,000,000 objects.
    Million,
    /// A real restic at work.
    Whole,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    for place in &args.places {
        let (name, directory) = match place {
            Place::Memory => ("in memory", &args.memory),
            Place::Disk => ("on the disk", &args.directory),
        };
        let table = measure(&args, directory).await;
        // What is left in memory takes it from others.
        let _ = std::fs::remove_dir_all(directory);
        table?.print(name);
    }
    Ok(())
}

async fn measure(args: &Args, directory: &Path) -> Result<Table, BoxError> {
    // What an earlier run left; it may not be there.
    let _ = std::fs::remove_dir_all(directory);
    let mut servers = Vec::new();
    for kind in &args.servers {
        servers.push(Server::start(*kind, &directory.join(kind.name())).await?);
    }
    let mut table = Table::of(&servers);
    let mut bench = Bench { servers: &servers, table: &mut table, seconds: args.seconds, rounds: args.rounds };
    for measure in &args.measures {
        match measure {
            Measure::Transfers => bench.transfers().await?,
            Measure::Requests => bench.requests().await?,
            Measure::Lists => bench.list(100_000).await?,
            Measure::Million => bench.list(1_000_000).await?,
            Measure::Whole => whole::measure(&mut bench, directory).await?,
        }
    }
    Ok(table)
}
