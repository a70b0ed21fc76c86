//! The settings of who callers are and of how they are spoken to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who callers are and what they may do. Without `htpasswd`, `proxy_header` and rights: anybody, and everything.
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
    /// The table of rights: who may do what, a rule a line. With neither this nor `rights_file`, whoever is let in may
    /// do everything, and only this machine is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rights: String,
    /// A file with the table of rights. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights_file: Option<PathBuf>,
}

/// The certificate of the HTTP ports. Without one they speak plain HTTP.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate and its chain, PEM. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    #[value(name = "1.3")]
    V1_3,
}
