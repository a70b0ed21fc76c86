//! Volumes of Steward beside `qemu-nbd` with raw and with qcow2 files: the same load, the same file system, the same run.
//! Start it with `scripts/bench volumes`.
//!
//! All servers run all the time and are loaded one after the other, by fio over a Unix socket, so that a measure is taken
//! of all of them within seconds. The load has the same cores as the servers; what a server used is told beside.

#[path = "volumes/fio.rs"]
mod fio;
#[path = "volumes/flatten.rs"]
mod flatten;
#[path = "volumes/loads.rs"]
mod loads;
#[path = "volumes/process.rs"]
mod process;
#[path = "volumes/qemu.rs"]
mod qemu;
#[path = "volumes/snapshots.rs"]
mod snapshots;
#[path = "volumes/steward.rs"]
mod steward;
#[path = "volumes/table.rs"]
mod table;

use std::path::{Path, PathBuf};

use clap::Parser;

use self::fio::Place;
use self::qemu::{Format, Qemu};
use self::steward::Steward;
use self::table::Table;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const MIB: u64 = 1024 * 1024;

/// Measures volumes of Steward, and of qemu-nbd.
#[derive(Debug, Parser)]
struct Args {
    /// How long each load runs.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// How many MiB are written and read. They fit in memory, so that the servers are measured and not the disk.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(64..))]
    size: u64,
    /// How often each measure is taken; the median is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A directory on the file system to measure. It is emptied.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-volumes"))]
    directory: PathBuf,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "loads,flush,fresh,depth,flatten,pause,clone,memory")]
    measures: Vec<Measure>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Reads and writes of 4 KiB and of 1 MiB.
    Loads,
    /// Writes that are flushed one by one.
    Flush,
    /// Writes right after a snapshot.
    Fresh,
    /// Reads through 64 snapshots.
    Depth,
    /// A flatten, and who works beside it.
    Flatten,
    /// How long writers wait for a snapshot.
    Pause,
    /// Clones of 100 GiB.
    Clone,
    /// Memory of an idle server, and of open volumes.
    Memory,
}

/// The servers, what to measure them with, and what was found.
struct Bench {
    steward: Steward,
    raw: Qemu,
    qcow2: Qemu,
    directory: PathBuf,
    seconds: u32,
    bytes: u64,
    rounds: u32,
    table: Table,
}

/// The volume that most loads run on.
const VOLUME: &str = "/bench";

impl Bench {
    async fn start(args: &Args) -> Result<Self, BoxError> {
        let directory = std::path::absolute(&args.directory)?;
        // What an earlier run left; it may not be there.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        let bytes = args.size * MIB;
        let steward = Steward::start(&directory.join("steward")).await?;
        steward.create(VOLUME, bytes).await?;
        let (raw, qcow2) = (directory.join("raw"), directory.join("qcow2"));
        qemu::create(&raw, Format::Raw, bytes)?;
        qemu::create(&qcow2, Format::Qcow2, bytes)?;
        let (raw, qcow2) = (Qemu::start(&raw, Format::Raw)?, Qemu::start(&qcow2, Format::Qcow2)?);
        let table = Table::new(raw.engine());
        let (seconds, rounds) = (args.seconds, args.rounds);
        let bench = Bench { steward, raw, qcow2, directory, seconds, bytes, rounds, table };
        for place in bench.places() {
            fio::fill(&place, bytes)?;
        }
        Ok(bench)
    }

    /// Where all of them are loaded.
    fn places(&self) -> [Place; 3] {
        [self.steward.place(VOLUME), self.raw.place(), self.qcow2.place()]
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    /// A row of what was measured in each round.
    fn add(&mut self, what: &str, rounds: [Vec<f64>; 3], target: table::Target) {
        self.table.add(what, rounds.map(table::median), target);
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    let mut bench = Bench::start(&args).await?;
    for measure in &args.measures {
        eprintln!("measuring: {measure:?}");
        match measure {
            Measure::Loads => loads::measure(&mut bench)?,
            Measure::Flush => loads::flushes(&mut bench)?,
            Measure::Fresh => snapshots::fresh(&mut bench).await?,
            Measure::Depth => snapshots::depth(&mut bench).await?,
            Measure::Flatten => flatten::measure(&mut bench).await?,
            Measure::Pause => snapshots::pause(&mut bench).await?,
            Measure::Clone => snapshots::clones(&mut bench).await?,
            Measure::Memory => loads::memory(&mut bench).await?,
        }
    }
    bench.table.print();
    Ok(())
}
