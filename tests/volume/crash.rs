//! What was acknowledged is there after the server was killed, whatever it was at.

mod journal;

use std::sync::Arc;

use futures::future::join_all;
use steward_proto::volume::v1::{OperationState, VolumeState};

use self::journal::{BLOCKS, Journal, content, value};
use crate::common::server::Server;
use crate::common::wait::eventually;
use crate::scrub::assert_clean;
use crate::vocabulary::{MIB, Volumes, noise, small};
use crate::wire::Nbd;

const ROUNDS: u64 = 30;
/// Each has a part of the volume to itself, over a connection of its own.
const WRITERS: u64 = 4;

/// A snapshot that was answered, and what each block may hold in it.
struct Moment {
    name: String,
    bounds: Vec<(u64, u64)>,
}

/// Writes until the server dies: blocks one by one with growing numbers, and a flush now and then.
async fn write_until_it_dies(mut device: Nbd, journal: Arc<Journal>, writer: u64, seed: u64) {
    let blocks = BLOCKS / WRITERS;
    for step in 0_u64.. {
        let block = writer * blocks + (step.wrapping_mul(7919) + seed) % blocks;
        let number = journal.begin(block);
        if device.try_write(block * 4096, &content(block, number)).await.is_err() {
            return;
        }
        journal.written(block, number);
        if step % (5 + writer) == 0 {
            let promised = journal.seen_by(writer * blocks..(writer + 1) * blocks);
            if device.try_flush().await.is_err() {
                return;
            }
            journal.flushed(writer * blocks, &promised);
        }
    }
}

/// Makes snapshots, and clones that it flattens, until the server dies.
async fn snapshot_until_it_dies(volumes: Volumes, journal: Arc<Journal>, round: u64) -> Vec<Moment> {
    let mut moments = Vec::new();
    for number in 0.. {
        let name = format!("/v@r{round}-{number}");
        let before = journal.written_so_far();
        if volumes.try_snapshot(&name).await.is_err() {
            return moments;
        }
        let bounds = before.into_iter().zip(journal.begun_so_far()).collect();
        moments.push(Moment { name: name.clone(), bounds });
        let clone = format!("/c{round}-{number}");
        let request = volumes.clone_request(&name, &clone);
        if volumes.snapshots().clone_snapshot(request).await.is_err() {
            return moments;
        }
        let volume = crate::vocabulary::named(&clone);
        let flatten =
            steward_proto::volume::v1::FlattenVolumeRequest { volume, bytes_per_second: MIB, ..Default::default() };
        if volumes.volumes().flatten_volume(flatten).await.is_err() {
            return moments;
        }
        if number == 2 {
            return moments;
        }
    }
    moments
}

/// The numbers in all blocks of a volume or snapshot.
async fn numbers(server: &Server, name: &str) -> Vec<u64> {
    let mut device = Nbd::open(server, name).await;
    let mut numbers = Vec::new();
    for block in 0..BLOCKS {
        let bytes = device.read(block * 4096, 4096).await;
        numbers.push(value(block, &bytes).unwrap_or_else(|| panic!("block {block} of {name} is torn")));
    }
    device.close().await;
    numbers
}

