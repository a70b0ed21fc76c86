use super::super::protocol::{command, reply};
use super::client::{Chunk, Client};
use super::{DEVICE_BYTES, MIB, TestServer, empty, pattern};
use crate::volume::device::Device as _;

const KIB: usize = 1024;

/// Puts the chunks of a read together; says how many of them were holes.
fn assemble(chunks: &[Chunk], offset: u64, length: usize) -> (Vec<u8>, usize) {
    let mut bytes = vec![0xcc; length];
    let (mut covered, mut holes) = (0, 0);
    for chunk in chunks {
        let at = usize::try_from(u64::from_be_bytes(chunk.data[..8].try_into().unwrap()) - offset).unwrap();
        let part = match chunk.kind {
            reply::OFFSET_DATA => chunk.data[8..].to_vec(),
            reply::OFFSET_HOLE => {
                holes += 1;
                vec![0; u32::from_be_bytes(chunk.data[8..].try_into().unwrap()) as usize]
            }
            kind => panic!("a chunk of type {kind}"),
        };
        bytes[at..at + part.len()].copy_from_slice(&part);
        covered += part.len();
    }
    assert_eq!(covered, length, "nothing is missing and nothing comes twice");
    (bytes, holes)
}

fn read(client: &mut Client, flags: u16, offset: u64, length: usize) -> Vec<Chunk> {
    client.request(command::READ, flags, 42, offset, u32::try_from(length).unwrap());
    let chunks = client.chunks();
    assert!(chunks.iter().all(|chunk| chunk.cookie == 42));
    chunks
}

#[test]
fn zeros_are_told_and_not_sent() {
    let (server, device) = empty();
    device.write_at(&[7; 4096], 64 * 1024).unwrap();
    device.write_at(&[8; 100], 128 * 1024 + 50).unwrap();
    let mut client = server.structured();
    let chunks = read(&mut client, 0, 100, 1024 * KIB);
    let (bytes, holes) = assemble(&chunks, 100, 1024 * KIB);
    assert_eq!(bytes, device.bytes(100, 1024 * KIB));
    assert_eq!((chunks.len(), holes), (5, 3));
}

#[test]
fn a_long_simple_reply_is_sent_in_parts_with_nothing_between_them() {
    let (server, device) = empty();
    let data = pattern(3, 6 * MIB);
    device.write_at(&data, 0).unwrap();
    device.put_on_disk(7 * 1024 * 1024..7 * 1024 * 1024 + 4096);
    let mut client = server.simple();
    let mut batch = Vec::new();
    for cookie in 0..20 {
        let (offset, length) = if cookie % 2 == 0 { (7 * 1024 * 1024, 4096) } else { (1, 5 * 1024 * 1024) };
        batch.extend(super::client::request(command::READ, 0, cookie, offset, length));
    }
    client.send(&batch);
    for _ in 0..20 {
        let (error, cookie) = client.simple();
        assert_eq!(error, 0);
        if cookie % 2 == 0 {
            assert_eq!(client.receive(4096), [0; 4096]);
        } else {
            assert!(client.receive(5 * MIB) == data[1..=5 * MIB], "at {cookie}");
        }
    }
    device.break_down(4 * 1024 * 1024..4 * 1024 * 1024 + 1);
    assert_eq!(client.error_of(command::READ, 0, 4 * 1024 * 1024, 5), 5);
    client.request(command::READ, 0, 1, 0, 5 * 1024 * 1024);
    assert_eq!(client.simple(), (0, 1), "it has begun");
    assert!(client.receive(4 * MIB) == data[..4 * MIB]);
    client.expect_end();
}

#[test]
fn a_read_that_must_not_be_in_pieces_is_one_chunk() {
    let (server, device) = empty();
    device.write_at(&[7; 4096], 64 * 1024).unwrap();
    let mut client = server.structured();
    let chunks = read(&mut client, command::FLAG_DF, 4096, 1024 * KIB);
    assert_eq!(chunks.len(), 1);
    assert_eq!(assemble(&chunks, 4096, 1024 * KIB).0, device.bytes(4096, 1024 * KIB));
}

#[test]
fn long_reads_of_data_are_whole() {
    let (server, device) = empty();
    let data = pattern(0, 8192 * KIB);
    device.write_at(&data, 0).unwrap();
    let mut client = server.structured();
    for (offset, length) in [(0, 8192 * KIB), (1, 256 * KIB), (4095, 1024 * KIB + 1), (12345, 100), (0, 32 * KIB)] {
        let chunks = read(&mut client, 0, offset, length);
        assert_eq!(assemble(&chunks, offset, length), (device.bytes(offset, length), 0));
    }
}

