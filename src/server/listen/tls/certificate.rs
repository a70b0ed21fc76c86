//! The certificate of the server, read again when it changes.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::file::{self, Error};
use crate::followed::{LastRead, Stamp};

/// The certificate and where it comes from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    last: Mutex<LastRead<Stamps>>,
    current: RwLock<Arc<CertifiedKey>>,
}

type Stamps = [Option<Stamp>; 2];

#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Certificate {
    pub(super) fn load(cert: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let files = Files { cert, key };
        let last = Mutex::new(LastRead::new(files.stamps()));
        let current = RwLock::new(files.read(&provider)?);
        Ok(Certificate { files, provider, last, current })
    }

    /// Takes over what is new. A pair that cannot be used changes nothing.
    pub(super) fn look(&self) {
        match self.last.lock().again(self.files.stamps(), || self.files.read(&self.provider)) {
            None => {}
            Some(Ok(certificate)) => {
                *self.current.write() = certificate;
                tracing::info!(cert = %self.files.cert.display(), "the certificate was read again");
            }
            Some(Err(error)) => tracing::warn!(%error, "the new certificate cannot be used, the old one stays"),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        [&self.cert, &self.key].map(|path| Stamp::at(path))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
        let key_error = |problem: String| Error { setting: "tls.key", path: self.key.clone(), problem };
        let chain = file::certificates("tls.cert", &self.cert)?;
        let key = std::fs::read(&self.key).map_err(|error| key_error(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| key_error(format!("has no private key in PEM: {error}")))?;
        let pair = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| key_error(format!("does not go with {}: {error}", self.cert.display())))?;
        Ok(Arc::new(pair))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::CertificateDer;

    use super::*;

    fn write_pair(directory: &Path) -> (PathBuf, PathBuf) {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
        let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&cert, pair.cert.pem()).expect("written");
        std::fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
        (cert, key)
    }

    fn load((cert, key): (PathBuf, PathBuf)) -> Result<Certificate, Error> {
        Certificate::load(cert, key, Arc::new(ring::default_provider()))
    }

    fn current(certificate: &Certificate) -> CertificateDer<'static> {
        certificate.current.read().cert[0].clone()
    }

    #[test]
    fn a_new_pair_is_taken_over_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let certificate = load(write_pair(directory.path())).expect("a pair");
        let first = current(&certificate);
        certificate.look();
        assert_eq!(current(&certificate), first, "nothing is new");

        write_pair(directory.path());
        certificate.look();
        let second = current(&certificate);
        assert_ne!(second, first);

        let other = tempfile::tempdir().expect("a directory");
        let (_, foreign_key) = write_pair(other.path());
        std::fs::copy(foreign_key, directory.path().join("key.pem")).expect("copied");
        certificate.look();
        assert_eq!(current(&certificate), second, "the key is of another certificate");
        std::fs::remove_file(directory.path().join("cert.pem")).expect("removed");
        certificate.look();
        assert_eq!(current(&certificate), second, "there is no certificate");
    }

    #[test]
    fn a_pair_that_could_not_be_read_is_read_as_soon_as_it_can_be() {
        let directory = tempfile::tempdir().expect("a directory");
        let certificate = load(write_pair(directory.path())).expect("a pair");
        let first = current(&certificate);
        // Written while the limit of open files was reached, say: from then on the files stay as they are.
        write_pair(directory.path());
        let stamps = certificate.files.stamps();
        let failed = || Err(Error { setting: "tls.cert", path: PathBuf::new(), problem: "too many files".to_owned() });
        let told = certificate.last.lock().again(stamps, failed as fn() -> Result<(), Error>);
        assert!(told.is_some_and(|told| told.is_err()));
        certificate.look();
        assert_ne!(current(&certificate), first);
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_their_setting() {
        let directory = tempfile::tempdir().expect("a directory");
        let (cert, key) = write_pair(directory.path());
        let refused =
            |cert: &Path, key: &Path| load((cert.to_owned(), key.to_owned())).expect_err("refused").to_string();
        std::fs::write(&key, "no key").expect("written");
        assert!(refused(&cert, &key).starts_with("tls.key: "), "{}", refused(&cert, &key));
        std::fs::write(&cert, "").expect("written");
        assert!(refused(&cert, &key).ends_with("has no certificate in PEM"), "{}", refused(&cert, &key));
        let missing = directory.path().join("missing");
        assert!(refused(&missing, &key).contains("missing: No such file"), "{}", refused(&missing, &key));
    }
}
