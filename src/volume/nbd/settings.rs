//! What the server may be told.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ServerConfig;

use crate::config::Listen;

/// How many connections there may be.
const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take until it has chosen a device.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave untaken what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
/// How many requests may wait for a disk at a time, of all connections together.
const POOL_THREADS: usize = 20;
/// How many bytes the replies that wait for a disk or for their client may have, of all connections together.
const MAX_REPLY_BYTES: usize = 1024 * 1024 * 1024;

/// What the server is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens: any number of TCP ports and Unix sockets.
    pub listen: Vec<Listen>,
    /// How it speaks TLS, if it does. With a verifier of client certificates, what they are is told to the exports.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether clients must use TLS on TCP.
    pub require_tls: bool,
    /// How many connections there may be. For a further one somebody has to go who has chosen no device yet; when all have,
    /// it is closed.
    pub max_connections: usize,
    /// How long a client may take until it has chosen a device.
    pub handshake_timeout: Duration,
    /// How long a client may leave untaken what it is sent.
    pub write_timeout: Duration,
    /// How many requests may wait for a disk at a time.
    pub pool_threads: usize,
    /// How many bytes the replies that wait for a disk or for their client may have. Further requests wait until there
    /// is room, which a client that takes nothing occupies no longer than the time for that.
    pub max_reply_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: Vec::new(),
            tls: None,
            require_tls: false,
            max_connections: MAX_CONNECTIONS,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            pool_threads: POOL_THREADS,
            max_reply_bytes: MAX_REPLY_BYTES,
        }
    }
}
