use super::super::protocol::command;
use super::client::request;
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, MIB, TestServer, empty, pattern};
use crate::volume::device::Device as _;
use std::sync::Arc;

#[test]
fn a_read_that_waits_for_the_disk_holds_nobody_up() {
    let (server, device) = empty();
    device.write_at(&[9; 4096], 4096).unwrap();
    device.put_on_disk(4096..8192);
    device.set_stuck(true);
    let mut client = server.simple();
    client.request(command::READ, 0, 1, 4096, 4096);
    device.wait_for_waiting(1);
    client.request(command::READ, 0, 2, 0, 10);
    assert_eq!(client.simple(), (0, 2), "the second one is answered first");
    client.receive(10);
    let mut other = server.simple();
    assert_eq!(other.error_of(command::FLUSH, 0, 0, 0), 0);

    device.set_stuck(false);
    assert_eq!(client.simple(), (0, 1));
    assert_eq!(client.receive(4096), [9; 4096]);
}

#[test]
fn a_long_read_goes_on_where_the_disk_begins() {
    let (server, device) = empty();
    let data = pattern(0, 8 * MIB);
    device.write_at(&data, 0).unwrap();
    device.put_on_disk(1024 * 1024..1024 * 1024 + 4096);
    let mut client = server.structured();
    client.request(command::READ, 0, 1, 0, 4 * 1024 * 1024);
    let mut expected_offset = 0;
    for chunk in client.chunks() {
        let offset = u64::from_be_bytes(chunk.data[..8].try_into().unwrap());
        assert_eq!(offset, expected_offset);
        let bytes = &chunk.data[8..];
        assert!(bytes == &data[usize::try_from(offset).unwrap()..][..bytes.len()], "at {offset}");
        expected_offset += bytes.len() as u64;
    }
    assert_eq!(expected_offset, 4 * 1024 * 1024);
}

#[test]
fn more_requests_than_may_wait_are_taken_when_others_are_done() {
    let (server, device) = empty();
    device.put_on_disk(0..DEVICE_BYTES);
    device.set_stuck(true);
    let mut client = server.simple();
    let batch: Vec<u8> = (0..300).flat_map(|cookie| request(command::READ, 0, cookie, cookie * 4096, 4096)).collect();
    client.send(&batch);
    let threads = super::Settings::default().pool_threads;
    device.wait_for_waiting(threads - threads / 4);
    device.set_stuck(false);
    let mut cookies: Vec<u64> = (0..300)
        .map(|_| {
            let (error, cookie) = client.simple();
            client.receive(4096);
            assert_eq!(error, 0);
            cookie
        })
        .collect();
    cookies.sort_unstable();
    assert_eq!(cookies, (0..300).collect::<Vec<_>>());
}

/// A client that has another device open, on a disk of its own, which is read with leave to wait.
fn neighbour(server: &TestServer) -> super::Client {
    let device = MemoryDevice::new(DEVICE_BYTES);
    device.put_on_disk(0..DEVICE_BYTES);
    *server.exports.other.lock() = Some(Arc::new(device));
    let mut client = server.connect();
    client.greet();
    client.go("/other");
    client
}

#[test]
fn a_disk_that_does_not_flush_holds_up_nobody_else() {
    let (server, device) = empty();
    device.set_flush_stuck(true);
    let mut client = server.simple();
    let mut batch: Vec<u8> = (0..60).flat_map(|cookie| request(command::FLUSH, 0, cookie, 0, 0)).collect();
    batch.extend(request(command::READ, 0, 100, 0, 10));
    client.send(&batch);
    assert_eq!(client.simple(), (0, 100), "all flushes were taken before this one");
    client.receive(10);
    let mut other = neighbour(&server);
    assert_eq!(other.error_of(command::READ, 0, 0, 4096), 0);
    other.receive(4096);

    device.set_flush_stuck(false);
    let mut cookies: Vec<u64> = (0..60).map(|_| client.simple().1).collect();
    cookies.sort_unstable();
    assert_eq!(cookies, (0..60).collect::<Vec<_>>());
    assert!(device.flushes() <= 2, "one flush answers all that came before it");
}

#[test]
fn a_disk_that_does_not_read_holds_up_nobody_else() {
    let (server, device) = empty();
    device.put_on_disk(0..DEVICE_BYTES);
    device.set_stuck(true);
    let mut client = server.simple();
    let batch: Vec<u8> = (0..60).flat_map(|cookie| request(command::READ, 0, cookie, cookie * 4096, 4096)).collect();
    client.send(&batch);
    device.wait_for_waiting(10);
    let mut other = neighbour(&server);
    assert_eq!(other.error_of(command::READ, 0, 0, 4096), 0);
    other.receive(4096);
    device.set_stuck(false);
    for _ in 0..60 {
        assert_eq!(client.simple().0, 0);
        client.receive(4096);
    }
}

#[test]
fn clients_that_do_not_read_keep_no_thread_of_the_pool() {
    let (server, device) = empty();
    device.write_at(&vec![5; 8 * 1024 * 1024], 0).unwrap();
    device.put_on_disk(0..DEVICE_BYTES);
    // Each of these leaves untaken far more than a socket holds, on every thread of the pool.
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let mut client = server.structured();
            for cookie in 0..7 {
                client.request(command::READ, 0, cookie, 0, 8 * 1024 * 1024);
            }
            client
        })
        .collect();
    let mut client = server.simple();
    for cookie in 0..50 {
        client.request(command::READ, 0, cookie, 4096, 4096);
        assert_eq!(client.simple(), (0, cookie));
        assert_eq!(client.receive(4096), [5; 4096]);
    }
    // Who takes the replies late still gets all of them.
    for mut client in idle {
        let mut bytes = 0;
        let mut done = 0;
        while done < 7 {
            let chunk = client.chunk();
            assert!(chunk.data[8..].iter().all(|byte| *byte == 5));
            bytes += chunk.data.len() - 8;
            done += usize::from(chunk.is_done);
        }
        assert_eq!(bytes, 7 * 8 * 1024 * 1024);
    }
}

#[test]
fn a_device_that_panics_is_an_error_of_that_request_alone() {
    let (server, device) = empty();
    device.put_on_disk(4096..8192);
    device.panic_at(4096);
    let mut client = server.simple();
    assert_eq!(client.error_of(command::READ, 0, 4096, 10), 5);
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
    drop(client);
    server.wait_for_sessions(0);
}
