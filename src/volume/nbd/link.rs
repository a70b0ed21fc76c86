//! The bytes of a connection, plain or over TLS.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::socket::{Socket, Stream};

/// The bytes of a connection.
pub(super) enum Link {
    Plain(Arc<Socket>),
    Tls(Box<StreamOwned<ServerConnection, Stream>>),
}

impl Link {
    /// Shakes hands over a socket on which nothing was received yet.
    pub(super) fn tls(socket: Arc<Socket>, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, Stream(socket));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Link::Tls(Box::new(stream)))
    }

    /// The certificate of the client, in DER.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        match self {
            Link::Plain(_) => None,
            Link::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?.as_ref().to_vec()),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Link::Tls(_))
    }

    /// Waits for bytes; 0 at the end.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.receive(into),
            Link::Tls(stream) => stream.read(into),
        }
    }

    /// Sends everything.
    pub(super) fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Link::Plain(socket) => socket.send_all(bytes),
            Link::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Says goodbye, where there is a way to.
    pub(super) fn finish(&mut self) {
        if let Link::Tls(stream) = self {
            stream.conn.send_close_notify();
            if let Err(error) = stream.flush() {
                tracing::trace!(%error, "the client was gone already");
            }
        }
    }
}
