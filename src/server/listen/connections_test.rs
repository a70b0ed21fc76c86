//! Connections as clients meet them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::routing::get;
use axum::{Extension, Router};
use futures::stream::repeat_with;
use steward_gateway::Peer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::peers::Peers;
use super::{Common, Limits, Socket, Tls, serve};
use crate::config::{self, Config, TlsVersion};

struct Port {
    address: String,
    /// A request for `/slow` has come.
    came: Arc<Notify>,
    /// Lets it be answered.
    go_on: Arc<Notify>,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

async fn start(listen: &str, tls: Option<Tls>, limits: Limits) -> Port {
    start_as(config::Port::Http, listen, tls, limits).await
}

async fn start_as(kind: config::Port, listen: &str, tls: Option<Tls>, limits: Limits) -> Port {
    let socket = Socket::bind(&listen.parse().expect("an address")).await.expect("a socket");
    let (came, go_on, shutdown) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
    let (slow_came, slow_goes_on) = (Arc::clone(&came), Arc::clone(&go_on));
    let slow = || async move {
        slow_came.notify_one();
        slow_goes_on.notified().await;
    };
    let router = Router::new()
        .route("/", get(|Extension(Peer(peer)): Extension<Peer>| async move { format!("{peer:?}") }))
        .route("/slow", get(slow))
        .route("/endless", get(async || Body::from_stream(repeat_with(|| Ok::<_, Infallible>(vec![0; 65536])))));
    let peers = Peers::new(limits.connections);
    let common = Common { tls, access_log: None, limits, peers, shutdown: shutdown.clone() };
    let address = socket.address();
    let ended = tokio::spawn(async move { serve(kind, socket, router, common).await.expect("it serves") });
    Port { address, came, go_on, shutdown, ended }
}

impl Port {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.parse::<SocketAddr>().expect("an address")).await.expect("a connection")
    }
}

async fn ask(stream: &mut (impl AsyncWrite + Unpin), path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: steward\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
}

/// What comes, up to the end of the head at least.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).await.expect("an answer");
    String::from_utf8(bytes[..length].to_vec()).expect("text")
}

#[tokio::test]
async fn a_connection_over_the_limit_is_served_when_another_ends() {
    let port = start("127.0.0.1:0", None, Limits::new(1)).await;
    let (mut first, mut second) = (port.connect().await, port.connect().await);
    ask(&mut first, "/").await;
    assert!(answer(&mut first).await.ends_with("Some(127.0.0.1)"));
    ask(&mut second, "/").await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.readable()).await;
    early.expect_err("the second waits for the first");
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let limits = Limits { head_timeout: Duration::from_millis(50), linger: Duration::ZERO, ..Limits::new(9) };
    let port = start("127.0.0.1:0", None, limits).await;
    for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nHost: st"] {
        let mut stream = port.connect().await;
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{beginning}: {rest:?}");
    }
}

#[tokio::test]
async fn a_request_with_too_many_headers_is_refused() {
    let port = start("127.0.0.1:0", None, Limits::new(9)).await;
    let mut stream = port.connect().await;
    let headers = "a: b\r\n".repeat(200);
    stream.write_all(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).await.expect("sent");
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_client_whose_upload_is_refused_reads_why() {
    let port = start("127.0.0.1:0", None, Limits::new(9)).await;
    for _ in 0..5 {
        let mut stream = port.connect().await;
        let head = "POST /refused HTTP/1.1\r\nHost: steward\r\nContent-Length: 16777216\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        let body = vec![0; 16 * 1024 * 1024];
        stream.write_all(&body).await.expect("all of it is taken");
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 404 "));
    }
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_hung_up_on() {
    let linger = Duration::from_millis(10);
    let limits = Limits { head_timeout: linger, unread_timeout: Duration::from_millis(100), linger, ..Limits::new(9) };
    let port = start("127.0.0.1:0", None, limits).await;
    let mut stream = port.connect().await;
    ask(&mut stream, "/endless").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    let _ = end.expect("the connection has ended");

    let mut builder = h2::client::Builder::new();
    let (mut client, connection) =
        builder.initial_window_size(0).handshake::<_, Bytes>(port.connect().await).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://steward/endless").body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("sent");
    let _response = response.await.expect("a head");
    let end = tokio::time::timeout(Duration::from_secs(5), connection).await;
    let _ = end.expect("the connection has ended");
}

#[tokio::test]
async fn a_channel_on_which_nobody_is_let_in_is_ended() {
    let short = Duration::from_millis(100);
    let limits = Limits { head_timeout: short, stranger_timeout: short, linger: short, ..Limits::new(9) };
    let port = start_as(config::Port::Grpc, "127.0.0.1:0", None, limits).await;
    let (mut client, connection) = h2::client::handshake(port.connect().await).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://steward/").body(()).expect("a request");
    if let Ok((response, _)) = client.send_request(request, true) {
        let _ = response.await;
    }
    let end = tokio::time::timeout(Duration::from_secs(20), connection).await;
    let _ = end.expect("the connection has ended, though it answers pings");
}

#[tokio::test]
async fn what_is_running_at_shutdown_is_finished() {
    let port = start("127.0.0.1:0", None, Limits::new(9)).await;
    let (mut busy, mut idle) = (port.connect().await, port.connect().await);
    ask(&mut idle, "/").await;
    answer(&mut idle).await;
    ask(&mut busy, "/slow").await;
    port.came.notified().await;
    port.shutdown.cancel();
    assert_eq!(answer(&mut idle).await, "", "an idle connection is closed");
    port.go_on.notify_one();
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 200 "));
    port.ended.await.expect("the server has ended");
    TcpStream::connect(&port.address).await.expect_err("nobody listens");
}

#[tokio::test]
async fn a_peer_at_a_unix_socket_has_no_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let port = start(&format!("unix:{}", path.display()), None, Limits::new(9)).await;
    let mut stream = UnixStream::connect(&path).await.expect("a connection");
    ask(&mut stream, "/").await;
    assert!(answer(&mut stream).await.ends_with("None"));
    port.shutdown.cancel();
    port.ended.await.expect("the server has ended");
    assert!(!path.exists(), "the socket is removed");
}

fn certificate(directory: &Path, min_version: TlsVersion) -> (Tls, RootCertStore) {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert, pair.cert.pem()).expect("written");
    std::fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).expect("a certificate")).expect("a root");
    let tls = config::Tls { cert: Some(cert), key: Some(key), min_version, ..config::Tls::default() };
    (Tls::load(&Config { tls, ..Config::default() }).expect("a pair").expect("TLS"), roots)
}

#[tokio::test]
async fn tls_chooses_http2_where_the_client_can() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tls, roots) = certificate(directory.path(), TlsVersion::V1_3);
    let port = start("127.0.0.1:0", Some(tls), Limits::new(9)).await;
    let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = || ServerName::try_from("localhost").expect("a name");

    let plain = TlsConnector::from(Arc::new(client.clone()));
    let mut stream = plain.connect(name(), port.connect().await).await.expect("a handshake");
    ask(&mut stream, "/").await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));

    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let modern = TlsConnector::from(Arc::new(client));
    let mut stream = modern.connect(name(), port.connect().await).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // The preface and empty settings: the server answers with its own.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.expect("a frame");
    assert_eq!(header[3], 4, "a frame of settings: {header:?}");
}
