//! Certificates of servers and of clients.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::common::temporary;

/// Signs certificates, which lie in a directory of its own beside the server's.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// The files of a client, with the names that libnbd looks for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) directory: PathBuf,
}

impl Authority {
    /// With a certificate for a server on this machine.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of another name than what it signs: curl takes that for self-signed otherwise.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let authority = Authority { issuer, directory: temporary::directory() };
        fs::write(authority.file("ca-cert.pem"), authority.issuer.pem()).expect("a file can be written");
        authority.renew_server();
        authority
    }

    /// Replaces the server's certificate.
    pub(crate) fn renew_server(&self) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        replace(&self.path("key.pem"), &key.serialize_pem());
        replace(&self.path("cert.pem"), &certificate.pem());
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// A client whose certificate is good.
    pub(crate) fn client(&self, user: &str) -> Identity {
        self.sign(user, &named(user))
    }

    /// A client whose certificate was good until long ago.
    pub(crate) fn expired(&self, user: &str) -> Identity {
        let mut params = named(user);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(&format!("{user}-expired"), &params)
    }

    fn sign(&self, directory: &str, params: &CertificateParams) -> Identity {
        let directory = self.path(directory);
        fs::create_dir_all(&directory).expect("a directory can be made");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(directory.join("ca-cert.pem"), self.issuer.pem()).expect("a file can be written");
        fs::write(directory.join("client-cert.pem"), certificate.pem()).expect("a file can be written");
        fs::write(directory.join("client-key.pem"), key.serialize_pem()).expect("a file can be written");
        Identity { directory }
    }

    /// The section of TLS in the configuration of a server whose clients are of this authority, with further lines.
    pub(crate) fn section(&self, more: &str) -> String {
        let (cert, key, ca) = (self.file("cert.pem"), self.file("key.pem"), self.file("ca-cert.pem"));
        format!("[tls]\ncert = {cert:?}\nkey = {key:?}\nclient_ca = {ca:?}\n{more}\n")
    }
}

impl Identity {
    pub(crate) fn cert(&self) -> String {
        self.file("client-cert.pem")
    }

    pub(crate) fn key(&self) -> String {
        self.file("client-key.pem")
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).to_str().expect("UTF-8").to_owned()
    }
}

/// With the name as the common name, and another one in a URI.
fn named(user: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    let uri = format!("spiffe://example.org/robots/robot-{user}");
    params.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI")));
    params
}

/// As programs do that renew certificates: readers see the old file or the new one.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a file can be written");
    fs::rename(new, path).expect("a file can be renamed");
}
