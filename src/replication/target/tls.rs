//! Whom to trust.

use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::TargetError;

/// How many certificates a task may bring along.
const MAX_CERTIFICATES: usize = 100;

/// The certificates that the system trusts, read when they are needed first.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceCell<Arc<RootCertStore>>);

impl SystemRoots {
    async fn get(&self) -> Arc<RootCertStore> {
        Arc::clone(self.0.get_or_init(|| async { Arc::new(read_system_roots().await) }).await)
    }

    /// How TLS is spoken by those who trust `certificate`, in PEM, beside what the system trusts.
    pub(super) async fn config(&self, certificate: &str, protocols: &[&str]) -> Result<Arc<ClientConfig>, TargetError> {
        let own = read_pem(certificate)?;
        let mut roots = RootCertStore::clone(&*self.get().await);
        for certificate in &own {
            roots.add(certificate.clone()).map_err(|error| bad_certificate(&error))?;
        }
        let mut config = base(roots, own)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

async fn read_system_roots() -> RootCertStore {
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the certificates that the system trusts cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| RootCertStore::empty())
}

fn read_pem(certificate: &str) -> Result<Vec<CertificateDer<'static>>, TargetError> {
    if certificate.trim().is_empty() {
        return Ok(Vec::new());
    }
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).take(MAX_CERTIFICATES).collect();
    let certificates = read.map_err(|error| bad_certificate(&error))?;
    if certificates.is_empty() {
        return Err(bad_certificate(&"there is none in it"));
    }
    Ok(certificates)
}

fn bad_certificate(problem: &dyn std::fmt::Display) -> TargetError {
    TargetError::Refused(format!("the certificate of the task is not one in PEM: {problem}"))
}

fn base(roots: RootCertStore, own: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TargetError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError::Tls(error.to_string()))?;
    if own.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| bad_certificate(&error))?;
    let verifier = Arc::new(OwnCertificates { chains, own });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Verifies as usual, and takes a server's certificate that is itself one of those that the task brings along: the
/// usual way to make one for a private registry marks it as an authority, which the usual check does not take.
#[derive(Debug)]
struct OwnCertificates {
    chains: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match usual {
            // Its time was looked at before this, its name was not.
            Err(error) if is_authority(&error) && self.own.iter().any(|own| own == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Whether the certificate was refused for being one of an authority, and for nothing else.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else { return false };
    format!("{other:?}") == "CaUsedAsEndEntity"
}
