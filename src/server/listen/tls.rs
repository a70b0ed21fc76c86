//! TLS, with a certificate that is read again when it changes.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::socket::Io;
use crate::config::{self, TlsVersion};

/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// Speaks TLS with a certificate that may be replaced.
#[derive(Clone)]
pub(in crate::server) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate and where it comes from.
#[derive(Debug)]
struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    /// What the files were when they were first read.
    first: (Stamp, Stamp),
    current: RwLock<Arc<CertifiedKey>>,
}

#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// Tells two versions of a file apart: when and how it was written, its size, and which it is.
type Stamp = Option<(i64, i64, u64, u64)>;

/// A certificate that cannot be used, and the setting that names it.
#[derive(Debug)]
pub(in crate::server) struct Error {
    setting: &'static str,
    path: PathBuf,
    problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.setting, self.path.display(), self.problem)
    }
}

impl std::error::Error for Error {}

impl Tls {
    /// Reads the certificate, if there is to be one.
    pub(in crate::server) fn load(config: &config::Tls) -> Result<Option<Self>, Error> {
        let (Some(cert), Some(key)) = (&config.cert, &config.key) else { return Ok(None) };
        let files = Files { cert: cert.clone(), key: key.clone() };
        let provider = Arc::new(ring::default_provider());
        // Looked at before they are read: what is written meanwhile is read again.
        let first = files.stamps();
        let current = RwLock::new(files.read(&provider)?);
        let certificate = Arc::new(Certificate { files, provider: Arc::clone(&provider), first, current });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(config.min_version))
            .expect("ring has ciphers for each version")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Tls { acceptor: TlsAcceptor::from(Arc::new(server)), certificate }))
    }

    /// How TLS is spoken where it is not for HTTP.
    pub(in crate::server) fn plain_config(&self) -> Arc<ServerConfig> {
        let mut server = ServerConfig::clone(self.acceptor.config());
        server.alpn_protocols.clear();
        Arc::new(server)
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, io: Box<dyn Io>) -> io::Result<TlsStream<Box<dyn Io>>> {
        tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(io)).await?
    }

    /// Reads the files again whenever they change, until shutdown. A pair that cannot be used changes nothing.
    pub(in crate::server) async fn follow(self, shutdown: CancellationToken) {
        let mut seen = self.certificate.first;
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            let certificate = Arc::clone(&self.certificate);
            let looked = tokio::task::spawn_blocking(move || certificate.look(seen)).await;
            seen = looked.unwrap_or(seen);
        }
    }
}

impl Certificate {
    /// Takes over what is new since `seen`; returns what has been seen now.
    fn look(&self, seen: (Stamp, Stamp)) -> (Stamp, Stamp) {
        let stamps = self.files.stamps();
        if stamps == seen {
            return seen;
        }
        match self.files.read(&self.provider) {
            Ok(certificate) => {
                *self.current.write() = certificate;
                tracing::info!(cert = %self.files.cert.display(), "the certificate was read again");
            }
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used, the old one stays"),
        }
        stamps
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

impl Files {
    fn stamps(&self) -> (Stamp, Stamp) {
        let stamp = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.mtime(), file.mtime_nsec(), file.size(), file.ino()))
        };
        (stamp(&self.cert), stamp(&self.key))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
        let cert_error = |problem: String| Error { setting: "tls.cert", path: self.cert.clone(), problem };
        let key_error = |problem: String| Error { setting: "tls.key", path: self.key.clone(), problem };
        let cert = std::fs::read(&self.cert).map_err(|error| cert_error(error.to_string()))?;
        let key = std::fs::read(&self.key).map_err(|error| key_error(error.to_string()))?;
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&cert)
            .map(|certificate| certificate.map(CertificateDer::into_owned))
            .collect::<Result<_, _>>()
            .map_err(|error| cert_error(error.to_string()))?;
        if chain.is_empty() {
            return Err(cert_error("has no certificate in PEM".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| key_error(format!("has no private key in PEM: {error}")))?;
        let pair = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| key_error(format!("does not go with {}: {error}", self.cert.display())))?;
        Ok(Arc::new(pair))
    }
}

static SINCE_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static SINCE_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V1_2 => &SINCE_1_2,
        TlsVersion::V1_3 => &SINCE_1_3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(directory: &Path) -> config::Tls {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
        let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&cert, pair.cert.pem()).expect("written");
        std::fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
        config::Tls { cert: Some(cert), key: Some(key), min_version: TlsVersion::V1_2 }
    }

    fn current(tls: &Tls) -> CertificateDer<'static> {
        tls.certificate.current.read().cert[0].clone()
    }

    #[test]
    fn a_new_pair_is_taken_over_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = write_pair(directory.path());
        let tls = Tls::load(&config).expect("a pair").expect("TLS");
        let (first, seen) = (current(&tls), tls.certificate.first);

        write_pair(directory.path());
        let seen = tls.certificate.look(seen);
        let second = current(&tls);
        assert_ne!(second, first);
        assert_eq!(tls.certificate.look(seen), seen, "nothing is new");

        let other = tempfile::tempdir().expect("a directory");
        let foreign_key = write_pair(other.path()).key.expect("a key");
        std::fs::copy(foreign_key, directory.path().join("key.pem")).expect("copied");
        tls.certificate.look((None, None));
        assert_eq!(current(&tls), second, "the key is of another certificate");
        std::fs::remove_file(directory.path().join("cert.pem")).expect("removed");
        tls.certificate.look((None, None));
        assert_eq!(current(&tls), second, "there is no certificate");
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_their_setting() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = write_pair(directory.path());
        let refused = |config: &config::Tls| Tls::load(config).err().expect("refused").to_string();
        std::fs::write(config.key.as_ref().expect("a key"), "no key").expect("written");
        assert!(refused(&config).starts_with("tls.key: "), "{}", refused(&config));
        std::fs::write(config.cert.as_ref().expect("a cert"), "").expect("written");
        std::fs::write(config.key.as_ref().expect("a key"), "").expect("written");
        assert!(refused(&config).ends_with("has no certificate in PEM"), "{}", refused(&config));
        let missing = config::Tls { cert: Some(directory.path().join("missing")), ..config };
        assert!(refused(&missing).contains("missing: No such file"), "{}", refused(&missing));
        assert!(Tls::load(&config::Tls::default()).expect("nothing to do").is_none());
    }
}
