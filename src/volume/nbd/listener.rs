//! Where connections come from: TCP ports and Unix sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UnixListener};

use super::exports::PeerAddress;
use super::socket::Socket;
use crate::config::Listen;

/// A connection is asked whether the other side is there when nothing came for so long: a client that lost its power
/// must not keep its device.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
/// How long it is waited for the answer, each of the times.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How often it is asked.
const KEEPALIVE_PROBES: u32 = 4;

/// Only who the server runs as may connect to a Unix socket.
const MODE: u32 = 0o600;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A Unix socket. Its path is removed when this is dropped.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The device and the inode of the file that we made.
    made: Option<(u64, u64)>,
}

impl Listener {
    /// Listens where it is told to.
    pub(super) async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Unix(path) => bind_unix(path),
            Listen::Tcp { host, port } if host.is_empty() => Ok(Listener::Tcp(prepared(bind_all(*port).await?))),
            Listen::Tcp { host, port } => Ok(Listener::Tcp(prepared(TcpListener::bind((host.as_str(), *port)).await?))),
        }
    }

    /// Where it listens, with the real port.
    pub(super) fn address(&self) -> io::Result<Listen> {
        match self {
            Listener::Tcp(listener) => Ok(listener.local_addr()?.into()),
            Listener::Unix(socket) => Ok(Listen::Unix(socket.path.clone())),
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Socket, PeerAddress)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Socket::Tcp(stream.into_std()?), PeerAddress::Tcp(address)))
            }
            Listener::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                Ok((Socket::Unix(stream.into_std()?), PeerAddress::Unix))
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // It may be a successor's by now.
        if self.made.is_some() && identity(&self.path) == self.made {
            let _ = std::fs::remove_file(&self.path);
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
fn bind_unix(path: &Path) -> io::Result<Listener> {
    let listener = match bind_private(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            bind_private(path)?
        }
        result => result?,
    };
    let made = identity(path);
    let socket = UnixSocket { listener: UnixListener::from_std(listener)?, path: path.to_owned(), made };
    // Where the mode of a socket does not become that of its file.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    Ok(Listener::Unix(socket))
}

/// Binds a socket that is private from its first moment, whatever the umask is: who can connect can read and write
/// devices. Nobody can connect before it listens either.
fn bind_private(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SOCKET_FLAGS, None)?;
    if let Err(error) = rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE)) {
        tracing::debug!(%error, "a socket cannot be made private before it is bound");
    }
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
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

    #[test]
    fn a_socket_is_private_before_anybody_can_see_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listener = bind_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }
}
