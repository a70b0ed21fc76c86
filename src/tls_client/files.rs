//! The files that say how TLS is spoken with one server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::trust::{Shown, TrustError, read_certificates, speaking, system_roots};
use crate::followed::{LastRead, Stamp};

/// What gRPC is spoken over.
const PROTOCOLS: [&str; 1] = ["h2"];

/// Which files; all of them in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whom to trust, instead of what the system trusts.
    pub(crate) ca: Option<PathBuf>,
    /// What to show of oneself.
    pub(crate) pair: Option<Pair>,
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// A file that cannot be used.
#[derive(Debug)]
pub(crate) struct Error {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn new(path: &Path, problem: impl fmt::Display) -> Self {
        Error { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// TLS as the files have it. What they were last is kept while they cannot be used.
pub(super) struct FollowedFiles {
    files: Files,
    known: Mutex<Known>,
}

struct Known {
    last: LastRead<Stamps>,
    config: Arc<ClientConfig>,
}

type Stamps = [Option<Stamp>; 3];

impl FollowedFiles {
    /// Reads the files. Blocks.
    pub(super) fn open(files: Files) -> Result<Self, Error> {
        let last = LastRead::new(files.stamps());
        let config = files.read()?;
        Ok(FollowedFiles { files, known: Mutex::new(Known { last, config }) })
    }

    /// How TLS is spoken now. Blocks.
    pub(super) fn look(&self) -> Arc<ClientConfig> {
        let mut known = self.known.lock();
        match known.last.again(self.files.stamps(), || self.files.read()) {
            None => {}
            Some(Ok(config)) => known.config = config,
            Some(Err(error)) => tracing::warn!(%error, "new files for TLS cannot be used, the old ones stay"),
        }
        Arc::clone(&known.config)
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        let pair = self.pair.as_ref();
        let paths = [self.ca.as_ref(), pair.map(|pair| &pair.cert), pair.map(|pair| &pair.key)];
        paths.map(|path| Stamp::at(path?))
    }

    fn read(&self) -> Result<Arc<ClientConfig>, Error> {
        let (roots, own) = match &self.ca {
            None => (system_roots(), Vec::new()),
            Some(ca) => {
                let bad = |problem| Error::new(ca, format!("has no certificate in PEM: {problem}"));
                (RootCertStore::empty(), read_certificates(&content(ca)?).map_err(bad)?)
            }
        };
        let shown = self.pair.as_ref().map(Pair::read).transpose()?;
        let config = speaking(roots, own, shown, &PROTOCOLS);
        config.map(Arc::new).map_err(|error| match (error, &self.ca, &self.pair) {
            (TrustError::Shown(problem), _, Some(pair)) => {
                Error::new(&pair.key, format!("does not go with {}: {problem}", pair.cert.display()))
            }
            (TrustError::Trusted(problem) | TrustError::Shown(problem), Some(ca), _) => Error::new(ca, problem),
            (error, None, _) => Error::new(Path::new("the certificates of the system"), error),
        })
    }
}

impl Pair {
    fn read(&self) -> Result<Shown, Error> {
        let none = |problem| Error::new(&self.cert, format!("has no certificate in PEM: {problem}"));
        let chain: Vec<CertificateDer<'static>> = read_certificates(&content(&self.cert)?).map_err(none)?;
        let key = PrivateKeyDer::from_pem_slice(&content(&self.key)?)
            .map_err(|error| Error::new(&self.key, format!("has no private key in PEM: {error}")))?;
        Ok((chain, key))
    }
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::new(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(directory: &Path) -> Pair {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let pair = Pair { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
        std::fs::write(&pair.cert, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    #[test]
    fn new_files_are_taken_over_and_broken_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let pair = write_pair(directory.path());
        let files = Files { ca: Some(pair.cert.clone()), pair: Some(pair.clone()) };
        let followed = FollowedFiles::open(files).unwrap();
        let first = followed.look();
        assert!(Arc::ptr_eq(&first, &followed.look()), "nothing changed");

        write_pair(directory.path());
        let second = followed.look();
        assert!(!Arc::ptr_eq(&first, &second));
        std::fs::write(&pair.key, "half of a k").unwrap();
        assert!(Arc::ptr_eq(&second, &followed.look()));
        std::fs::remove_file(&pair.cert).unwrap();
        assert!(Arc::ptr_eq(&second, &followed.look()));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let pair = write_pair(directory.path());
        let other = tempfile::tempdir().unwrap();
        let strange = Pair { key: write_pair(other.path()).key, ..pair.clone() };
        let swapped = Pair { cert: pair.key.clone(), key: pair.cert.clone() };
        let absent = directory.path().join("absent.pem");
        for (files, named) in [
            (Files { ca: Some(absent.clone()), pair: None }, &absent),
            (Files { ca: Some(pair.key.clone()), pair: None }, &pair.key),
            (Files { ca: None, pair: Some(strange.clone()) }, &strange.key),
            (Files { ca: None, pair: Some(swapped) }, &pair.key),
        ] {
            let Err(error) = FollowedFiles::open(files) else { panic!("{named:?} is of no use") };
            let error = error.to_string();
            assert!(error.starts_with(&format!("{}: ", named.display())) && !error.contains("-----"), "{error}");
        }
    }
}