fn assert_within(what: &str, numbers: &[u64], bounds: &[(u64, u64)]) {
    for (block, (number, (least, most))) in numbers.iter().zip(bounds).enumerate() {
        assert!(
            (least..=most).contains(&number),
            "{what}: block {block} has number {number}, not between {least} and {most}",
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_flushed_is_lost_in_thirty_crashes_under_load() {
    let mut server = small().start().await;
    Volumes::of(&server).create("/v", BLOCKS * 4096).await;
    let journal = Arc::new(Journal::default());
    let mut snapshots = 0;
    for round in 0..ROUNDS {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let device = Nbd::open(&server, "/v").await;
            writers.push(tokio::spawn(write_until_it_dies(device, Arc::clone(&journal), writer, round)));
        }
        let volumes = Volumes::of(&server);
        // In two of three rounds there are snapshots, clones and flattens on the way, too.
        let moments =
            (round % 3 > 0).then(|| tokio::spawn(snapshot_until_it_dies(volumes.clone(), Arc::clone(&journal), round)));
        let target = journal.flushes() + 20 + 13 * (round % 7);
        eventually("there is some load", async || (journal.flushes() >= target).then_some(())).await;

        server.kill9().await;
        join_all(writers).await.into_iter().for_each(|writer| writer.expect("a writer ends"));
        let moments = match moments {
            Some(task) => task.await.expect("no panic"),
            None => Vec::new(),
        };
        server.restart().await;

        let found = numbers(&server, "/v").await;
        assert_within(&format!("round {round}"), &found, &journal.bounds());
        journal.restart_from(&found);
        for moment in &moments {
            let found = numbers(&server, &moment.name).await;
            assert_within(&moment.name, &found, &moment.bounds);
        }
        snapshots += moments.len();
        tidy_up(&server, &moments).await;
    }
    assert!(snapshots > 10, "there was something to lose: {snapshots}");
    assert_clean(&Volumes::of(&server)).await;
}

/// Lets the clones of a round become whole, compares them, and takes them and their snapshots away.
async fn tidy_up(server: &Server, moments: &[Moment]) {
    let volumes = Volumes::of(server);
    for path in volumes.paths("/").await {
        let Some(name) = path.strip_prefix("/c").filter(|name| name.contains('-')) else { continue };
        volumes.flatten(&path).await;
        let snapshot = format!("/v@r{name}");
        assert_eq!(numbers(server, &path).await, numbers(server, &snapshot).await, "{path}");
        eventually("it can be deleted", async || volumes.delete(&path).await.ok()).await;
    }
    for moment in moments {
        eventually("it can be deleted", async || volumes.find_snapshot(&moment.name).await.is_some().then_some(()))
            .await;
        volumes.delete_snapshot(&moment.name).await;
    }
}

#[tokio::test]
async fn a_flatten_goes_on_after_the_server_was_killed() {
    const PIECES: u64 = 8;
    let mut server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", PIECES * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    for piece in 0..PIECES {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.close().await;
    volumes.snapshot("/a@s").await;
    volumes.clone_of("/a@s", "/b").await;
    let mut clone = Nbd::open(&server, "/b").await;
    clone.write_through(MIB, &noise(100, 64 * 1024)).await;
    let uuid = volumes.start_to_flatten("/b", 2 * MIB).await.expect("an operation").uuid;
    for round in 0..4 {
        eventually("it is under way", async || {
            let volume = Volumes::of(&server).get("/b").await;
            (volume.progress_percent > 10 * round || volume.state() == VolumeState::Ready).then_some(())
        })
        .await;
        server.kill9().await;
        server.restart().await;
    }

    let volumes = Volumes::of(&server);
    let ended = volumes.wait(&uuid).await;

    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    volumes.delete_snapshot("/a@s").await;
    volumes.delete("/a").await.expect("nobody needs it");
    let mut expected = noise(1, MIB);
    expected[..64 * 1024].copy_from_slice(&noise(100, 64 * 1024));
    let mut clone = Nbd::open(&server, "/b").await;
    assert!(clone.read(MIB, 1 << 20).await == expected);
    for piece in (0..PIECES).filter(|piece| *piece != 1) {
        assert!(clone.read(piece * MIB, 1 << 20).await == noise(piece, MIB), "piece {piece}");
    }
    clone.close().await;
    assert_clean(&volumes).await;
}

#[tokio::test]
async fn a_snapshot_that_is_being_deleted_is_gone_after_the_server_was_killed() {
    let mut server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 16 * MIB).await;
    for round in 0..8_u64 {
        let mut device = Nbd::open(&server, "/a").await;
        device.write(0, &noise(1000 + round, MIB)).await;
        device.write_through(round * MIB, &noise(round, MIB)).await;
        device.close().await;
        let volumes = Volumes::of(&server);
        volumes.snapshot(&format!("/a@s{round}")).await;
        if round > 0 {
            let snapshot = Some(crate::vocabulary::snapshot_named(&format!("/a@s{}", round - 1)));
            let request = steward_proto::volume::v1::DeleteSnapshotRequest { snapshot, ..Default::default() };
            crate::vocabulary::done(volumes.snapshots().delete_snapshot(request)).await;
        }
        server.kill9().await;
        server.restart().await;
    }

    let volumes = Volumes::of(&server);
    eventually("only the last one is left", async || (volumes.snapshot_names("/a").await == ["s7"]).then_some(()))
        .await;
    for name in ["/a", "/a@s7"] {
        let mut device = Nbd::open(&server, name).await;
        for round in 1..8 {
            assert!(device.read(round * MIB, 1 << 20).await == noise(round, MIB), "{name} {round}");
        }
        assert!(device.read(0, 1 << 20).await == noise(1007, MIB), "{name}");
        device.close().await;
    }
    assert_clean(&volumes).await;
}
