//! A connection in between that counts what is sent to a target, and can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::common::server::free_port;
use super::common::wait::eventually;

/// What went through.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes towards the target.
    sent: AtomicU64,
    /// The next answer of 202, to a chunk, is the last thing that is passed on.
    cuts_after_answer: AtomicBool,
    /// Nothing is passed on any more, and every connection is cut.
    is_cut: AtomicBool,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// In front of `target`.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let address = free_port();
        let listener = TcpListener::bind(address).await.expect("a port");
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target, Arc::clone(&shared)));
            }
        });
        Proxy { address, seen, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes were sent to the target.
    pub(crate) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::Relaxed)
    }

    /// Cuts everything off right behind the next acknowledgement of a chunk, and returns then.
    pub(crate) async fn cut_after_answer(&self) {
        self.seen.cuts_after_answer.store(true, Ordering::Relaxed);
        let is_cut = || async { self.seen.is_cut.load(Ordering::Relaxed).then_some(()) };
        eventually("a chunk is acknowledged", is_cut).await;
    }

    /// Cuts off whatever comes from now on, or passes it on again.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.seen.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, seen: Arc<Seen>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(count) if count > 0 && !seen.is_cut.load(Ordering::Relaxed) => {
                    seen.sent.fetch_add(count as u64, Ordering::Relaxed);
                    if server.write_all(&up[..count]).await.is_err() { return }
                }
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(count) if count > 0 => {
                    let is_acknowledged = down[..count].starts_with(b"HTTP/1.1 202");
                    if is_acknowledged && seen.cuts_after_answer.swap(false, Ordering::Relaxed) {
                        // Before it is passed on: the next chunk must not slip through.
                        seen.is_cut.store(true, Ordering::Relaxed);
                    }
                    if client.write_all(&down[..count]).await.is_err() { return }
                }
                _ => return,
            },
        }
    }
}
