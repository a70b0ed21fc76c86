//! Sockets that listen, however what comes over them is served: TCP ports, and Unix sockets that nobody else can connect
//! to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// A connection is asked whether the other side is there when nothing came for so long: a client that lost its power
/// must keep neither a request nor a device.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
/// How long it is waited for the answer, each of the times.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How often it is asked.
const KEEPALIVE_PROBES: u32 = 4;

/// Only who the server runs as may connect to a Unix socket: who can connect can do what its user can.
const MODE: u32 = 0o600;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Listens on a TCP port; without a host, on every address of the machine.
pub(crate) async fn tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let listener = if host.is_empty() { bind_all(port).await? } else { TcpListener::bind((host, port)).await? };
    Ok(prepared(listener))
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
pub(crate) fn prepared(listener: TcpListener) -> TcpListener {
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

/// A Unix socket; when it is ours, its path is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: Option<PathBuf>,
    /// The device and the inode of the file that we made.
    made: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at a path. Replaces a socket that a process left behind, but not one that is listened to, and no other
    /// file.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let listener = match bind_private(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                std::fs::remove_file(path)?;
                bind_private(path)?
            }
            result => result?,
        };
        let listener = UnixListener::from_std(listener)?;
        let socket = UnixSocket { listener, path: Some(path.to_owned()), made: identity(path) };
        // Where the mode of a socket does not become that of its file.
        permit(path, MODE)?;
        Ok(socket)
    }

    /// A socket that somebody else made, whose path stays.
    pub(crate) fn handed_over(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let listener = UnixListener::from_std(listener)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        Ok(UnixSocket { listener, path, made: None })
    }

    /// Where it is; nothing for one without a name.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Lets the group of the process connect, if it is ours.
    pub(crate) fn open_to_group(&self) -> io::Result<()> {
        match &self.path {
            Some(path) if self.made.is_some() => permit(path, 0o660),
            Some(_) | None => Ok(()),
        }
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
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

/// Binds a socket that is private from its first moment, whatever the umask is. Nobody can connect before it listens
/// either.
fn bind_private(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SOCKET_FLAGS, None)?;
    if let Err(error) = rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE)) {
        tracing::debug!(%error, "a socket cannot be made private before it is bound");
    }
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_socket_is_private_before_anybody_can_see_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listener = bind_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }
}
