use super::super::protocol::{command, handshake};
use super::client::Client;
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, PATIENCE, Server, Settings, TestServer, empty};
use crate::config::Listen;
use crate::volume::device::Device as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_client_that_disconnects_ends_its_session() {
    let (server, _) = empty();
    let mut client = server.simple();
    server.wait_for_sessions(1);
    client.request(command::DISC, 0, 0, 0, 0);
    client.expect_end();
    server.wait_for_sessions(0);
    drop(server.simple());
    server.wait_for_sessions(0);
}

#[test]
fn what_runs_when_a_client_disconnects_is_answered_first() {
    let (server, device) = empty();
    device.put_on_disk(0..4096);
    device.set_stuck(true);
    let mut client = server.simple();
    client.request(command::READ, 0, 1, 0, 4096);
    client.request(command::DISC, 0, 0, 0, 0);
    device.wait_for_waiting(1);
    device.set_stuck(false);
    assert_eq!(client.simple(), (0, 1));
    client.receive(4096);
    client.expect_end();
}

#[test]
fn a_client_that_goes_in_mid_write_leaves_nothing_behind() {
    let (server, device) = empty();
    device.put_on_disk(0..4096);
    let mut client = server.simple();
    client.request(command::READ, 0, 1, 0, 4096);
    client.request(command::WRITE, 0, 2, 8192, 1_000_000);
    client.send(&vec![3; 500_000]);
    drop(client);
    server.wait_for_sessions(0);
    let mut client = server.simple();
    client.write(0, 1, 8192, &[4; 4096]);
    assert_eq!(client.simple(), (0, 1));
}

#[test]
fn what_a_client_left_unflushed_is_flushed_when_it_goes() {
    let (server, device) = empty();
    drop(server.simple());
    server.wait_for_sessions(0);
    assert_eq!(device.flushes(), 0, "it changed nothing");

    let mut client = server.simple();
    client.write(0, 1, 0, b"written");
    assert_eq!(client.simple(), (0, 1));
    client.request(command::DISC, 0, 0, 0, 0);
    client.expect_end();
    assert_eq!(device.flushes(), 1);

    let mut client = server.simple();
    assert_eq!(client.error_of(command::TRIM, 0, 0, 4096), 0);
    drop(client);
    server.wait_for_sessions(0);
    assert_eq!(device.flushes(), 2, "also without a goodbye");

    let mut client = server.simple();
    assert_eq!(client.error_of(command::WRITE_ZEROES, 0, 0, 4096), 0);
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
    drop(client);
    server.wait_for_sessions(0);
    assert_eq!(device.flushes(), 3, "not twice");
}

#[test]
fn the_exports_can_end_a_session() {
    let (server, device) = empty();
    device.put_on_disk(0..4096);
    device.set_stuck(true);
    let mut client = server.simple();
    let mut idle = server.simple();
    server.wait_for_sessions(2);
    client.request(command::READ, 0, 1, 0, 4096);
    device.wait_for_waiting(1);
    for stop in &*server.exports.stops.lock() {
        stop.cancel();
    }
    idle.expect_end();
    server.wait_for_sessions(1);
    device.set_stuck(false);
    assert_eq!(client.simple(), (0, 1), "what ran is answered");
    client.receive(4096);
    client.expect_end();
    server.wait_for_sessions(0);
}

#[test]
fn stopping_answers_what_runs_and_closes_everything() {
    let (mut server, device) = empty();
    device.put_on_disk(0..4096);
    let mut idle = server.simple();
    let mut half = server.connect();
    half.greet();
    let mut client = server.simple();
    client.request(command::READ, 0, 1, 0, 4096);
    assert_eq!(client.simple(), (0, 1));
    client.receive(4096);
    server.stop(PATIENCE);
    for client in [&mut idle, &mut half, &mut client] {
        client.expect_end();
    }
    assert!(!server.path().exists(), "the socket is removed");
    server.wait_for_sessions(0);
}

#[test]
fn what_does_not_end_in_time_is_cut_off() {
    let (mut server, device) = empty();
    device.write_at(&vec![5; 8 * 1024 * 1024], 0).unwrap();
    let mut client = server.structured();
    for cookie in 0..8 {
        client.request(command::READ, 0, cookie, 0, 8 * 1024 * 1024);
    }
    // The first reply has begun; the client takes no more.
    client.receive(4);
    server.stop(Duration::from_millis(50));
    server.wait_for_sessions(0);
}

#[test]
fn a_server_that_is_dropped_lets_go_of_everything() {
    let (mut server, _) = empty();
    let mut client = server.simple();
    server.wait_for_sessions(1);
    drop(server.server.take());
    client.expect_end();
    server.wait_for_sessions(0);
}

#[test]
fn a_client_that_takes_nothing_is_closed_after_a_while() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    device.write_at(&vec![5; 8 * 1024 * 1024], 0).unwrap();
    let server = TestServer::with(device, |settings| settings.write_timeout = Duration::from_millis(100));
    let mut client = server.structured();
    server.wait_for_sessions(1);
    client.request(command::READ, 0, 1, 0, 8 * 1024 * 1024);
    server.wait_for_sessions(0);
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(device, |settings| settings.listen.push(Listen::Unix(path.clone())));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut client = Client::connect(&path);
    client.greet();
    client.go("/disk");
    let settings = Settings { listen: vec![Listen::Unix(path.clone())], ..Settings::default() };
    let second = server.runtime.block_on(Server::start(settings, Arc::clone(&server.exports) as _));
    let error = second.err().expect("the socket is in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    client.error_of(command::FLUSH, 0, 0, 0);
}

#[test]
fn a_port_of_tcp_is_served_too() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(device, |settings| settings.listen.push("127.0.0.1:0".parse().unwrap()));
    let addresses = server.server.as_ref().expect("it runs").addresses().to_vec();
    let address: std::net::SocketAddr = addresses[1].to_string().parse().expect("an address with a port");
    let mut client = Client::connect_tcp(address);
    client.greet();
    client.go("/disk");
    client.write(0, 1, 0, b"over TCP");
    assert_eq!(client.simple(), (0, 1));
    assert_eq!(client.ask_again(), 0);
    let peers = server.exports.peers.lock();
    assert!(matches!(peers[0].address, super::super::PeerAddress::Tcp(peer) if peer.ip() == address.ip()));
}

impl Client {
    fn ask_again(&mut self) -> u32 {
        self.error_of(command::FLUSH, 0, 0, 0)
    }
}

#[test]
fn tls_that_is_required_but_not_there_is_no_way_to_start() {
    let (server, _) = empty();
    let settings = Settings { require_tls: true, ..Settings::default() };
    let started = server.runtime.block_on(Server::start(settings, Arc::clone(&server.exports) as _));
    assert_eq!(started.err().expect("refused").kind(), io::ErrorKind::InvalidInput);
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.ask(handshake::OPT_STARTTLS, &[]).0, handshake::REP_ERR_POLICY);
    client.go("/disk");
}
