//! Certificates for this machine.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::temporary;

/// Files of a certificate, its key and who signed it.
#[derive(Debug)]
pub(crate) struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// For 127.0.0.1, signed by an authority that nobody knows.
    pub(crate) fn new() -> Self {
        let directory = temporary::directory();
        let mut authority = CertificateParams::new([]).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        let cert = params.signed_by(&key, &authority).expect("a certificate");
        let files = [("ca.pem", authority.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())];
        for (name, pem) in files {
            fs::write(directory.path().join(name), pem).expect("a file can be written");
        }
        Certificates { directory }
    }

    /// Where the files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn ca(&self) -> String {
        self.file("ca.pem")
    }

    pub(crate) fn cert(&self) -> String {
        self.file("cert.pem")
    }

    pub(crate) fn key(&self) -> String {
        self.file("key.pem")
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("UTF-8").to_owned()
    }
}
