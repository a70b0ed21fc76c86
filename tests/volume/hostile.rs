//! Clients of NBD that mean no good, or die.

use std::time::Duration;

use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::vocabulary::{KIB, MIB, Volumes, noise, small};
use crate::wire::{EINVAL, ENOSPC, Failure, Handshake, Nbd, READ, WRITE, request};

/// A server with one volume, and a connection that proves that it serves.
async fn start() -> (Server, Nbd) {
    let server = small().start().await;
    Volumes::of(&server).create("/a", 64 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, 64 * KIB)).await;
    (server, device)
}

async fn assert_serves(device: &mut Nbd) {
    assert!(device.read(0, 65_536).await == noise(1, 64 * KIB));
}

#[tokio::test]
async fn what_is_no_handshake_is_hung_up_on() {
    let (server, mut device) = start().await;
    let option = |number: u32, length: u32| {
        let mut bytes = b"IHAVEOPT".to_vec();
        bytes.extend(number.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes
    };
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 64 * 1024],
        option(7, u32::MAX),
        option(1, 0x1000_0000),
    ] {
        let mut connection = Handshake::unix(&server.nbd_socket()).await.expect("a greeting");
        // The server may hang up before it has read all of it.
        let _ = connection.send(&bytes).await;
        let answer = within("the server hangs up", connection.drain()).await;
        assert!(answer < 64 * 1024, "{answer}");
    }
    // An unknown option is answered, and the handshake goes on.
    let mut connection = Handshake::unix(&server.nbd_socket()).await.expect("a greeting");
    connection.send(&option(2, 0)).await.expect("the server reads");
    drop(connection);
    assert_serves(&mut device).await;
}

#[tokio::test]
async fn what_is_no_export_is_refused() {
    let (server, mut device) = start().await;
    for name in ["", "/", "/nowhere", "/a@nothing", "/a/b", "/../a", "a\0b", &"x".repeat(4000), "@", "/RecycleBin"] {
        let refusal = Nbd::refused(&server, name).await;
        assert!(refusal & (1 << 31) != 0, "{name:?}: {refusal:#x}");
    }
    let endless = Handshake::unix(&server.nbd_socket()).await.expect("a greeting").go(&"x".repeat(100_000)).await;
    assert!(endless.is_err());
    assert_serves(&mut device).await;
}

#[tokio::test]
async fn a_request_beyond_the_end_is_refused_and_the_next_one_is_served() {
    let (_server, mut device) = start().await;
    for (offset, length) in [(64 * MIB, 4096), (64 * MIB - 1, 2), (u64::MAX, 1), (u64::MAX - 4095, 4096)] {
        let read = device.try_read(offset, length).await.expect_err("beyond the end");
        assert_eq!(read.number(), Some(EINVAL), "{offset} {length}");
        let write = device.try_write(offset, &vec![1; length]).await.expect_err("beyond the end");
        assert_eq!(write.number(), Some(ENOSPC), "{offset} {length}");
        for kind in [4, 6, 7] {
            let refused = device.call(0, kind, offset, u32::try_from(length).expect("small"), &[]).await;
            assert!(matches!(refused, Err(Failure::Refused(EINVAL | ENOSPC))), "{kind} {offset} {length}: {refused:?}");
        }
    }
    let unknown = device.call(0, 99, 0, 4096, &[]).await.expect_err("no such command");
    assert_eq!(unknown.number(), Some(EINVAL));
    let oversized = device.call(0, READ, 0, 0xffff_ffff, &[]).await.expect_err("too much");
    assert!(matches!(oversized.number(), Some(EINVAL | 75)), "{oversized:?}");
    assert_serves(&mut device).await;
}

#[tokio::test]
async fn bad_magic_and_oversized_writes_end_the_connection() {
    let (server, mut device) = start().await;
    let mut bad = Nbd::open(&server, "/a").await;
    bad.send(&[0; 28]).await.expect("the server reads");
    assert_eq!(within("the server hangs up", bad.drain()).await, 0);
    let mut huge = Nbd::open(&server, "/a").await;
    huge.send(&request(0, WRITE, 1, 0, 0xffff_fff0)).await.expect("the server reads");
    assert!(within("the server hangs up", huge.drain()).await <= 16, "an error at most");
    assert_serves(&mut device).await;
}

#[tokio::test]
async fn clients_that_die_in_the_middle_leave_nothing_behind() {
    let (server, mut device) = start().await;
    let volumes = Volumes::of(&server);
    // The connection of this client is there from now on.
    volumes.get("/a").await;
    let before = server.proc().descriptors();
    for round in 0..200_u64 {
        let mut dying = Nbd::open(&server, "/a").await;
        let mut half = request(0, WRITE, 1, MIB, 1 << 20).to_vec();
        half.extend(noise(round, 300 * KIB));
        dying.send(&half).await.expect("the server reads");
        // Some die with answers on their way to them, some in the middle of a header.
        let mut asking = Nbd::open(&server, "/a").await;
        for cookie in 0..16 {
            asking.send(&request(0, READ, cookie, 0, 1 << 20)).await.expect("the server reads");
        }
        asking.send(&[0x25, 0x60]).await.expect("the server reads");
    }
    eventually("their sessions end", async || (volumes.get("/a").await.open_sessions == 1).then_some(())).await;
    eventually("descriptors are given back", async || (server.proc().descriptors() <= before + 1).then_some(())).await;
    assert_serves(&mut device).await;
}

#[tokio::test]
async fn a_thousand_connections_are_served_or_turned_away_and_given_back() {
    let (server, mut device) = start().await;
    let before = (server.proc().descriptors(), server.resident_bytes());
    let mut connections = Vec::new();
    for _ in 0..1000 {
        let open = async { Handshake::unix(&server.nbd_socket()).await?.go("/a").await };
        connections.push(within("an answer", open).await.expect("it may have so many"));
    }
    for connection in &mut connections {
        assert_serves(connection).await;
    }
    let at_most = server.resident_bytes();
    assert!(at_most < before.1 + 600 * MIB, "{} MiB for them", (at_most - before.1) / MIB);
    // There may be 1024; the others are hung up on.
    let mut turned_away = 0;
    let mut more = Vec::new();
    for _ in 0..60 {
        let open = async { Handshake::unix(&server.nbd_socket()).await?.go("/a").await };
        match within("an answer", open).await {
            Ok(connection) => more.push(connection),
            Err(_) => turned_away += 1,
        }
    }
    assert!(turned_away >= 30, "{turned_away}");
    drop((connections, more));
    eventually("descriptors are given back", async || (server.proc().descriptors() <= before.0 + 2).then_some(()))
        .await;
    assert_serves(&mut device).await;
    Nbd::open(&server, "/a").await.close().await;
}

/// The handshake may take 10 seconds.
#[tokio::test]
async fn who_never_finishes_the_handshake_is_hung_up_on() {
    let server = small().nbd_listen().start().await;
    let port = server.nbd();
    Volumes::of(&server).create("/a", MIB).await;
    let before = server.proc().descriptors();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut half = Handshake::tcp(port).await.expect("a greeting");
        half.send(b"IHAVE").await.expect("the server reads");
        waiting.push(tokio::spawn(half.drain()));
    }
    let all = tokio::time::timeout(Duration::from_secs(40), futures::future::join_all(waiting));
    all.await.expect("they are hung up on");
    eventually("descriptors are given back", async || (server.proc().descriptors() <= before + 1).then_some(())).await;
    Handshake::tcp(port).await.expect("a greeting").go("/a").await.expect("it serves");
}
