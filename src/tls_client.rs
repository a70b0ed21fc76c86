//! TLS as somebody speaks it who connects to a server.
//!
//! - `trust` is whose certificates are believed, and how TLS is spoken by those who believe them.
//! - `files` are the authority, the certificate and the key that settings name, read again when they change.
//! - `handshake` is how a connection becomes one of TLS, and why it may not.
//! - `connector` makes such connections for a gRPC channel.

mod connector;
mod files;
mod handshake;
mod trust;

pub(crate) use self::connector::TlsConnector;
pub(crate) use self::files::{Files, Pair};
pub(crate) use self::handshake::{HandshakeError, shake_hands};
pub(crate) use self::trust::{read_certificates, speaking, system_roots};
