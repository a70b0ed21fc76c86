//! Reads and writes of all sizes; flushes; memory.

use crate::fio::{self, Load, Seen};
use crate::table::Target;
use crate::{Bench, BoxError, VOLUME, process};

/// What is measured of each load.
struct Row {
    what: &'static str,
    load: Load,
    is_in_megabytes: bool,
    target: Target,
}

fn rows() -> Vec<Row> {
    let small = |what, kind, depth, times| Row {
        what,
        load: Load::new(kind, "4k", depth),
        is_in_megabytes: false,
        target: Target::OfRaw(times),
    };
    let large =
        |what, kind| Row { what, load: Load::new(kind, "1m", 8), is_in_megabytes: true, target: Target::OfRaw(2.0) };
    vec![
        small("random read 4 KiB, depth 1: /s", "randread", 1, 1.3),
        small("random write 4 KiB, depth 1: /s", "randwrite", 1, 1.3),
        small("random read 4 KiB, depth 32: /s", "randread", 32, 1.5),
        small("random write 4 KiB, depth 32: /s", "randwrite", 32, 1.5),
        large("sequential read 1 MiB: MB/s", "read"),
        large("sequential write 1 MiB: MB/s", "write"),
        Row {
            what: "random read 4 KiB, 4 connections × 16: /s",
            load: Load::new("randread", "4k", 16).connections(4),
            is_in_megabytes: false,
            target: Target::None,
        },
        Row {
            what: "random write 4 KiB, 4 connections × 16: /s",
            load: Load::new("randwrite", "4k", 16).connections(4),
            is_in_megabytes: false,
            target: Target::None,
        },
    ]
}

/// Runs one load on all servers, in turns.
fn in_turns(bench: &Bench, load: &Load) -> Result<[Vec<Seen>; 3], BoxError> {
    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..bench.rounds {
        for (place, seen) in bench.places().iter().zip(&mut seen) {
            seen.push(fio::run(place, bench.bytes, load)?);
        }
    }
    Ok(seen)
}

pub(crate) fn measure(bench: &mut Bench) -> Result<(), BoxError> {
    for row in rows() {
        let seen = in_turns(bench, &row.load.seconds(bench.seconds))?;
        let rate =
            |seen: &Seen| if row.is_in_megabytes { seen.megabytes_per_second } else { seen.operations_per_second };
        bench.add(row.what, seen.each_ref().map(|rounds| rounds.iter().map(rate).collect()), row.target);
        let what = row.what.rsplit_once(':').map_or(row.what, |(what, _)| what);
        let cpu = seen.each_ref().map(|rounds| rounds.iter().map(|seen| seen.cpu).collect());
        bench.add(&format!("  {what}: server CPU µs each"), cpu, Target::AtMostOfRaw(0.6));
    }
    Ok(())
}

/// Writes of which each is flushed: the disk decides.
pub(crate) fn flushes(bench: &mut Bench) -> Result<(), BoxError> {
    let load = Load::new("randwrite", "4k", 1).with("--fsync=1").seconds(bench.seconds);
    let seen = in_turns(bench, &load)?;
    let rate = seen.each_ref().map(|rounds| rounds.iter().map(|seen| seen.operations_per_second).collect());
    bench.add("random write 4 KiB, each flushed: /s", rate, Target::OfRaw(0.9));
    Ok(())
}

/// What a server keeps when nobody asks for anything.
pub(crate) async fn memory(bench: &mut Bench) -> Result<(), BoxError> {
    const MANY: u32 = 100;
    let before = process::resident(bench.steward.pid())?;
    bench.table.note("memory after all that: MiB", before, "");
    bench.table.note("  of qemu-nbd with a raw file: MiB", process::resident(bench.raw.pid())?, "");
    bench.table.note("  of qemu-nbd with a qcow2 file: MiB", process::resident(bench.qcow2.pid())?, "");
    for number in 0..MANY {
        bench.steward.create(&format!("{VOLUME}-idle-{number}"), bench.bytes).await?;
    }
    let loads: Result<Vec<_>, BoxError> = (0..MANY)
        .map(|number| {
            let load = Load::new("randwrite", "4k", 1).with("--number_ios=1").with("--thinktime=3s");
            fio::start(&bench.steward.place(&format!("{VOLUME}-idle-{number}")), bench.bytes, &load)
        })
        .collect();
    let mut at_most = before;
    for mut load in loads? {
        while !load.has_ended()? {
            at_most = at_most.max(process::resident(bench.steward.pid())?);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let each = (at_most - before) / f64::from(MANY);
    bench.table.say("an open volume that idles: MiB", each, "", "≤ 1", each <= 1.0);
    for number in 0..MANY {
        bench.steward.remove(&format!("{VOLUME}-idle-{number}")).await?;
    }
    Ok(())
}
