use super::super::protocol::command;
use super::super::request::MAX_REQUEST_BYTES;
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, TestServer, empty, pattern};
use crate::volume::device::{Device as _, Zero};
use std::sync::Arc;

#[test]
fn what_is_written_is_read_again() {
    let (server, device) = empty();
    let mut client = server.simple();
    client.write(0, 5, 1000, b"some bytes");
    assert_eq!(client.simple(), (0, 5));
    assert_eq!(device.bytes(1000, 10), b"some bytes");
    client.request(command::READ, 0, 6, 999, 12);
    assert_eq!(client.simple(), (0, 6));
    assert_eq!(client.receive(12), b"\0some bytes\0");
}

#[test]
fn long_writes_at_odd_places_arrive_whole() {
    let (server, device) = empty();
    let mut client = server.simple();
    for (cookie, offset, length) in [(1, 0, 3_000_000), (2, 4097, 300_000), (3, 77, 131_072), (4, 4095, 262_145)] {
        let data = pattern(cookie, length);
        client.write(0, cookie.into(), offset, &data);
        assert_eq!(client.simple(), (0, cookie.into()));
        assert_eq!(device.bytes(offset, length), data, "{offset} {length}");
    }
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let (server, _) = empty();
    let mut client = server.simple();
    let mut batch = Vec::new();
    for number in 0..200 {
        let cookie = u64::from(number);
        batch.extend(super::client::request(command::WRITE, 0, cookie, cookie * 4096, 4096));
        batch.extend([number; 4096]);
    }
    client.send(&batch);
    for cookie in 0..200 {
        assert_eq!(client.simple(), (0, cookie));
    }
    for cookie in 0..200 {
        client.request(command::READ, 0, cookie, cookie * 4096, 4096);
    }
    for number in 0..200 {
        assert_eq!(client.simple(), (0, number.into()));
        assert_eq!(client.receive(4096), [number; 4096]);
    }
}

#[test]
fn a_flush_flushes_and_so_does_every_change_that_asks_for_it() {
    let (server, device) = empty();
    let mut client = server.simple();
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
    assert_eq!(device.flushes(), 1);
    client.write(command::FLAG_FUA, 9, 0, b"x");
    assert_eq!(client.simple(), (0, 9));
    assert_eq!(device.flushes(), 2);
    assert_eq!(client.error_of(command::TRIM, command::FLAG_FUA, 0, 4096), 0);
    assert_eq!(client.error_of(command::WRITE_ZEROES, command::FLAG_FUA, 0, 4096), 0);
    assert_eq!(device.flushes(), 4);
    assert_eq!(client.error_of(command::CACHE, command::FLAG_FUA, 0, 4096), 0, "it means nothing here");
    assert_eq!(device.flushes(), 4);
}

#[test]
fn trims_and_zeros_leave_zeros() {
    let (server, device) = empty();
    let mut client = server.simple();
    device.write_at(&[1; 16384], 0).unwrap();
    assert_eq!(client.error_of(command::TRIM, 0, 1, 8191), 0);
    assert_eq!(device.bytes(0, 4096), [1; 4096], "no whole block");
    assert_eq!(device.bytes(4096, 4096), [0; 4096]);
    assert_eq!(client.error_of(command::WRITE_ZEROES, 0, 8193, 10), 0);
    assert_eq!(device.bytes(8192, 12), b"\x01\0\0\0\0\0\0\0\0\0\0\x01");
    let flags = command::FLAG_NO_HOLE | command::FLAG_FAST_ZERO;
    assert_eq!(client.error_of(command::WRITE_ZEROES, flags, 12288, 4096), 0);
    assert_eq!(device.zeroed(), [Zero::Deallocate, Zero::KeepAllocated]);
}

#[test]
fn the_whole_device_can_be_trimmed_and_zeroed_at_once() {
    let (server, device) = empty();
    let mut client = server.simple();
    device.write_at(&[1; 4096], DEVICE_BYTES - 4096).unwrap();
    let whole = u32::try_from(DEVICE_BYTES).unwrap();
    assert_eq!(client.error_of(command::TRIM, 0, 0, whole), 0);
    assert_eq!(device.bytes(DEVICE_BYTES - 4096, 4096), [0; 4096]);
    assert_eq!(client.error_of(command::WRITE_ZEROES, 0, 0, whole), 0);
}

