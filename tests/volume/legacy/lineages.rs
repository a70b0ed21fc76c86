//! Clones of clones, and what is in them.

use crate::common::server::{Server, Setup};
use crate::common::wait::eventually;
use crate::query::{ask, ask_ok};
use crate::vocabulary::{MIB, noise};
use crate::wire::{EPERM, Nbd};

const LENGTH: usize = 1 << 20;

/// What a volume or snapshot holds at its beginning.
async fn content(server: &Server, name: &str) -> Vec<u8> {
    let mut device = Nbd::open(server, name).await;
    let content = device.read(0, LENGTH).await;
    device.close().await;
    content
}

async fn write(server: &Server, name: &str, seed: u64) {
    let mut device = Nbd::open(server, name).await;
    device.write_through(0, &noise(seed, MIB)).await;
    device.close().await;
}

async fn flatten(server: &Server, file: &str) {
    ask_ok(server, &format!("Action=Flatten&User=u&File={file}")).await;
    eventually("it is whole", async || {
        let one = ask_ok(server, &format!("Action=ListFile&User=u&File={file}")).await;
        (one.column("FileInfos", "Status") == [0]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_of_three_snapshots_has_a_clone_of_its_own_moment() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    for seed in 1..=3 {
        write(&server, "/a", seed).await;
        ask_ok(&server, &format!("Action=CreateSnapshot&User=u&File=/a&Name=s{seed}")).await;
        ask_ok(&server, &format!("Action=Clone&User=u&File=/a&Name=s{seed}&Destination=/c{seed}")).await;
    }
    write(&server, "/a", 4).await;
    for seed in 1..=3 {
        assert!(content(&server, &format!("/c{seed}")).await == noise(seed, MIB), "clone {seed}");
        assert!(content(&server, &format!("/a@s{seed}")).await == noise(seed, MIB), "snapshot {seed}");
    }
    assert!(content(&server, "/a").await == noise(4, MIB));
    // The one in the middle goes; nobody else sees a difference.
    ask_ok(&server, "Action=DeleteFile&User=u&File=/c2").await;
    eventually("the snapshot can be deleted", async || {
        let reply = ask(&server, "Action=DeleteSnapshot&User=u&File=/a&Name=s2").await;
        (reply.code() == 0).then_some(())
    })
    .await;
    for (name, seed) in [("/a", 4), ("/c1", 1), ("/c3", 3), ("/a@s1", 1), ("/a@s3", 3)] {
        assert!(content(&server, name).await == noise(seed, MIB), "{name}");
    }
}

#[tokio::test]
async fn a_clone_of_a_clone_of_a_clone_keeps_what_it_has_when_those_between_go() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/g0&Size=1").await;
    write(&server, "/g0", 1).await;
    // The one in the middle is never written.
    for generation in 1..=3_u8 {
        let parent = generation - 1;
        ask_ok(&server, &format!("Action=CreateSnapshot&User=u&File=/g{parent}&Name=s")).await;
        let clone = format!("Action=Clone&User=u&File=/g{parent}&Name=s&Destination=/g{generation}");
        ask_ok(&server, &clone).await;
        if generation != 2 {
            let mut device = Nbd::open(&server, &format!("/g{generation}")).await;
            device.write(u64::from(generation) * 4096, &[generation; 4096]).await;
            device.close().await;
        }
    }
    let mut expected = noise(1, MIB);
    expected[4096..8192].fill(1);
    assert!(content(&server, "/g2").await == expected);
    expected[3 * 4096..4 * 4096].fill(3);
    assert!(content(&server, "/g3").await == expected);

    flatten(&server, "/g2").await;
    flatten(&server, "/g3").await;
    assert!(content(&server, "/g3").await == expected);
    for generation in [2, 1, 0] {
        let parent = format!("User=u&File=/g{generation}");
        ask_ok(&server, &format!("Action=DeleteSnapshot&{parent}&Name=s")).await;
        eventually("the volume can be deleted", async || {
            (ask(&server, &format!("Action=DeleteFile&{parent}")).await.code() == 0).then_some(())
        })
        .await;
        assert!(content(&server, "/g3").await == expected, "without generation {generation}");
        if generation == 2 {
            flatten(&server, "/g1").await;
        }
    }
}

#[tokio::test]
async fn a_read_only_clone_refuses_writes_and_can_be_flattened() {
    let server = Setup::default().start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    write(&server, "/a", 1).await;
    ask_ok(&server, "Action=CreateSnapshot&User=u&File=/a&Name=s").await;
    ask_ok(&server, "Action=Clone&User=u&File=/a&Name=s&Destination=/b&Readonly=true").await;
    let one = ask_ok(&server, "Action=ListFile&User=u&File=/b").await;
    assert_eq!(one.column("FileInfos", "Readonly"), [true]);
    for name in ["/b", "/a@s"] {
        let mut device = Nbd::open(&server, name).await;
        assert!(device.is_read_only(), "{name}");
        let refused = device.try_write(0, &[0; 4096]).await.expect_err("a refusal");
        assert_eq!(refused.number(), Some(EPERM), "{name}");
        assert!(device.read(0, LENGTH).await == noise(1, MIB));
        device.close().await;
    }
    flatten(&server, "/b").await;
    assert!(content(&server, "/b").await == noise(1, MIB));
}

#[tokio::test]
async fn a_snapshot_of_an_empty_volume_is_empty_for_ever() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    ask_ok(&server, "Action=CreateSnapshot&User=u&File=/a&Name=s").await;
    ask_ok(&server, "Action=Clone&User=u&File=/a&Name=s&Destination=/b").await;
    write(&server, "/a", 1).await;
    flatten(&server, "/b").await;
    for name in ["/a@s", "/b"] {
        assert!(content(&server, name).await == vec![0; LENGTH], "{name}");
    }
}
