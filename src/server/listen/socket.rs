//! Where connections come from: a TCP port, a Unix socket, or a socket that systemd hands over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::net::sockopt;
use steward_gateway::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Listen;

/// A connection is asked whether the other side is there when nothing came for so long, so that a request whose client
/// lost its power does not stay.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
/// How long it is waited for the answer, each of the times.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How often it is asked.
const KEEPALIVE_PROBES: u32 = 4;

/// A stream of bytes in both directions.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A socket that listens.
#[derive(Debug)]
pub(in crate::server) enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A Unix socket; when it is ours, its path is removed when this is dropped.
#[derive(Debug)]
pub(in crate::server) struct UnixSocket {
    listener: UnixListener,
    path: Option<PathBuf>,
    /// The device and the inode of the file that we made.
    made: Option<(u64, u64)>,
}

impl Socket {
    /// Listens where it is told to.
    pub(in crate::server) async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Unix(path) => bind_unix(path),
            Listen::Tcp { host, port } if host.is_empty() => Ok(Socket::Tcp(prepared(bind_all(*port).await?))),
            Listen::Tcp { host, port } => Ok(Socket::Tcp(prepared(TcpListener::bind((host.as_str(), *port)).await?))),
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
            return Ok(Some(Socket::Tcp(prepared(TcpListener::from_std(listener)?))));
        }
        // What is no TCP socket has been put back.
        let unknown = || io::Error::other("the socket from systemd is neither of TCP nor a Unix socket");
        let listener = sockets.take_unix_listener(0)?.ok_or_else(unknown)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        Ok(Some(Socket::Unix(UnixSocket { listener, path, made: None })))
    }

    /// Where it listens: an address with the real port, or a path.
    pub(in crate::server) fn address(&self) -> String {
        match self {
            Socket::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |a| a.to_string()),
            Socket::Unix(socket) => socket.path.as_ref().map_or_else(|| "@".to_owned(), |p| p.display().to_string()),
        }
    }

    /// Lets the group of the process connect to a Unix socket.
    pub(in crate::server) fn open_to_group(&self) -> io::Result<()> {
        match self {
            Socket::Unix(UnixSocket { path: Some(path), made: Some(_), .. }) => permit(path, 0o660),
            Socket::Unix(_) | Socket::Tcp(_) => Ok(()),
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Io>, Peer)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small answers must not wait for the acknowledgement of the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "could not set TCP_NODELAY");
                }
                Ok((Box::new(stream), Peer(Some(address.ip().to_canonical()))))
            }
            Socket::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                Ok((Box::new(stream), Peer(None)))
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let Some(path) = &self.path else { return };
        // It may be a successor's by now.
        if self.made.is_some() && identity(path) == self.made {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Every address of the machine; of IPv4 alone where there is no IPv6.
async fn bind_all(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((IpAddr::from(Ipv6Addr::UNSPECIFIED), port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
        }
        result => result,
    }
}

/// With keepalive, which accepted connections inherit.
fn prepared(listener: TcpListener) -> TcpListener {
    let set = || {
        sockopt::set_tcp_keepidle(&listener, KEEPALIVE_IDLE)?;
        sockopt::set_tcp_keepintvl(&listener, KEEPALIVE_INTERVAL)?;
        sockopt::set_tcp_keepcnt(&listener, KEEPALIVE_PROBES)?;
        sockopt::set_socket_keepalive(&listener, true)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "could not set the keepalive of TCP");
    }
    listener
}

/// Replaces a socket that a process left behind, but not one that is listened to, and no other file.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    // Whatever the umask is: who can connect can do what its user can.
    permit(path, 0o600)?;
    Ok(Socket::Unix(UnixSocket { listener, path: Some(path.to_owned()), made: identity(path) }))
}

fn permit(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

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