#[test]
fn a_read_of_nothing_and_one_that_is_refused_have_structured_replies() {
    let (server, device) = empty();
    device.break_down(1024 * 1024..2 * 1024 * 1024);
    let mut client = server.structured();
    assert_eq!(read(&mut client, 0, 0, 0), [Chunk { is_done: true, kind: reply::NONE, cookie: 42, data: vec![] }]);
    for (offset, length, error) in [(DEVICE_BYTES, 1, 22), (1024 * 1024, 4096, 5), (1024 * 1024, 0x20_0001, 5)] {
        let chunks = read(&mut client, command::FLAG_DF, offset, length);
        assert_eq!((chunks.len(), chunks[0].kind), (1, reply::ERROR));
        assert_eq!(chunks[0].data[..4], u32::to_be_bytes(error));
        let text = usize::from(u16::from_be_bytes(chunks[0].data[4..6].try_into().unwrap()));
        assert_eq!(chunks[0].data.len(), 6 + text);
    }
}

#[test]
fn a_read_that_fails_in_the_middle_says_where() {
    let (server, device) = empty();
    device.write_at(&vec![1; 2048 * KIB], 0).unwrap();
    device.break_down(1024 * 1024..2 * 1024 * 1024);
    let mut client = server.structured();
    let chunks = read(&mut client, 0, 512 * 1024, 1024 * KIB);
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(assemble(before, 512 * 1024, 512 * KIB).0, vec![1; 512 * KIB]);
    assert_eq!(last.kind, reply::ERROR_OFFSET);
    assert_eq!(last.data[..4], 5_u32.to_be_bytes());
    assert_eq!(last.data[last.data.len() - 8..], (1024 * 1024_u64).to_be_bytes());
}

fn with_contexts(server: &TestServer, contexts: &[&str]) -> Client {
    let mut client = server.connect();
    client.greet();
    client.agree_on_structured_replies();
    client.choose_contexts("/disk", contexts);
    client.go("/disk");
    client
}

/// The context, and what it says of which lengths.
fn status(chunk: &Chunk) -> (u32, Vec<(u32, u32)>) {
    assert_eq!(chunk.kind, reply::BLOCK_STATUS);
    let numbers: Vec<u32> = chunk.data.chunks(4).map(|n| u32::from_be_bytes(n.try_into().unwrap())).collect();
    (numbers[0], numbers[1..].chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

#[test]
fn the_status_tells_data_from_zeros_and_the_layers() {
    let (server, device) = empty();
    device.fill(4096, &[1; 4096], 3);
    device.fill(8192, &[1; 4096], 1);
    device.zero(12288, 4096, crate::volume::device::Zero::Deallocate).unwrap();
    let mut client = with_contexts(&server, &["base:allocation", "steward:depth"]);
    client.request(command::BLOCK_STATUS, 0, 1, 0, 1024 * 1024);
    let chunks = client.chunks();
    assert_eq!(chunks.len(), 2);
    let rest = 1024 * 1024 - 16384;
    assert_eq!(status(&chunks[0]), (1, vec![(4096, 3), (8192, 0), (4096, 2), (rest, 3)]));
    assert_eq!(status(&chunks[1]), (2, vec![(4096, u32::MAX), (4096, 3), (4096, 1), (4096, 0), (rest, u32::MAX)]));

    client.request(command::BLOCK_STATUS, command::FLAG_REQ_ONE, 1, 4097, 1024);
    let chunks = client.chunks();
    assert_eq!(status(&chunks[0]), (1, vec![(1024, 0)]), "never more than what was asked for");
    assert_eq!(status(&chunks[1]), (2, vec![(1024, 3)]));
    client.request(command::BLOCK_STATUS, command::FLAG_REQ_ONE, 1, 0, 1024 * 1024);
    assert_eq!(status(&client.chunks()[0]), (1, vec![(4096, 3)]));
}

#[test]
fn the_status_needs_a_context_of_this_device() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    client.agree_on_structured_replies();
    client.choose_contexts("disk", &["base:allocation"]);
    client.go("/disk");
    client.request(command::BLOCK_STATUS, 0, 1, 0, 4096);
    let chunks = client.chunks();
    assert_eq!((chunks[0].kind, &chunks[0].data[..4]), (reply::ERROR, &22_u32.to_be_bytes()[..]));

    let mut client = with_contexts(&server, &["steward:depth"]);
    client.request(command::BLOCK_STATUS, 0, 1, 0, 4096);
    assert_eq!(status(&client.chunks()[0]), (2, vec![(4096, u32::MAX)]));
    client.request(command::BLOCK_STATUS, 0, 1, 0, 0);
    assert_eq!(client.chunks()[0].kind, reply::ERROR);
}
