//! Why nobody could be authenticated with these settings.

use std::io;
use std::path::PathBuf;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of users or of rights cannot be read.
    #[error("configuration: {setting}: cannot read {path}: {cause}", path = path.display())]
    File {
        /// Which setting names it.
        setting: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The header that names the user cannot be one.
    #[error("configuration: auth.proxy_header: {name:?} {problem}")]
    ProxyHeader {
        /// Which.
        name: String,
        /// Why not.
        problem: &'static str,
    },
    /// A trusted proxy is neither an address nor a network.
    #[error(
        "configuration: auth.trusted_proxies: {entry:?} is no address, no network such as 10.0.0.0/8, and not unix"
    )]
    TrustedProxies {
        /// Which.
        entry: String,
    },
    /// The keys that gateways sign with cannot be used.
    #[error("configuration: auth.gateway_key: {path}: {problem}", path = path.display())]
    GatewayKey {
        /// Which file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The table of rights makes no sense.
    #[error("configuration: auth.rights: {0}")]
    Rights(String),
    /// The system has no randomness.
    #[error("cannot get random bytes: {0}")]
    Random(#[from] getrandom::Error),
}
