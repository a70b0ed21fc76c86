//! A flatten, and who works beside it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::fio::{self, Load};
use crate::table::median;
use crate::{Bench, BoxError, VOLUME};

/// Copies a file as `cp` does; returns the seconds until it is on the disk.
fn copy(from: &Path, to: &Path) -> Result<f64, BoxError> {
    let start = Instant::now();
    let status = Command::new("cp").args(["--reflink=never", "--sparse=never"]).arg(from).arg(to).status()?;
    std::fs::File::open(to)?.sync_all()?;
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_file(to)?;
    if status.success() { Ok(seconds) } else { Err(format!("cp ended with {status}").into()) }
}

#[expect(clippy::cast_precision_loss, reason = "fewer bytes than 2^52")]
pub(crate) async fn measure(bench: &mut Bench) -> Result<(), BoxError> {
    let megabytes = bench.bytes as f64 / 1e6;
    let (mut flattens, mut copies, mut alone, mut beside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    bench.steward.snapshot(VOLUME, "flatten").await?;
    let load = Load::new("randread", "4k", 1);
    for round in 0..bench.rounds {
        let clone = format!("/flatten-{round}");
        bench.steward.clone(VOLUME, "flatten", &clone).await?;
        let start = Instant::now();
        bench.steward.flatten(&clone).await?;
        flattens.push(megabytes / start.elapsed().as_secs_f64());
        bench.steward.remove(&clone).await?;
        copies.push(megabytes / copy(&bench.directory().join("raw"), &bench.directory().join("copy"))?);

        // Its own flatten is soon over: others follow until the load ends.
        bench.steward.clone(VOLUME, "flatten", &clone).await?;
        let place = bench.steward.place(&clone);
        let load = load.clone().seconds(bench.seconds);
        alone.push(fio::run(&place, bench.bytes, &load)?.p99);
        let mut running = fio::start(&place, bench.bytes, &load)?;
        let mut next = clone.clone();
        for number in 0.. {
            bench.steward.flatten(&next).await?;
            if next != clone {
                bench.steward.remove(&next).await?;
            }
            if running.has_ended()? {
                break;
            }
            next = format!("/flatten-{round}-{number}");
            bench.steward.clone(VOLUME, "flatten", &next).await?;
        }
        beside.push(running.seen()?.p99);
        bench.steward.remove(&clone).await?;
    }
    bench.steward.delete_snapshots(VOLUME, vec!["flatten".to_owned()]).await?;
    let [flattens, copies, alone, beside] =
        [flattens, copies, alone, beside].map(|all| median(all).unwrap_or_default());
    let ratio = flattens / copies;
    bench.table.note("a flatten: MB/s", flattens, "");
    bench.table.note("  cp of as much: MB/s", copies, "");
    bench.table.say("  × cp", ratio, "", "≥ 0.7", ratio >= 0.7);
    let slower = beside / alone;
    bench.table.note("reads of 4 KiB, p99 alone: µs", alone, "");
    bench.table.note("  p99 during a flatten: µs", beside, "");
    bench.table.say("  × alone", slower, "", "≤ 2", slower <= 2.0);
    Ok(())
}
