use super::super::protocol::{command, handshake};
use super::client::wanted;
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, TestServer, empty};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn bytes_that_are_no_handshake_end_the_connection() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet_with(1 << 7);
    client.expect_end();
    let mut client = server.connect();
    client.greet();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.expect_end();
}

#[test]
fn bytes_that_are_no_request_end_the_connection_after_what_was_asked_before() {
    let (server, _) = empty();
    let mut client = server.simple();
    client.send(&[super::client::request(command::FLUSH, 0, 1, 0, 0), vec![0xff; 28]].concat());
    assert_eq!(client.simple(), (0, 1));
    client.expect_end();
    server.wait_for_sessions(0);
}

#[test]
fn an_option_that_is_too_long_ends_the_connection() {
    let (server, _) = empty();
    for length in [70_000_u32, u32::MAX] {
        let mut client = server.connect();
        client.greet();
        client.send(&[b"IHAVEOPT", &handshake::OPT_GO.to_be_bytes()[..], &length.to_be_bytes()].concat());
        client.expect_end();
    }
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.ask(99, &vec![0; 65_536]).0, handshake::REP_ERR_UNSUP, "this much is taken");
}

#[test]
fn options_without_end_end_the_connection() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    for _ in 0..256 {
        assert_eq!(client.ask(99, &[]).0, handshake::REP_ERR_UNSUP);
    }
    client.expect_end();
}

#[test]
fn a_handshake_that_does_not_go_on_is_ended() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(device, |settings| settings.handshake_timeout = Duration::from_millis(200));
    let mut silent = server.connect();
    silent.receive(18);
    let mut chosen = server.simple();
    let mut half = server.connect();
    half.greet();
    half.send(b"IHAVE");
    let mut asking = server.connect();
    asking.greet();
    asking.option(handshake::OPT_INFO, &wanted("/disk", &[]));
    asking.reply(handshake::OPT_INFO);
    asking.reply(handshake::OPT_INFO);
    for client in [&mut silent, &mut half, &mut asking] {
        client.expect_end();
    }
    server.wait_for_sessions(1);
    assert_eq!(chosen.error_of(command::FLUSH, 0, 0, 0), 0, "this one is past it");
}

#[test]
fn connections_over_the_limit_are_closed_and_the_others_served() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(device, |settings| settings.max_connections = 3);
    let mut clients: Vec<_> = (0..3).map(|_| server.simple()).collect();
    server.connect().expect_end();
    assert_eq!(clients[0].error_of(command::FLUSH, 0, 0, 0), 0);
    clients.pop();
    server.wait_for_sessions(2);
    // The place is free a moment after the session has ended.
    let start = std::time::Instant::now();
    while !is_served(&server) {
        assert!(start.elapsed() < super::PATIENCE, "the place of one that left is free");
    }
}

#[test]
fn of_those_who_have_opened_nothing_the_oldest_makes_room() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(device, |settings| settings.max_connections = 3);
    let mut opened = server.simple();
    let mut silent: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for client in &mut silent {
        client.receive(18);
    }
    let mut newcomer = server.simple();
    silent[0].expect_end();
    for client in [&mut opened, &mut newcomer] {
        assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
    }
    silent[1].send(&1_u32.to_be_bytes());
    assert_eq!(silent[1].ask(99, &[]).0, handshake::REP_ERR_UNSUP, "the younger one stays");
}

fn is_served(server: &TestServer) -> bool {
    use std::io::Read as _;
    let mut client = server.connect();
    let mut byte = [0];
    client.io.read(&mut byte).is_ok_and(|count| count == 1)
}

#[test]
fn hundreds_of_connections_at_once_are_served() {
    let (server, _) = empty();
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.greet();
    }
    for client in &mut clients {
        client.go("/disk");
    }
    server.wait_for_sessions(200);
    for client in &mut clients {
        assert_eq!(client.error_of(command::READ, 0, DEVICE_BYTES, 1), 22);
    }
    drop(clients);
    server.wait_for_sessions(0);
}
