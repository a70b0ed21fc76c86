//! Clients of TLS: rustls, grpcurl and curl.

use std::io;
use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::authority::{Authority, Identity};
use crate::common::program;
use crate::common::wait::within;

/// A client that trusts the server's authority, and may have a certificate.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(authority: &Authority, identity: Option<&Identity>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(authority.file("ca-cert.pem")).expect("a certificate");
        roots.add(ca).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let cert = CertificateDer::from_pem_file(identity.cert()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_file(identity.key()).expect("a key");
                builder.with_client_auth_cert(vec![cert], key).expect("a pair")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client(Arc::new(config))
    }

    /// The same, but it offers other protocols.
    pub(crate) fn with_protocols(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client(Arc::new(config))
    }

    pub(crate) fn http(authority: &Authority, identity: Option<&Identity>) -> Self {
        Client::new(authority, identity, &["http/1.1"])
    }

    pub(crate) fn grpc(authority: &Authority, identity: Option<&Identity>) -> Self {
        Client::new(authority, identity, &["h2"])
    }

    pub(crate) async fn shake(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        within("hands are shaken", connector.connect(ServerName::from(address.ip()), stream)).await
    }

    /// The status line and the head of the answer to a request on a connection of its own. A client of TLS 1.3 learns
    /// only here that its certificate was refused.
    pub(crate) async fn ask(&self, address: SocketAddr, method: &str, path: &str) -> io::Result<u16> {
        let mut stream = self.shake(address).await?;
        ask_on(&mut stream, method, path).await
    }

    /// A channel that is connected already.
    pub(crate) async fn channel(&self, address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
        let client = self.clone();
        let connect = service_fn(move |_: http::Uri| {
            let client = client.clone();
            async move { client.shake(address).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        endpoint.connect_with_connector(connect).await
    }

    /// Whether the gRPC port tells this client that it is well.
    pub(crate) async fn is_served(&self, address: SocketAddr) -> bool {
        match self.channel(address).await {
            Ok(channel) => is_healthy(channel).await,
            Err(_) => false,
        }
    }
}

/// Whether the server says over a channel that it is well.
pub(crate) async fn is_healthy(channel: Channel) -> bool {
    let request = HealthCheckRequest { service: String::new() };
    within("an answer", HealthClient::new(channel).check(request)).await.is_ok()
}

/// A request of HTTP/1.1 without a body; the status of its answer.
pub(crate) async fn ask_on(stream: &mut TlsStream<TcpStream>, method: &str, path: &str) -> io::Result<u16> {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: steward\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if within("an answer", stream.read_buf(&mut answer)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = std::str::from_utf8(&answer[9..12]).ok().and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Runs a program to its end; `None` where there is none.
pub(crate) async fn run(name: &str, args: &[&str]) -> Option<Output> {
    let program = program::find(name, "tls")?;
    let run = Command::new(program).args(args).kill_on_drop(true).output();
    Some(within(name, run).await.expect("it can be started"))
}

/// What a program wrote, which is expected to end well.
pub(crate) fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
