use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use super::super::PeerAddress;
use super::super::protocol::{command, handshake};
use super::client::{Client, wanted};
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, PATIENCE, TestServer, pattern};

/// An authority that both sides trust.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let (certificate, key) = self.issue();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key);
        Arc::new(config.unwrap())
    }

    fn client(&self, own: (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(config.with_client_auth_cert(vec![own.0], own.1).unwrap())
    }
}

fn start(authority: &Authority) -> (TestServer, SocketAddr, Arc<MemoryDevice>) {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let server = TestServer::with(Arc::clone(&device) as _, |settings| {
        settings.listen.push("127.0.0.1:0".parse().unwrap());
        settings.tls = Some(authority.server());
        settings.require_tls = true;
    });
    let address = server.server.as_ref().expect("it runs").addresses()[1].to_string().parse().expect("an address");
    (server, address, device)
}

fn plain(address: SocketAddr) -> (TcpStream, Client) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = Client { io: Box::new(stream.try_clone().unwrap()) };
    (stream, client)
}

#[test]
fn over_tls_everything_works_and_the_client_is_known_by_its_certificate() {
    let authority = Authority::new();
    let (server, address, device) = start(&authority);
    device.put_on_disk(4096..8192);
    let own = authority.issue();
    let config = authority.client((own.0.clone(), own.1.clone_key()));
    let (stream, mut client) = plain(address);
    client.greet();
    assert_eq!(client.ask(handshake::OPT_STARTTLS, &[]).0, handshake::REP_ACK);
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = Client { io: Box::new(StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)) };
    assert_eq!(client.ask(handshake::OPT_STARTTLS, &[]).0, handshake::REP_ERR_INVALID, "once is enough");
    client.agree_on_structured_replies();
    client.choose_contexts("/disk", &["base:allocation"]);
    client.go("/disk");
    assert_eq!(server.exports.peers.lock()[0].certificate.as_deref(), Some(own.0.as_ref()));

    let data = pattern(0, 1_000_000);
    client.write(command::FLAG_FUA, 1, 0, &data);
    client.io.flush().unwrap();
    assert_eq!(client.simple(), (0, 1));
    assert_eq!(device.flushes(), 1);
    client.request(command::READ, command::FLAG_DF, 2, 0, 1_000_000);
    let chunks = client.chunks();
    assert!(chunks[0].data[8..] == data, "also what is on the disk");
    client.request(command::BLOCK_STATUS, 0, 3, 0, 4096);
    assert_eq!(client.chunks().len(), 1);
    assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
}

#[test]
fn without_tls_nothing_is_told_on_tcp_and_everything_on_a_unix_socket() {
    let authority = Authority::new();
    let (server, address, _) = start(&authority);
    let (_stream, mut client) = plain(address);
    client.greet();
    for (option, data) in [
        (handshake::OPT_LIST, vec![]),
        (handshake::OPT_GO, wanted("/disk", &[])),
        (handshake::OPT_STRUCTURED_REPLY, vec![]),
        (12345, vec![]),
    ] {
        assert_eq!(client.ask(option, &data).0, handshake::REP_ERR_TLS_REQD);
    }
    client.option(handshake::OPT_EXPORT_NAME, b"/disk");
    client.expect_end();
    assert!(server.exports.peers.lock().is_empty());

    server.simple();
    assert_eq!(server.exports.peers.lock()[0].address, PeerAddress::Unix);
}

#[test]
fn what_was_said_before_tls_does_not_count_after_it() {
    let authority = Authority::new();
    let (server, address, _) = start(&authority);
    let (_stream, mut client) = plain(address);
    client.greet();
    // An attacker in between puts an option behind the one that starts TLS.
    let start = [&b"IHAVEOPT"[..], &handshake::OPT_STARTTLS.to_be_bytes(), &[0; 4]].concat();
    client.send(&[&start[..], b"IHAVEOPT\0\0\0\x08\0\0\0\0"].concat());
    client.expect_end();
    let (_stream, mut client) = plain(address);
    client.greet();
    assert_eq!(client.ask(handshake::OPT_STARTTLS, &[]).0, handshake::REP_ACK);
    client.send(b"this is no TLS, and never will be");
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client.io, &mut rest);
    assert!(!rest.windows(8).any(|bytes| bytes == b"NBDMAGIC"), "an alert at most");
    server.simple();
}
