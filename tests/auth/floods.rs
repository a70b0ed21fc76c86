//! Clients that mean no good: others go on being served, and memory stays bounded.

use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::client::{Client, is_healthy};
use crate::common::http::{Connection, HttpPort, head};
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::wait::{eventually, within};
use crate::http2::{Attacker, field};

const MIB: u64 = 1024 * 1024;
/// How many connections shake no hands.
const IDLE_HANDSHAKES: usize = 10_000;
/// How many files the test needs besides.
const OTHER_FILES: usize = 512;
/// What floods may leave in the memory of the server for a while: buffers, and what the allocator keeps.
const MEMORY_OF_A_FLOOD: u64 = 96 * MIB;

/// How many idle connections this process can have.
fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, what there is has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let open_files =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).expect("64 bits"));
    let room = IDLE_HANDSHAKES.min(open_files.saturating_sub(OTHER_FILES));
    if room < IDLE_HANDSHAKES {
        eprintln!("only {room} idle handshakes: the limit of open files is {open_files}");
    }
    room
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_handshakes_keep_nobody_out() {
    let authority = Authority::new();
    let server = Setup::default().config(&authority.section("clients = 'optional'")).start().await;
    let (grpc, http) = (server.grpc_address(), server.http().0);
    let (of_grpc, of_http) = (Client::grpc(&authority, None), Client::http(&authority, None));
    let kept = of_grpc.channel(grpc).await.expect("a channel");
    assert!(is_healthy(kept.clone()).await);
    let before = server.resident_bytes();
    let room = room();
    let mut idle = Vec::with_capacity(room);
    for number in 0..room {
        let port = if number % 2 == 0 { grpc } else { http };
        idle.push(within("a connection", TcpStream::connect(port)).await.expect("a connection"));
        if number % 500 == 0 {
            assert!(of_grpc.is_served(grpc).await, "with {number} of them");
            assert_eq!(of_http.ask(http, "GET", "/healthz").await.expect("an answer"), 200, "with {number} of them");
        }
    }
    assert!(of_grpc.is_served(grpc).await && is_healthy(kept).await);
    assert_eq!(of_http.ask(http, "GET", "/healthz").await.expect("an answer"), 200);
    assert!(server.proc().descriptors() < room / 2, "the server keeps a part of them alone");
    assert!(server.resident_bytes() < before + MEMORY_OF_A_FLOOD, "memory is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_of_nbd_keep_nobody_out() {
    const CONNECTIONS: usize = 16;
    let config = format!("[volumes]\nnbd_connections = {CONNECTIONS}\n");
    let server = Setup::default().config(&config).nbd_listen().start().await;
    let mut silent = Vec::new();
    for number in 0..4 * CONNECTIONS {
        let mut stream = within("a connection", TcpStream::connect(server.nbd())).await.expect("a connection");
        let mut greeting = [0; 18];
        let greeted = within("a greeting", stream.read_exact(&mut greeting)).await;
        assert!(greeted.is_ok() && greeting.starts_with(b"NBDMAGIC"), "with {number} of them");
        silent.push(stream);
    }
    let mut rest = Vec::new();
    let _ = within("the oldest has gone", silent[0].read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

/// Both ports that speak HTTP/2 in the clear.
fn ports(server: &Server) -> [SocketAddr; 2] {
    [server.grpc_address(), server.http().0]
}

async fn others_are_served(server: &Server) {
    assert!(is_healthy(server.channel()).await);
    assert_eq!(HttpPort(server.http().0).get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_taken_back_at_once_end_the_connection_and_no_other() {
    const AT_ONCE: usize = 100;
    const MOST: usize = 200_000;
    let server = Server::start().await;
    others_are_served(&server).await;
    let before = server.resident_bytes();
    for port in ports(&server) {
        let mut attackers = Vec::new();
        for _ in 0..8 {
            attackers.push(Attacker::connect(port).await);
        }
        let mut sent = 0;
        while !attackers.is_empty() && sent < MOST {
            let mut left = Vec::new();
            for mut attacker in attackers {
                if attacker.reset_rapidly(AT_ONCE).await {
                    left.push(attacker);
                }
                sent += AT_ONCE;
            }
            attackers = left;
            if sent % 8_000 == 0 {
                others_are_served(&server).await;
            }
        }
        others_are_served(&server).await;
    }
    assert!(server.resident_bytes() < before + MEMORY_OF_A_FLOOD, "memory is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    const MOST_BYTES: usize = 256 << 20;
    let server = Server::start().await;
    others_are_served(&server).await;
    let before = server.resident_bytes();
    let large = field(b"x-flood", &[b'a'; 8_000]);
    // Of nothing, a frame is possible as well.
    for part in [&large[..], &[]] {
        for port in ports(&server) {
            let mut attacker = Attacker::connect(port).await;
            assert!(attacker.begin_head().await);
            let mut sent = 0;
            while attacker.continue_head(part).await {
                sent += part.len() + 9;
                assert!(sent < MOST_BYTES, "the server would take heads without an end");
                if sent % (4 << 20) < part.len() {
                    others_are_served(&server).await;
                }
            }
            attacker.hung_up_on().await;
        }
    }
    others_are_served(&server).await;
    assert!(server.resident_bytes() < before + MEMORY_OF_A_FLOOD, "memory is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_long_are_refused() {
    let server = Server::start().await;
    others_are_served(&server).await;
    let before = server.resident_bytes();
    for port in ports(&server) {
        for length in [80_000, 1 << 20] {
            let mut attacker = Attacker::connect(port).await;
            for _ in 0..20 {
                if !attacker.send_long_head(length).await {
                    break;
                }
            }
            others_are_served(&server).await;
        }
    }
    let head = format!("GET /healthz HTTP/1.1\r\nHost: steward\r\nX-Long: {}\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = TcpStream::connect(server.http().0).await.expect("a connection");
    // The server hangs up before all of it has come, and with what it has not read its answer may be lost.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = within("the server hangs up", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    others_are_served(&server).await;
    assert!(server.resident_bytes() < before + MEMORY_OF_A_FLOOD, "memory is bounded");
}

const MANIFEST: &str = "/v2/p/r/i/manifests/1";
const MANIFEST_BYTES: usize = 4 << 20;

/// Sends all of a manifest but its last byte.
async fn begin_manifest(server: &Server, headers: &[(&str, &str)]) -> Connection {
    let mut connection = server.http().connect().await;
    let length = MANIFEST_BYTES.to_string();
    let headers = [headers, &[("Content-Length", length.as_str())]].concat();
    connection.send_bytes(head("PUT", MANIFEST, &headers).as_bytes()).await.expect("the head can be sent");
    // Where it is refused, the server may hang up.
    let _ = connection.send_bytes(&vec![b' '; MANIFEST_BYTES - 1]).await;
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_do_not_end_take_only_so_much_memory() {
    let server = Setup::default().config("[limits]\nmemory = 67108864").start().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begin_manifest(&server, &[]).await);
    }
    let is_full = || async {
        let answer = server.http().request("PUT", MANIFEST, &[], &[b' '; 1 << 10]).await;
        (answer.status == 503).then_some(answer)
    };
    let refused = eventually("the room is taken", is_full).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("UNAVAILABLE"), "{}", refused.text());
    others_are_served(&server).await;
    drop(held);
    let has_room = || async {
        let answer = server.http().request("PUT", MANIFEST, &[], b"{}").await;
        (answer.status != 503).then_some(())
    };
    eventually("there is room again", has_room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_strangers_are_refused_before_they_have_come() {
    let home = temporary::directory();
    let users = home.path().join("users");
    std::fs::write(&users, "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").expect("written");
    let config = format!("[auth]\nhtpasswd = {:?}\nrights = 'alice lock * read'", users.to_str().expect("UTF-8"));
    let server = Setup::default().config(&config).start_in(home).await;
    let (wrong, right) = ("Basic YWxpY2U6d3Jvbmc=", "Basic YWxpY2U6c2VjcmV0");
    for (headers, status) in [(&[][..], 401), (&[("Authorization", wrong)], 401), (&[("Authorization", right)], 403)] {
        let mut connection = begin_manifest(&server, headers).await;
        let answer = within("an answer before the last byte", connection.read_head()).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::start().await;
    let mut connection = server.http().connect().await;
    let request = head("POST", "/lock", &[("Content-Length", "5")]);
    connection.send_bytes(request.as_bytes()).await.expect("the head can be sent");
    let answer = within("the server gives up", connection.answer("POST")).await;
    assert_eq!(answer.parts(), (408, "请求体接收超时\n"));
    within("the connection is closed", connection.read_to_end()).await;
}
