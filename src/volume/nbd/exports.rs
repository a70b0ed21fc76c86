//! The seam to what has the devices.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::volume::device::Device;

/// Knows which devices there are and who may have them.
#[async_trait]
pub trait Exports: Send + Sync + 'static {
    /// Opens the device called `name`, exactly as the client says it. The future may be dropped at any await.
    async fn open(&self, name: &str, peer: &Peer) -> Result<Session, OpenError>;

    /// Who asks for `name`, as far as that is known. Of who opens it or is refused, this is noted.
    fn caller(&self, name: &str, peer: &Peer) -> Caller;

    /// The names that this client may see.
    async fn list(&self, peer: &Peer) -> Vec<ExportName>;
}

/// A device that a client has open.
pub struct Session {
    /// What is served.
    pub device: Arc<dyn Device>,
    /// Its disk: the same for all sessions of which a flush of one is a flush of all. Disks share the threads that wait
    /// for them fairly.
    pub disk: u128,
    /// Its full name, which the client may have shortened.
    pub name: String,
    /// The name as others may see it, in logs: with what is in it they cannot open it.
    pub shown_name: String,
    /// A line for people.
    pub description: String,
    /// Ends the session from outside: requests that run are finished, then the connection is closed.
    pub stop: CancellationToken,
    /// Dropped when nothing of this session uses the device any more.
    pub guard: Box<dyn Send + Sync>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("name", &self.shown_name).finish_non_exhaustive()
    }
}

/// Why a device is not opened. The message is shown to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is none of this name.
    #[error("{0}")]
    Unknown(String),
    /// This client may not have it.
    #[error("{0}")]
    Denied(String),
    /// Somebody else has it.
    #[error("{0}")]
    Busy(String),
    /// The server is about to stop.
    #[error("{0}")]
    Shutdown(String),
    /// It cannot be opened.
    #[error("{0}")]
    Internal(String),
}

/// A device in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportName {
    /// What to open it by.
    pub name: String,
    /// A line for people.
    pub description: String,
}

/// Who asks for a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the user; empty where nobody is asked for it.
    pub user: String,
    /// What shows that.
    pub proof: &'static str,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where.
    pub address: PeerAddress,
    /// The certificate that it identified itself with over TLS, in DER. The chain was verified.
    pub certificate: Option<Vec<u8>>,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// On this machine, at a Unix socket.
    Unix,
    /// At an address.
    Tcp(SocketAddr),
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Unix => f.write_str("unix"),
            PeerAddress::Tcp(address) => address.fmt(f),
        }
    }
}
