//! Lock and unlock pairs per second, of Steward and of a single-node etcd beside it: the same disk, the same client
//! machine, the same run. Start it with `scripts/bench locks`.
//!
//! Every client has a connection of its own, or, where it says so, shares one with others: the same on both sides. The
//! clients take a part of the same cores; sharing connections makes that part smaller. Distinct keys: each client goes round its own thousand keys.
//! Contended: all clients want one key and wait in the server's queue. Both sides answer only what is durable.

#[path = "locks/disk.rs"]
mod disk;
#[path = "locks/etcd.rs"]
mod etcd;
#[path = "locks/http.rs"]
mod http;
#[path = "locks/load.rs"]
mod load;
#[path = "locks/process.rs"]
#[expect(dead_code, reason = "a server is looked at as a whole here")]
mod process;
#[path = "locks/steward.rs"]
mod steward;
#[path = "locks/table.rs"]
mod table;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::TypedValueParser as _;

use self::load::{Client, Load};
use self::process::Peer;
use self::table::{Row, Table};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Measures lock and unlock pairs of Steward and etcd.
#[derive(Debug, Parser)]
struct Args {
    /// How long each cell is measured.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Where both servers keep their data. It is emptied.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-locks"))]
    directory: PathBuf,
    /// How many clients use distinct keys.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    clients: Vec<usize>,
    /// How many clients want one key.
    #[arg(long, default_value_t = 32)]
    contenders: usize,
    /// How many clients share a connection, where they do.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..).map(usize::from))]
    sharing: usize,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    // What an earlier run left; it may not be there.
    let _ = std::fs::remove_dir_all(&args.directory);
    std::fs::create_dir_all(&args.directory)?;

    let steward = steward::start(&args.directory.join("steward"), "").await?;
    let etcd = etcd::start(&args.directory.join("etcd")).await?;
    println!("{}\n{}", steward.peer.version, etcd.peer.version);
    let before = disk::flushes_per_second(&args.directory)?;

    let mut table = Table::default();
    let bench = Bench { seconds: Duration::from_secs_f64(args.seconds) };
    for &clients in &args.clients {
        let load = Load { clients, per_connection: 1, is_contended: false };
        let rows = [
            bench.row(load, "Steward, gRPC", &steward.peer, steward.grpc_clients(load, None).await?).await?,
            bench.row(load, "Steward, HTTP", &steward.peer, steward.http_clients(load).await?).await?,
            bench.row(load, "etcd, lock service", &etcd.peer, etcd.lock_clients(load).await?).await?,
            bench.row(load, "etcd, bare txn", &etcd.peer, etcd.txn_clients(load).await?).await?,
        ];
        table.add(load, rows.into());
    }
    if let Some(&clients) = args.clients.iter().max().filter(|clients| **clients > args.sharing) {
        let load = Load { clients, per_connection: args.sharing, is_contended: false };
        let rows = [
            bench.row(load, "Steward, gRPC", &steward.peer, steward.grpc_clients(load, None).await?).await?,
            bench.row(load, "etcd, lock service", &etcd.peer, etcd.lock_clients(load).await?).await?,
            bench.row(load, "etcd, bare txn", &etcd.peer, etcd.txn_clients(load).await?).await?,
        ];
        table.add(load, rows.into());
    }
    let load = Load { clients: args.contenders, per_connection: 1, is_contended: true };
    let rows = [
        bench.row(load, "Steward, gRPC", &steward.peer, steward.grpc_clients(load, None).await?).await?,
        bench.row(load, "etcd, lock service", &etcd.peer, etcd.lock_clients(load).await?).await?,
    ];
    table.add(load, rows.into());

    let after = disk::flushes_per_second(&args.directory)?;
    table.print([before, after]);
    Ok(())
}

struct Bench {
    seconds: Duration,
}

impl Bench {
    /// Measures one cell, after a short time to get warm.
    async fn row<C: Client>(
        &self,
        load: Load,
        name: &'static str,
        peer: &Peer,
        clients: Vec<C>,
    ) -> Result<Row, BoxError> {
        eprintln!("measuring {load}: {name}");
        let (clients, _) = load.drive(clients, self.seconds / 4).await?;
        let before = peer.usage().await?;
        let (clients, measured) = load.drive(clients, self.seconds).await?;
        let after = peer.usage().await?;
        drop(clients);
        Ok(Row { name, measured, used: after.since(&before) })
    }
}