#[test]
fn a_prefetch_reaches_the_device() {
    let (server, device) = empty();
    let mut client = server.simple();
    assert_eq!(client.error_of(command::CACHE, 0, 4096, 8192), 0);
    assert_eq!(device.prefetched(), [(4096, 8192)]);
}

#[test]
fn what_is_beyond_the_end_is_refused_and_the_payload_taken() {
    let (server, _) = empty();
    let mut client = server.simple();
    for (offset, length) in [(DEVICE_BYTES, 1), (DEVICE_BYTES - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 4096)] {
        for (command, error) in [
            (command::READ, 22),
            (command::TRIM, 22),
            (command::CACHE, 22),
            (command::WRITE_ZEROES, 28),
            (command::BLOCK_STATUS, 22),
        ] {
            assert_eq!(client.error_of(command, 0, offset, length), error, "{command} {offset}");
        }
        client.write(0, 3, offset, &vec![0xaa; length as usize]);
        assert_eq!(client.simple(), (28, 3));
    }
    client.write(0, 3, DEVICE_BYTES - 5, &vec![0xaa; 1_000_000]);
    assert_eq!(client.simple(), (28, 3), "none of a long payload is taken for a request");
    client.write(0, 4, 0, b"ok");
    assert_eq!(client.simple(), (0, 4));
}

#[test]
fn a_read_only_device_refuses_every_change() {
    let server = TestServer::start(Arc::new(MemoryDevice::read_only(DEVICE_BYTES)));
    let mut client = server.simple();
    client.write(0, 1, 0, &[1; 5000]);
    assert_eq!(client.simple(), (1, 1));
    assert_eq!(client.error_of(command::TRIM, 0, 0, 4096), 1);
    assert_eq!(client.error_of(command::WRITE_ZEROES, 0, 0, 4096), 1);
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
}

#[test]
fn unknown_commands_and_flags_are_refused() {
    let (server, _) = empty();
    let mut client = server.simple();
    for command in [8, 100, u16::MAX] {
        assert_eq!(client.error_of(command, 0, 0, 0), 22);
    }
    assert_eq!(client.error_of(command::FLUSH, 1 << 15, 0, 0), 22);
    assert_eq!(client.error_of(command::TRIM, command::FLAG_NO_HOLE, 0, 4096), 22);
    assert_eq!(client.error_of(command::READ, command::FLAG_DF, 0, 10), 22, "replies are simple here");
    client.write(command::FLAG_REQ_ONE, 2, 0, b"not written");
    assert_eq!(client.simple(), (22, 2));
}

#[test]
fn requests_of_no_length_do_nothing() {
    let (server, device) = empty();
    let mut client = server.simple();
    for command in [command::READ, command::TRIM, command::WRITE_ZEROES, command::CACHE] {
        assert_eq!(client.error_of(command, 0, DEVICE_BYTES, 0), 0);
    }
    client.write(0, 8, 0, b"");
    assert_eq!(client.simple(), (0, 8));
    assert_eq!(device.flushes(), 0);
}

#[test]
fn a_read_over_the_limit_is_refused_and_a_write_over_it_ends_the_connection() {
    let device = Arc::new(MemoryDevice::new(64 * 1024 * 1024));
    let server = TestServer::start(device);
    let mut client = server.simple();
    assert_eq!(client.error_of(command::READ, 0, 0, MAX_REQUEST_BYTES + 1), 22);
    client.request(command::READ, 0, 1, 0, MAX_REQUEST_BYTES);
    assert_eq!(client.simple(), (0, 1));
    assert_eq!(client.receive(32 * 1024 * 1024).len(), 32 * 1024 * 1024);
    client.request(command::WRITE, 0, 2, 0, MAX_REQUEST_BYTES + 1);
    assert_eq!(client.simple(), (22, 2));
    client.expect_end();
}

#[test]
fn the_devices_errors_are_told_in_the_protocols_numbers() {
    let (server, device) = empty();
    device.break_down(4096..8192);
    let mut client = server.simple();
    assert_eq!(client.error_of(command::READ, 0, 4096, 10), 5);
    client.write(0, 1, 5000, &vec![1; 300_000]);
    assert_eq!(client.simple(), (5, 1));
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 5);
    client.write(command::FLAG_FUA, 2, 0, b"written, but not flushed");
    assert_eq!(client.simple(), (5, 2));
    client.write(0, 1, 8192, &[1; 10]);
    assert_eq!(client.simple(), (0, 1), "what is next is not harmed");
}
