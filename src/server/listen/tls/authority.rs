//! The authorities that sign the certificates of clients, read again when they change.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{self, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::file::{self, Error, Stamp};

const SETTING: &str = "tls.client_ca";

/// The authorities and where they come from.
#[derive(Debug)]
pub(super) struct Authority {
    path: PathBuf,
    provider: Arc<CryptoProvider>,
    /// What the file was when it was last looked at.
    seen: RwLock<Stamp>,
    current: RwLock<Arc<dyn ClientCertVerifier>>,
}

impl Authority {
    pub(super) fn load(path: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let seen = RwLock::new(file::stamp(&path));
        let current = RwLock::new(read(&path, &provider)?);
        Ok(Authority { path, provider, seen, current })
    }

    /// Takes over what is new. A file that cannot be used changes nothing.
    pub(super) fn look(&self) {
        let stamp = file::stamp(&self.path);
        if std::mem::replace(&mut *self.seen.write(), stamp) == stamp {
            return;
        }
        match read(&self.path, &self.provider) {
            Ok(verifier) => {
                *self.current.write() = verifier;
                tracing::info!(client_ca = %self.path.display(), "the authorities of clients were read again");
            }
            Err(error) => tracing::warn!(%error, "the new authorities of clients cannot be used, the old ones stay"),
        }
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.read())
    }
}

fn read(path: &std::path::Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let failed = |problem: String| Error { setting: SETTING, path: path.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in file::certificates(SETTING, path)? {
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = builder.build().map_err(|error| failed(error.to_string()))?;
    Ok(verifier)
}

/// Asks the clients of a port for a certificate of the authorities that there are just then.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) authority: Arc<Authority>,
    pub(super) is_required: bool,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    /// None: what is lent here cannot be replaced. A client that has a certificate sends it all the same.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.authority.current().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.current().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.current().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authority.current().supported_verify_schemes()
    }
}
