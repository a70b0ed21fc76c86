//! A farm with a million videos: what it takes to keep them, to give them out and to list them; and beside it, in the
//! same run on the same disk, the same work of Postgres and of beanstalkd. Start it with `scripts/bench transcode`.
//!
//! A pair is one claim and one completion, each durable when it is answered. Clients share the machine with what they
//! measure, on every side.

#[path = "transcode/beanstalkd.rs"]
mod beanstalkd;
#[path = "transcode/grpc.rs"]
mod grpc;
#[path = "transcode/http.rs"]
mod http;
#[path = "transcode/lists.rs"]
mod lists;
#[path = "transcode/load.rs"]
mod load;
#[path = "transcode/postgresql.rs"]
mod postgresql;
#[path = "transcode/process.rs"]
mod process;
#[path = "transcode/steward.rs"]
mod steward;
#[path = "transcode/table.rs"]
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use self::load::Load;
use self::steward::Steward;
use self::table::Table;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures a farm of transcoding workers beside queues in Postgres and beanstalkd.
#[derive(Debug, Parser)]
struct Args {
    /// How many videos there are.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    videos: u32,
    /// How many tasks have ended before anything is measured.
    #[arg(long, default_value_t = 200_000)]
    finished: u32,
    /// How long a rate is measured.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How many workers work at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "claims,heartbeats,lists,peers")]
    measures: Vec<Measure>,
    /// Where everybody keeps their data. It is emptied.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-transcode"))]
    directory: PathBuf,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Claims and completions.
    Claims,
    /// Heartbeats.
    Heartbeats,
    /// Pages of lists.
    Lists,
    /// The same claims of Postgres and beanstalkd.
    Peers,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    // What an earlier run left; it may not be there.
    let _ = std::fs::remove_dir_all(&args.directory);
    std::fs::create_dir_all(&args.directory)?;
    let mut table = Table::new(args.videos);
    if args.measures.iter().any(|measure| *measure != Measure::Peers) {
        measure_steward(&args, &mut table).await?;
    }
    if args.measures.contains(&Measure::Peers) {
        measure_peers(&args, &mut table).await?;
    }
    table.print();
    // A million rows, three times.
    std::fs::remove_dir_all(&args.directory)?;
    Ok(())
}

impl Args {
    fn load(&self) -> Load {
        Load { clients: usize::from(self.clients), time: Duration::from_secs_f64(self.seconds) }
    }
}

async fn measure_steward(args: &Args, table: &mut Table) -> Result<(), BoxError> {
    let load = args.load();
    let steward = Steward::start(&args.directory.join("steward")).await?;
    let empty = steward.process.resident_bytes()?;
    let filled = steward.register_videos(args.videos).await?;
    table.fill(filled, empty, steward.process.resident_bytes()?);
    let workers = steward.register_workers(load.clients).await?;
    eprintln!("finishing {} tasks", args.finished);
    grpc::finish(&steward, &workers, args.finished).await?;
    if args.measures.contains(&Measure::Claims) {
        eprintln!("measuring claims");
        table.pairs("Steward, gRPC", grpc::claims(&steward, &workers, load).await?);
        table.pairs("Steward, /api/v1", http::claims(&steward, &workers, load).await?);
    }
    if args.measures.contains(&Measure::Heartbeats) {
        eprintln!("measuring heartbeats");
        table.heartbeats("Steward, gRPC", &grpc::heartbeats(&steward, &workers, load).await?);
        table.heartbeats("Steward, /api/v1", &http::heartbeats(&steward, &workers, load).await?);
    }
    if args.measures.contains(&Measure::Lists) {
        eprintln!("measuring lists");
        for page in lists::measure(&steward, load.time).await? {
            table.page(page);
        }
    }
    table.end(steward.process.resident_bytes()?);
    Ok(())
}

async fn measure_peers(args: &Args, table: &mut Table) -> Result<(), BoxError> {
    let load = args.load();
    match postgresql::programs() {
        Some(programs) => {
            let peer = postgresql::start(&programs, &args.directory.join("postgresql"), args.videos).await?;
            table.peer(peer.measure(load)?);
        }
        None => eprintln!("left out: PostgreSQL is not installed (Debian's package postgresql)"),
    }
    if beanstalkd::is_installed() {
        table.peer(beanstalkd::measure(&args.directory.join("beanstalkd"), load, args.videos).await?);
    } else {
        eprintln!("left out: beanstalkd is not installed");
    }
    Ok(())
}
