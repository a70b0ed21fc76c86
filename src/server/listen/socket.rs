//! Where connections come from: a TCP port, a Unix socket, or a socket that systemd hands over.

use std::io;
use std::net::IpAddr;

use listenfd::ListenFd;
use rustix::net::sockopt;
use steward_gateway::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Listen;
use crate::listener::{self, UnixSocket};

/// How what is sent is held back within the same machine: by nothing but the reader. Every kernel allows this one.
const UNPACED: &str = "reno";

/// A stream of bytes in both directions.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A socket that listens.
#[derive(Debug)]
pub(in crate::server) enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Socket {
    /// Listens where it is told to.
    pub(in crate::server) async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Unix(path) => UnixSocket::bind(path).map(Socket::Unix),
            Listen::Tcp { host, port } => listener::tcp(host, *port).await.map(Socket::Tcp),
        }
    }

    /// The socket that systemd hands over, if it does.
    pub(in crate::server) fn from_systemd() -> io::Result<Option<Self>> {
        let mut sockets = ListenFd::from_env();
        match sockets.len() {
            0 => return Ok(None),
            1 => {}
            n => return Err(io::Error::other(format!("got {n} listeners from systemd, expected one"))),
        }
        if let Ok(Some(listener)) = sockets.take_tcp_listener(0) {
            listener.set_nonblocking(true)?;
            return Ok(Some(Socket::Tcp(listener::prepared(TcpListener::from_std(listener)?))));
        }
        // What is no TCP socket has been put back.
        let unknown = || io::Error::other("the socket from systemd is neither of TCP nor a Unix socket");
        let listener = sockets.take_unix_listener(0)?.ok_or_else(unknown)?;
        listener.set_nonblocking(true)?;
        UnixSocket::handed_over(listener).map(|socket| Some(Socket::Unix(socket)))
    }

    /// Where it listens: an address with the real port, or a path.
    pub(in crate::server) fn address(&self) -> String {
        match self {
            Socket::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |a| a.to_string()),
            Socket::Unix(socket) => socket.path().map_or_else(|| "@".to_owned(), |p| p.display().to_string()),
        }
    }

    /// Lets the group of the process connect to a Unix socket.
    pub(in crate::server) fn open_to_group(&self) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.open_to_group(),
            Socket::Tcp(_) => Ok(()),
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Io>, Peer)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = address.ip().to_canonical();
                tune(&stream, peer);
                Ok((Box::new(stream), Peer(Some(peer))))
            }
            Socket::Unix(socket) => Ok((Box::new(socket.accept().await?), Peer(None))),
        }
    }
}

/// Makes a connection as fast as it can be. It works without.
fn tune(stream: &TcpStream, peer: IpAddr) {
    // Small answers must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    // There is no network to be spared, and a kernel that paces by timers, as with BBR, holds up large answers.
    if peer.is_loopback()
        && let Err(error) = sockopt::set_tcp_congestion(stream, UNPACED)
    {
        tracing::debug!(%error, "could not set TCP_CONGESTION");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[tokio::test]
    async fn what_is_sent_within_the_machine_is_not_paced() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let _client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (stream, address) = listener.accept().await.expect("a connection");

        tune(&stream, address.ip());

        assert_eq!(sockopt::tcp_congestion(&stream).expect("it is known"), UNPACED);
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that is left behind"));
        assert!(path.exists());
        let listen = Listen::Unix(path.clone());
        let socket = Socket::bind(&listen).await.expect("it is replaced");
        assert_eq!(socket.address(), path.display().to_string());
        let error = Socket::bind(&listen).await.expect_err("it is in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists(), "it is removed");

        std::fs::write(&path, "precious").expect("a file");
        Socket::bind(&listen).await.expect_err("it is no socket");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), "precious");
    }

    #[tokio::test]
    async fn a_socket_is_the_users_or_the_groups_and_that_of_a_successor_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let listen = Listen::Unix(directory.path().join("socket"));
        let old = Socket::bind(&listen).await.expect("a socket");
        let mode = || {
            use std::os::unix::fs::PermissionsExt as _;
            let file = std::fs::metadata(directory.path().join("socket")).expect("the socket");
            file.permissions().mode() & 0o777
        };
        assert_eq!(mode(), 0o600);
        old.open_to_group().expect("opened");
        assert_eq!(mode(), 0o660);
        std::fs::rename(directory.path().join("socket"), directory.path().join("moved")).expect("moved");
        let _new = Socket::bind(&listen).await.expect("another");
        drop(old);
        assert!(directory.path().join("socket").exists());
    }

    #[tokio::test]
    async fn without_a_host_every_address_is_served_and_the_real_port_is_told() {
        let socket = Socket::bind(&":0".parse().expect("an address")).await.expect("a port");
        let address: SocketAddr = socket.address().parse().expect("an address");
        assert!(address.ip().is_unspecified() && address.port() != 0, "{address}");
        let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port()));
        let (accepted, client) = tokio::join!(socket.accept(), client);
        client.expect("a connection");
        assert_eq!(accepted.expect("a connection").1, Peer(Some(Ipv4Addr::LOCALHOST.into())));
    }
}
