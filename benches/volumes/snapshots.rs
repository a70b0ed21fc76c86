//! What snapshots and clones cost, and those who work under them.

use std::time::{Duration, Instant};

use crate::fio::{self, Load};
use crate::qemu::{self, Format, Qemu};
use crate::table::{Target, median, percentile};
use crate::{Bench, BoxError, MIB, VOLUME};

/// Writes of 4 KiB to blocks that the snapshot has: each block once.
pub(crate) async fn fresh(bench: &mut Bench) -> Result<(), BoxError> {
    let bytes = (bench.bytes / 4).min(256 * MIB);
    let load = Load::new("randwrite", "4k", 32).with(format!("--io_size={bytes}"));
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let base = bench.directory().join("base");
    qemu::create(&base, Format::Qcow2, bench.bytes)?;
    {
        let filled = Qemu::start(&base, Format::Qcow2)?;
        fio::fill(&filled.place(), bench.bytes)?;
    }
    for round in 0..bench.rounds {
        let name = format!("fresh-{round}");
        bench.steward.snapshot(VOLUME, &name).await?;
        rates[0].push(fio::run(&bench.steward.place(VOLUME), bench.bytes, &load)?.operations_per_second);
        bench.steward.delete_snapshots(VOLUME, vec![name.clone()]).await?;
        let overlay = bench.directory().join(&name);
        qemu::create_on(&base, &overlay)?;
        let server = Qemu::start(&overlay, Format::Qcow2)?;
        rates[2].push(fio::run(&server.place(), bench.bytes, &load)?.operations_per_second);
        drop(server);
        std::fs::remove_file(&overlay)?;
    }
    bench.add("random write 4 KiB after a snapshot, depth 32: /s", rates, Target::OfQcow2(1.5));
    Ok(())
}

/// Reads through 64 snapshots, each with a part of the data, beside reads of a volume without any.
pub(crate) async fn depth(bench: &mut Bench) -> Result<(), BoxError> {
    const SNAPSHOTS: u32 = 64;
    let deep = "/deep";
    bench.steward.create(deep, bench.bytes).await?;
    let deep_place = bench.steward.place(deep);
    fio::fill(&deep_place, bench.bytes)?;
    let some = Load::new("randwrite", "4k", 32).with(format!("--io_size={}", bench.bytes / u64::from(2 * SNAPSHOTS)));
    for number in 0..SNAPSHOTS {
        bench.steward.snapshot(deep, &format!("s{number}")).await?;
        fio::run(&deep_place, bench.bytes, &some)?;
    }
    for depth in [1, 32] {
        let load = Load::new("randread", "4k", depth).seconds(bench.seconds);
        let (mut flat, mut through) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            flat.push(fio::run(&bench.steward.place(VOLUME), bench.bytes, &load)?.operations_per_second);
            through.push(fio::run(&deep_place, bench.bytes, &load)?.operations_per_second);
        }
        let ratio = median(through).unwrap_or_default() / median(flat).unwrap_or(1.0);
        let what = format!("reads through 64 snapshots, depth {depth}: × of none");
        bench.table.say(&what, ratio, "", "≥ 0.9", ratio >= 0.9);
    }
    let names = (0..SNAPSHOTS).map(|number| format!("s{number}")).collect();
    bench.steward.delete_snapshots(deep, names).await?;
    bench.steward.remove(deep).await
}

/// How long writers wait for a snapshot, by what the server says, and how long whoever asks for it waits.
pub(crate) async fn pause(bench: &mut Bench) -> Result<(), BoxError> {
    const SNAPSHOTS: u32 = 100;
    let place = bench.steward.place(VOLUME);
    let mut load = fio::start(&place, bench.bytes, &Load::new("randwrite", "4k", 32).seconds(120))?;
    let (mut pauses, mut answers) = (Vec::new(), Vec::new());
    for number in 0..SNAPSHOTS {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        pauses.push(bench.steward.snapshot(VOLUME, &format!("pause-{number}")).await?.as_secs_f64() * 1e3);
        answers.push(start.elapsed().as_secs_f64() * 1e3);
    }
    if load.has_ended()? {
        return Err("the load ended before the snapshots were made".into());
    }
    load.stop()?;
    let p99 = percentile(pauses, 99).unwrap_or_default();
    bench.table.say("writers wait for a snapshot, p99 at depth 32: ms", p99, "", "≤ 5", p99 <= 5.0);
    bench.table.note("  whoever asks for it waits, median: ms", median(answers).unwrap_or_default(), "");
    let names = (0..SNAPSHOTS).map(|number| format!("pause-{number}")).collect();
    bench.steward.delete_snapshots(VOLUME, names).await
}

/// Clones of a snapshot of 100 GiB.
pub(crate) async fn clones(bench: &mut Bench) -> Result<(), BoxError> {
    const CLONES: u32 = 50;
    let large = "/large";
    bench.steward.create(large, 100 * 1024 * MIB).await?;
    fio::fill(&bench.steward.place(large), bench.bytes)?;
    bench.steward.snapshot(large, "s").await?;
    let mut times = Vec::new();
    for number in 0..CLONES {
        let start = Instant::now();
        bench.steward.clone(large, "s", &format!("/large-{number}")).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    for number in 0..CLONES {
        bench.steward.remove(&format!("/large-{number}")).await?;
    }
    let slow = percentile(times.clone(), 99).unwrap_or_default();
    bench.table.say("a clone of 100 GiB, the slowest of 50: ms", slow, "", "≤ 20", slow <= 20.0);
    bench.table.note("  median: ms", median(times).unwrap_or_default(), "");
    bench.steward.delete_snapshots(large, vec!["s".to_owned()]).await?;
    bench.steward.remove(large).await
}
