//! The files of TLS.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A file that cannot be used, and the setting that names it.
#[derive(Debug)]
pub(in crate::server) struct Error {
    pub(super) setting: &'static str,
    pub(super) path: PathBuf,
    pub(super) problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.setting, self.path.display(), self.problem)
    }
}

impl std::error::Error for Error {}

/// The certificates in a file, one at least.
pub(super) fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |problem: String| Error { setting, path: path.to_owned(), problem };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(CertificateDer::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("has no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}
