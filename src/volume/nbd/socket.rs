//! A socket that blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

/// What the kernel may hold of a Unix socket in each direction: fewer and longer turns for long replies.
const UNIX_BUFFER_BYTES: usize = 1024 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Makes it block, but not for ever on a client that takes nothing.
    pub(super) fn prepare(&self, write_timeout: Duration) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(write_timeout))
            }
            Socket::Unix(stream) => {
                stream.set_nonblocking(false)?;
                self.enlarge();
                stream.set_write_timeout(Some(write_timeout))
            }
        }
    }

    /// As large as the machine permits.
    fn enlarge(&self) {
        let send = sockopt::set_socket_send_buffer_size_force(self, UNIX_BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_send_buffer_size(self, UNIX_BUFFER_BYTES));
        let receive = sockopt::set_socket_recv_buffer_size_force(self, UNIX_BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(self, UNIX_BUFFER_BYTES));
        if let Err(error) = send.and(receive) {
            tracing::debug!(%error, "could not enlarge the buffers of a socket");
        }
    }

    /// Waits for bytes; 0 at the end.
    pub(super) fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let (count, _) = retry_on_intr(|| recv(self, &mut *into, RecvFlags::empty()))?;
        Ok(count)
    }

    /// Sends everything, or fails when the client takes nothing for too long.
    pub(super) fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.send_some(bytes, SendFlags::NOSIGNAL)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Sends what can be sent without waiting; says how much.
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.send_some(&bytes[sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn send_some(&self, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
        match retry_on_intr(|| send(self, bytes, flags)) {
            Ok(sent) => Ok(sent),
            Err(Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends one or both directions, also for threads that wait in a call just now.
    pub(super) fn shut_down(&self, how: Shutdown) {
        let result = match self {
            Socket::Tcp(stream) => stream.shutdown(how),
            Socket::Unix(stream) => stream.shutdown(how),
        };
        if let Err(error) = result {
            tracing::trace!(%error, "the socket was closed already");
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A socket as a stream of bytes, for TLS.
#[derive(Debug)]
pub(super) struct Stream(pub(super) Arc<Socket>);

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.receive(into)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_some(bytes, SendFlags::NOSIGNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
