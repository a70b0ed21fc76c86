//! TLS: certificates that are read again when they change, and how each port speaks.
//!
//! - `certificate` is the server's own, `authority` who signs those of clients, `file` what both are read from.
//! - `shown` is the certificate of one client.

mod authority;
mod certificate;
mod file;
mod shown;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use steward_gateway::ClientUser;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use self::authority::{Asking, Authority};
use self::certificate::Certificate;
pub(in crate::server) use self::file::Error;
pub(super) use self::shown::Shown;
use super::handshakes::Handshakes;
use super::socket::Io;
use crate::auth::user_of_certificate;
use crate::clock::SystemClock;
use crate::config::{self, CertificateName, ClientCertificates, Config, Port, TlsVersion};

/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// Speaks TLS with a certificate that may be replaced.
#[derive(Clone, Debug)]
pub(in crate::server) struct Tls {
    settings: Arc<config::Tls>,
    /// Which name of a client certificate names the user.
    names: CertificateName,
    provider: Arc<CryptoProvider>,
    certificate: Arc<Certificate>,
    authority: Option<Arc<Authority>>,
}

/// How one port speaks.
#[derive(Clone, Debug)]
pub(in crate::server) struct PortTls {
    config: Arc<ServerConfig>,
    names: CertificateName,
    /// Who signs the certificates of clients, if they are asked for any.
    authority: Option<Arc<Authority>>,
}

impl Tls {
    /// Reads the certificates, if there are to be any.
    pub(in crate::server) fn load(config: &Config) -> Result<Option<Self>, Error> {
        let settings = Arc::new(config.tls.clone());
        let (Some(cert), Some(key)) = (&settings.cert, &settings.key) else { return Ok(None) };
        let provider = Arc::new(ring::default_provider());
        let certificate = Arc::new(Certificate::load(cert.clone(), key.clone(), Arc::clone(&provider))?);
        let clock = Arc::new(SystemClock::default());
        let load = |path: &std::path::PathBuf| {
            Authority::load(path.clone(), Arc::clone(&provider), Arc::clone(&clock) as _).map(Arc::new)
        };
        let authority = settings.client_ca.as_ref().map(load).transpose()?;
        Ok(Some(Tls { settings, names: config.auth.certificates, provider, certificate, authority }))
    }

    /// How a port speaks; `None`: without TLS.
    pub(in crate::server) fn of_port(&self, port: Port) -> Option<PortTls> {
        let clients = self.settings.clients_of(port)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(self.settings.min_version))
            .expect("ring has ciphers for each version");
        let asking = |authority: &Arc<Authority>| {
            let is_required = clients == ClientCertificates::Required;
            Arc::new(Asking { authority: Arc::clone(authority), is_required })
        };
        let authority = self.authority.as_ref().filter(|_| clients != ClientCertificates::Off);
        let builder = match authority.map(asking) {
            Some(asking) => builder.with_client_cert_verifier(asking),
            None => builder.with_no_client_auth(),
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.certificate) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = protocols(port);
        if authority.is_some() {
            // The certificate of a session that is resumed would not be checked again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Some(PortTls { config: Arc::new(config), names: self.names, authority: authority.cloned() })
    }

    /// Reads the files again whenever they change, until shutdown.
    pub(in crate::server) async fn follow(self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let tls = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || tls.look()).await {
                tracing::error!(%error, "the certificates could not be looked at");
            }
        }
    }

    fn look(&self) {
        self.certificate.look();
        if let Some(authority) = &self.authority {
            authority.look();
        }
    }
}

impl PortTls {
    /// For a port whose connections are not those of this module.
    pub(in crate::server) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shakes hands; tells which certificate the client has shown. Who keeps others waiting is sent away first.
    pub(super) async fn accept(
        &self,
        io: Box<dyn Io>,
        handshakes: &Handshakes<'_>,
    ) -> io::Result<(TlsStream<Box<dyn Io>>, Option<Arc<Shown>>)> {
        let shaking = async {
            let hello = handshakes.before_hello(LazyConfigAcceptor::new(Acceptor::default(), io)).await?;
            handshakes.after_hello(hello.into_stream(Arc::clone(&self.config))).await
        };
        let stream = timeout(HANDSHAKE_TIMEOUT, shaking).await??;
        let shown = self.shown(&stream).map(Arc::new);
        Ok((stream, shown))
    }

    fn shown(&self, stream: &TlsStream<Box<dyn Io>>) -> Option<Shown> {
        let (authority, chain) = (self.authority.as_ref()?, stream.get_ref().1.peer_certificates()?);
        let user = match user_of_certificate(chain.first()?, self.names) {
            Ok(user) => Some(ClientUser(user.into())),
            Err(problem) => {
                tracing::warn!(problem, "a client certificate names no user (auth.certificates)");
                None
            }
        };
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Shown::new(user, chain, Arc::clone(authority)))
    }
}

fn protocols(port: Port) -> Vec<Vec<u8>> {
    let names: &[&[u8]] = match port {
        Port::Grpc => &[b"h2"],
        Port::Http | Port::Restic => &[b"h2", b"http/1.1"],
        Port::Nbd => &[],
    };
    names.iter().map(|name| name.to_vec()).collect()
}

static SINCE_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static SINCE_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V1_2 => &SINCE_1_2,
        TlsVersion::V1_3 => &SINCE_1_3,
    }
}
