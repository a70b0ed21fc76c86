//! The settings of who callers are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Oidc;

/// Who callers are and what they may do. Without `htpasswd`, `proxy_header`, `oidc` and rights: anybody, and everything.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// A file of users and hashes of their passwords (bcrypt or SHA), as Apache's htpasswd writes it. Read again when
    /// it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub htpasswd: Option<PathBuf>,
    /// A header in which a trusted proxy names the user; passwords are not asked for then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_header: Option<String>,
    /// Addresses and networks of proxies, or `unix` for those that come by a Unix socket: only they may name the user
    /// and the client's address. In the environment, with commas between.
    pub trusted_proxies: Vec<String>,
    /// A file of keys that a gateway on its own and its server share, one a line, for their owner alone: the gateway
    /// signs who its caller is with the first, the server believes all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_key: Option<PathBuf>,
    /// Which name of a client's certificate names the user, where `tls.clients` asks for one.
    pub certificates: CertificateName,
    /// Tokens of an issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// The table of rights: who may do what, a rule a line. With neither this nor `rights_file`, whoever is let in may
    /// do everything, and only this machine is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rights: String,
    /// A file with the table of rights. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights_file: Option<PathBuf>,
}

/// A name in a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum CertificateName {
    /// The common name of the subject.
    #[default]
    Cn,
    /// The alternative name that is one of DNS.
    Dns,
    /// The alternative name that is an address of mail.
    Email,
    /// The alternative name that is a URI: the last part of its path, as in `spiffe://example.org/user/alice`.
    Uri,
}
