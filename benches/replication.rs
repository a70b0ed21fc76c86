//! Images pushed to, pulled from and copied by Steward, beside Debian's docker-registry and skopeo: the same bytes, the
//! same machine, the same run. Start it with `scripts/bench replication`.

#[path = "replication/image.rs"]
mod image;
#[path = "replication/raw.rs"]
mod raw;
#[path = "replication/server.rs"]
mod server;
#[path = "replication/skopeo.rs"]
mod skopeo;
#[path = "replication/sync.rs"]
mod sync;
#[path = "replication/table.rs"]
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;

use self::image::Image;
use self::server::{Kind, Server};
use self::table::{Row, Table};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures images of Steward, docker-registry and skopeo.
#[derive(Debug, Parser)]
struct Args {
    /// How many MiB the big image has.
    #[arg(long, default_value_t = 1024)]
    image: usize,
    /// How many small images are copied.
    #[arg(long, default_value_t = 200)]
    small: usize,
    /// How many big ones.
    #[arg(long, default_value_t = 4)]
    big: usize,
    /// How often each measure is taken; the best is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "raw,skopeo,sync")]
    measures: Vec<Measure>,
    /// Where the servers keep what they are given. It is emptied.
    #[arg(long, default_value = "/dev/shm/bench-replication")]
    directory: PathBuf,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Push and pull by a client of our own.
    Raw,
    /// Push and pull by skopeo.
    Skopeo,
    /// Copies of many images.
    Sync,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    // What an earlier run left; it may not be there.
    let _ = std::fs::remove_dir_all(&args.directory);
    let mut table = Table::default();
    let measured = measure(&args, &mut table).await;
    let _ = std::fs::remove_dir_all(&args.directory);
    measured?;
    table.print();
    Ok(())
}

async fn measure(args: &Args, table: &mut Table) -> Result<(), BoxError> {
    if args.measures.contains(&Measure::Raw) {
        let image = Image::new(1, 4, args.image * 1024 * 1024 / 4);
        transfers(args, table, "raw", &image).await?;
    }
    if args.measures.contains(&Measure::Skopeo) {
        let image = Image::new(2, 4, args.image * 1024 * 1024 / 4);
        image.write_layout(&args.directory.join("layout"))?;
        transfers(args, table, "skopeo", &image).await?;
        std::fs::remove_dir_all(args.directory.join("layout"))?;
    }
    if args.measures.contains(&Measure::Sync) {
        sync::measure(args, table).await?;
    }
    Ok(())
}

/// What a transfer took.
#[derive(Clone, Copy, Debug)]
struct Taken {
    seconds: f64,
    /// Of a core, of the server.
    cpu: f64,
    /// MiB over what it kept before.
    memory: f64,
}

/// Runs something against a server, and says what it took.
async fn taken(server: &Server, work: impl Future<Output = Result<(), BoxError>>) -> Result<Taken, BoxError> {
    let (cpu, resident) = (server.cpu()?, server.resident()?);
    server.forget_peak()?;
    let start = Instant::now();
    work.await?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Taken { seconds, cpu: server.cpu()? - cpu, memory: server.peak()? - resident })
}

/// Pushes an image to both servers and pulls it again, each on an empty one every time.
async fn transfers(args: &Args, table: &mut Table, client: &str, image: &Image) -> Result<(), BoxError> {
    let mut best: [[Option<Taken>; 2]; 2] = [[None; 2]; 2];
    for _ in 0..args.rounds {
        for (index, kind) in [Kind::Steward, Kind::Registry].into_iter().enumerate() {
            let home = args.directory.join(kind.name());
            let server = Server::start(kind, &home).await?;
            let name = server.image_name("big");
            let layout = args.directory.join("layout");
            let pushed = match client {
                "raw" => taken(&server, raw::push(server.address, &name, image, "1")).await?,
                _ => taken(&server, skopeo::push(&layout, server.address, &name)).await?,
            };
            let copy = args.directory.join("copy");
            let pulled = match client {
                "raw" => taken(&server, raw::pull(server.address, &name, image)).await?,
                _ => taken(&server, skopeo::pull(server.address, &name, &copy)).await?,
            };
            let _ = std::fs::remove_dir_all(&copy);
            keep_best(&mut best[0][index], pushed);
            keep_best(&mut best[1][index], pulled);
            drop(server);
            std::fs::remove_dir_all(&home)?;
        }
    }
    for (what, best) in ["push", "pull"].into_iter().zip(best) {
        let [steward, registry] = best.map(|taken| taken.ok_or("nothing was measured"));
        add(table, &format!("{client}: {what}"), image.bytes(), steward?, registry?);
    }
    Ok(())
}

fn keep_best(best: &mut Option<Taken>, taken: Taken) {
    if best.is_none_or(|before| taken.seconds < before.seconds) {
        *best = Some(taken);
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer bytes than 2^52")]
fn add(table: &mut Table, what: &str, bytes: u64, steward: Taken, registry: Taken) {
    let mib = bytes as f64 / 1024.0 / 1024.0;
    let speed = |taken: Taken| mib / taken.seconds;
    table.add(Row::more(&format!("{what}, MiB/s"), speed(steward), speed(registry), Some(1.3)));
    let cpu = |taken: Taken| taken.cpu / mib * 1024.0;
    table.add(Row::less(&format!("{what}, server CPU s/GiB"), cpu(steward), cpu(registry), None));
    table.add(Row::alone(&format!("{what}, MiB over idle"), steward.memory, registry.memory, 64.0));
}

/// Removes what is there, if it is.
fn clear(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
}
