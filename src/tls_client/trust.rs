//! Whom to trust.

use std::fmt::Debug;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// How many certificates somebody may bring along.
const MAX_CERTIFICATES: usize = 100;

/// What those who connect show of themselves: a certificate with its chain, and its key.
pub(crate) type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Why TLS cannot be spoken so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// A certificate that is to be trusted is none.
    #[error("{0}")]
    Trusted(String),
    /// The certificate that is to be shown, or its key, is of no use.
    #[error("{0}")]
    Shown(String),
}

/// The certificates that the system trusts. Blocks.
pub(crate) fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the certificates that the system trusts cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// The certificates in a text in PEM; at least one.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES).collect();
    let certificates = read.map_err(|error| TrustError::Trusted(error.to_string()))?;
    if certificates.is_empty() {
        return Err(TrustError::Trusted("there is none in it".to_owned()));
    }
    Ok(certificates)
}

/// How TLS is spoken by those who trust `roots` and `own`, and show `shown` to servers that ask for it.
pub(crate) fn speaking(
    mut roots: RootCertStore,
    own: Vec<CertificateDer<'static>>,
    shown: Option<Shown>,
    protocols: &[&str],
) -> Result<ClientConfig, TrustError> {
    for certificate in &own {
        roots.add(certificate.clone()).map_err(|error| TrustError::Trusted(error.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for each version");
    let builder = if own.is_empty() {
        builder.with_root_certificates(roots)
    } else {
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| TrustError::Trusted(error.to_string()))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(OwnCertificates { chains, own }))
    };
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| TrustError::Shown(error.to_string()))?
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// Verifies as usual, and takes a server's certificate that is itself one of those that are brought along: the usual way
/// to make one for a private server marks it as an authority, which the usual check does not take.
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
