//! A disk that fills up.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::common::program;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::wait::eventually;
use crate::scrub::assert_clean;
use crate::vocabulary::{MIB, Volumes, noise, reason};
use crate::wire::{ENOSPC, Nbd};

const DISK: &str = "64m";

/// A server whose data is on a small disk of its own. Only it sees the disk, which goes when it goes.
async fn start_on_a_small_disk(needed_by: &str) -> Option<(Server, PathBuf)> {
    let unshare = program::find("unshare", needed_by)?;
    let home = temporary::directory();
    let disk = home.path().join("data");
    fs::create_dir(&disk).expect("a directory can be made");
    let mount = format!("mount -t tmpfs -o size={DISK} none '{}' && exec \"$@\"", disk.display());
    let isolate = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let wrapper: [OsString; 6] = [unshare.into(), isolate.into(), "sh".into(), "-c".into(), mount.into(), "sh".into()];
    let server = Setup::default().config("[volumes]\nmin_size = 4096").under(wrapper).start_in(home).await;
    let seen = server.proc().root().join(disk.strip_prefix("/").expect("an absolute path"));
    Some((server, seen))
}

/// Writes pieces of a MiB until there is no room; returns how many were taken.
async fn fill(device: &mut Nbd) -> u64 {
    for piece in 0..128 {
        if let Err(failure) = device.try_write(piece * MIB, &noise(piece, MIB)).await {
            assert_eq!(failure.number(), Some(ENOSPC), "{failure:?}");
            return piece;
        }
    }
    panic!("the disk is larger than it is");
}

async fn assert_has(device: &mut Nbd, pieces: u64) {
    for piece in 0..pieces {
        assert!(device.read(piece * MIB, 1 << 20).await == noise(piece, MIB), "piece {piece}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_to_the_client_and_it_goes_on_when_there_is_room() {
    let Some((server, disk)) = start_on_a_small_disk("full_disk::a_full_disk").await else { return };
    let volumes = Volumes::of(&server);
    volumes.create("/a", 256 * MIB).await;
    let ballast = disk.join("ballast");
    fs::write(&ballast, noise(9, 16 * MIB)).expect("there is room");
    let mut device = Nbd::open(&server, "/a").await;

    let taken = fill(&mut device).await;

    assert!(taken >= 8, "{taken}");
    assert_has(&mut device, taken).await;
    // Asked again, it says the same, and it leaks nothing.
    let before = server.proc().descriptors();
    for _ in 0..20 {
        let failure = device.try_write(200 * MIB, &noise(7, MIB)).await.expect_err("there is no room");
        assert_eq!(failure.number(), Some(ENOSPC));
    }
    assert!(server.proc().descriptors() <= before + 1);
    // Records are small, and have their room.
    for number in 0..20 {
        if let Err(status) = volumes.try_snapshot(&format!("/a@full-{number}")).await {
            assert_eq!(reason(&status), "DISK_FULL", "{status:?}");
        }
    }
    assert_has(&mut device, taken).await;

    fs::remove_file(&ballast).expect("it is there");

    device.flush().await;
    for piece in taken..taken + 4 {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.flush().await;
    assert_has(&mut device, taken + 4).await;
    volumes.snapshot("/a@s").await;
    device.close().await;
    assert_clean(&volumes).await;
}

#[tokio::test]
async fn what_is_given_back_on_a_full_disk_makes_room() {
    let Some((server, _)) = start_on_a_small_disk("full_disk::what_is_given_back").await else { return };
    let volumes = Volumes::of(&server);
    volumes.create("/a", 256 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    let taken = fill(&mut device).await;

    device.trim(0, 8 << 20).await;

    device.write(0, &noise(500, 4 * MIB)).await;
    device.flush().await;
    assert!(device.read(0, 4 << 20).await == noise(500, 4 * MIB));
    assert!(device.read(8 * MIB, 1 << 20).await == noise(8, MIB));
    assert!(device.read((taken - 1) * MIB, 1 << 20).await == noise(taken - 1, MIB));
}

#[tokio::test]
async fn a_flatten_waits_for_room_and_harms_nobody() {
    let Some((server, disk)) = start_on_a_small_disk("full_disk::a_flatten_waits").await else { return };
    let volumes = Volumes::of(&server);
    volumes.create("/a", 64 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    for piece in 0..16 {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.flush().await;
    volumes.snapshot("/a@s").await;
    volumes.clone_of("/a@s", "/b").await;
    let ballast = disk.join("ballast");
    fs::write(&ballast, noise(9, 30 * MIB)).expect("there is room");

    let operation = volumes.start_to_flatten("/b", 0).await.expect("an operation");

    let tried = eventually("it has no room", async || {
        use steward_proto::volume::v1::{GetOperationRequest, OperationState};
        let request = GetOperationRequest { uuid: operation.uuid.clone(), ..Default::default() };
        let shown = crate::vocabulary::done(volumes.operations().get_operation(request)).await.operation?;
        (shown.state() == OperationState::Retrying).then_some(shown)
    })
    .await;
    assert!(!tried.error_message.is_empty(), "it says why: {tried:?}");
    let mut clone = Nbd::open(&server, "/b").await;
    assert_has(&mut clone, 16).await;
    fs::remove_file(&ballast).expect("it is there");
    let ended = volumes.wait(&operation.uuid).await;
    assert_eq!(ended.state(), steward_proto::volume::v1::OperationState::Succeeded, "{ended:?}");
    assert_has(&mut clone, 16).await;
}
