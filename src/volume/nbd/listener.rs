//! Where connections come from: TCP ports and Unix sockets.

use std::io;
use std::path::PathBuf;

use tokio::net::TcpListener;

use super::exports::PeerAddress;
use super::socket::Socket;
use crate::config::Listen;
use crate::listener::{self, UnixSocket};

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Listener {
    /// Listens where it is told to.
    pub(super) async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Unix(path) => UnixSocket::bind(path).map(Listener::Unix),
            Listen::Tcp { host, port } => listener::tcp(host, *port).await.map(Listener::Tcp),
        }
    }

    /// Where it listens, with the real port.
    pub(super) fn address(&self) -> io::Result<Listen> {
        match self {
            Listener::Tcp(listener) => Ok(listener.local_addr()?.into()),
            Listener::Unix(socket) => Ok(Listen::Unix(socket.path().map(PathBuf::from).unwrap_or_default())),
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Socket, PeerAddress)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Socket::Tcp(stream.into_std()?), PeerAddress::Tcp(address)))
            }
            Listener::Unix(socket) => Ok((Socket::Unix(socket.accept().await?.into_std()?), PeerAddress::Unix)),
        }
    }
}
