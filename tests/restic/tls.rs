//! TLS, looked at from the other end.

use std::fs;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};

use crate::common::certificates::Certificates;
use crate::common::http::HttpPort;
use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::common::wait::{eventually, within};

const EITHER: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A client that trusts one authority.
struct Client<'a> {
    authority: &'a Certificates,
    versions: &'a [&'static SupportedProtocolVersion],
    protocols: &'a [&'a str],
}

impl Client<'_> {
    async fn shake(&self, port: HttpPort) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.authority.ca()).expect("a certificate");
        roots.add(ca).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(self.versions).expect("versions that there are");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(port.0).await?;
        let name = ServerName::from(port.0.ip());
        within("hands are shaken", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }
}

/// The status line of an answer to a request of HTTP/1.1.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: steward\r\n\r\n").await.expect("it is taken");
    let mut answer = vec![0; 15];
    within("an answer", stream.read_exact(&mut answer)).await.expect("an answer");
    String::from_utf8(answer).expect("text")
}

async fn start(certificates: &Certificates, flags: &[&str]) -> RestServer {
    let (cert, key) = (certificates.cert(), certificates.key());
    let setup = RestServer::open().flags(["--tls", "--tls-cert", &cert, "--tls-key", &key]);
    setup.flags(flags.iter().copied()).start().await
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_served_to_new_connections_and_old_ones_go_on() {
    let (first, second) = (Certificates::new(), Certificates::new());
    let server = start(&first, &[]).await;
    if server.is_original() {
        // It reads its certificate once.
        return;
    }
    let old = Client { authority: &first, versions: &EITHER, protocols: &[] };
    let new = Client { authority: &second, versions: &EITHER, protocols: &[] };
    let mut early = old.shake(server.http()).await.expect("the first certificate");
    assert_eq!(ask(&mut early).await, "HTTP/1.1 200 OK");
    new.shake(server.http()).await.expect_err("the second is not known yet");

    fs::copy(second.key(), first.key()).expect("a file can be copied");
    fs::copy(second.cert(), first.cert()).expect("a file can be copied");

    let mut late = eventually("the second certificate", async || new.shake(server.http()).await.ok()).await;
    assert_eq!(ask(&mut late).await, "HTTP/1.1 200 OK");
    assert!(String::from_utf8_lossy(&read_some(&mut early).await).contains("ok"), "the old connection goes on");
}

/// What is left of the answer to the first request, after another one.
async fn read_some(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: steward\r\nConnection: close\r\n\r\n")
        .await
        .expect("it is taken");
    let mut rest = Vec::new();
    // A server may hang up without a word of TLS.
    let _ = within("the rest", stream.read_to_end(&mut rest)).await;
    assert_eq!(rest.windows(15).filter(|line| line == b"HTTP/1.1 200 OK").count(), 1);
    rest
}

#[tokio::test]
async fn a_broken_certificate_changes_nothing() {
    let certificates = Certificates::new();
    let server = start(&certificates, &[]).await;
    if server.is_original() {
        return;
    }
    fs::write(certificates.cert(), "no certificate").expect("a file can be written");

    eventually("it is noticed", async || server.log().contains("the old one stays").then_some(())).await;

    let client = Client { authority: &certificates, versions: &EITHER, protocols: &[] };
    assert_eq!(ask(&mut client.shake(server.http()).await.expect("the old one")).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn the_oldest_version_can_be_chosen() {
    let certificates = Certificates::new();
    let [old, new] = [[&TLS12], [&TLS13]];
    let [old, new] = [&old, &new].map(|versions| Client { authority: &certificates, versions, protocols: &[] });
    for (flags, takes_old) in [(&[][..], true), (&["--tls-min-ver", "1.2"], true), (&["--tls-min-ver", "1.3"], false)] {
        let server = start(&certificates, flags).await;
        assert_eq!(old.shake(server.http()).await.is_ok(), takes_old, "{flags:?}");
        let stream = new.shake(server.http()).await.expect("the newest version");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }
}

#[tokio::test]
async fn a_server_of_everything_has_an_oldest_version_too() {
    let certificates = Certificates::new();
    let config =
        format!("[tls]\ncert = {:?}\nkey = {:?}\nmin_version = \"1.3\"", certificates.cert(), certificates.key());
    let server = Setup::default().config(&config).restic_listen().start().await;
    for port in [server.http(), server.restic()] {
        for (versions, is_taken) in [([&TLS12], false), ([&TLS13], true)] {
            let client = Client { authority: &certificates, versions: &versions, protocols: &[] };
            assert_eq!(client.shake(port).await.is_ok(), is_taken);
        }
    }
}

/// The first bytes of a client of HTTP/2: the preface, no settings, and `GET https://x/healthz` in static codes.
const REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x0f\x01\x05\x00\x00\x00\x01\x82\x87\x04\x08/healthz\x41\x01x";
const HEADERS: u8 = 1;
/// `:status 200` in its static code.
const OK: u8 = 0x88;
/// `:status 404`.
const NOT_FOUND: u8 = 0x8d;

#[tokio::test]
async fn http_2_is_agreed_on_and_spoken() {
    let certificates = Certificates::new();
    let server = start(&certificates, &[]).await;
    for (protocols, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let client = Client { authority: &certificates, versions: &EITHER, protocols };
        let stream = client.shake(server.http()).await.expect("hands are shaken");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(agreed.as_bytes()));
    }

    let client = Client { authority: &certificates, versions: &EITHER, protocols: &["h2"] };
    let mut stream = client.shake(server.http()).await.expect("hands are shaken");
    stream.write_all(REQUEST).await.expect("it is taken");
    let status = within("an answer", async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("a frame");
            let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            stream.read_exact(&mut payload).await.expect("all of it");
            if head[3] == HEADERS {
                return payload[0];
            }
        }
    })
    .await;
    // The original has no such path.
    assert_eq!(status, if server.is_original() { NOT_FOUND } else { OK });
}
