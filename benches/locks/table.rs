//! The table that people read.

use std::time::Duration;

use crate::load::{Load, Measured};
use crate::process::Usage;

/// One cell: a server under a load.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measured: Measured,
    pub(crate) used: Usage,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "fewer pairs than 2^52")]
    fn pairs(&self) -> f64 {
        self.measured.pairs().max(1) as f64
    }

    fn flushes_per_second(&self) -> f64 {
        self.used.flushes / self.measured.elapsed().as_secs_f64()
    }
}

/// All cells, by load.
#[derive(Debug, Default)]
pub(crate) struct Table {
    loads: Vec<(Load, Vec<Row>)>,
}

impl Table {
    pub(crate) fn add(&mut self, load: Load, rows: Vec<Row>) {
        self.loads.push((load, rows));
    }

    /// Prints it, with what the disk gave before and after.
    pub(crate) fn print(&self, disk: [f64; 2]) {
        println!("\na pair is one lock and one unlock, both durable when answered");
        for (load, rows) in &self.loads {
            println!("\n{load}");
            println!(
                "  {:<20}{:>10}{:>10}{:>10}{:>13}{:>12}{:>13}{:>14}{:>13}",
                "",
                "pairs/s",
                "p50 ms",
                "p99 ms",
                "CPU µs/pair",
                "flushes/s",
                "pairs/flush",
                "× etcd lock",
                "× etcd txn",
            );
            for row in rows {
                print_row(row, rows);
            }
        }
        let [before, after] = disk;
        println!(
            "\nthe disk gives {before:.0} flushes/s of 4 KiB one after the other before the run, {after:.0} after it"
        );
        println!("a pair is two changes: one client alone cannot pass {:.0} pairs/s here", before.max(after) / 2.0);
        println!("many clients cannot pass flushes/s of the disk × pairs per flush:");
        for (load, rows) in &self.loads {
            for row in rows.iter().filter(|row| row.used.flushes > 0.0) {
                let limit = before.max(after) * row.pairs() / row.used.flushes;
                let share = 100.0 * row.measured.pairs_per_second() / limit;
                println!("  {:<46}{:<20}{share:>5.0} % of {limit:.0} pairs/s", load.to_string(), row.name);
            }
        }
    }
}

fn print_row(row: &Row, rows: &[Row]) {
    let rate = row.measured.pairs_per_second();
    let times = |peer: &str| {
        let peer = rows.iter().find(|other| other.name.ends_with(peer) && other.name != row.name);
        peer.map_or_else(String::new, |peer| format!("{:.2}", rate / peer.measured.pairs_per_second()))
    };
    println!(
        "  {:<20}{rate:>10.0}{:>10.2}{:>10.2}{:>13.0}{:>12.0}{:>13.1}{:>14}{:>13}",
        row.name,
        millis(row.measured.percentile(50)),
        millis(row.measured.percentile(99)),
        row.used.cpu.as_secs_f64() * 1e6 / row.pairs(),
        row.flushes_per_second(),
        row.pairs() / row.used.flushes.max(1.0),
        times("lock service"),
        times("bare txn"),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
