//! As much HTTP/1.1 as the load needs, as cheap as can be: kept connections, one buffer, bodies thrown away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BoxError;
use crate::objects::Object;

const BUFFER: usize = 256 * 1024;

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// Of the body, in bytes.
    pub(crate) length: u64,
    /// Until the first byte of the body, or of the head when there is none.
    pub(crate) first: Duration,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; BUFFER] })
    }

    /// Sends a framed request: its head, and its body in pieces.
    pub(crate) async fn send<'a>(
        &mut self,
        head: &[u8],
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), BoxError> {
        self.stream.write_all(head).await?;
        for piece in pieces {
            self.stream.write_all(piece).await?;
        }
        Ok(())
    }

    /// Reads a whole answer with a length.
    pub(crate) async fn receive(&mut self) -> Result<Reply, BoxError> {
        let start = Instant::now();
        let (body, length) = self.receive_head().await?;
        let length = length.ok_or("an answer without a length")?;
        let mut left = length.checked_sub(body as u64).ok_or("more than was announced")?;
        let first = start.elapsed();
        while left > 0 {
            let count = self.stream.read(&mut self.buffer).await?;
            left = left.checked_sub(count as u64).ok_or("more than was announced")?;
            if count == 0 {
                return Err("the answer broke off".into());
            }
        }
        Ok(Reply { length, first })
    }

    /// Reads the answer to a HEAD.
    pub(crate) async fn receive_head_alone(&mut self) -> Result<(), BoxError> {
        let (body, length) = self.receive_head().await?;
        if body > 0 || length.is_none() { Err("not the answer to a HEAD".into()) } else { Ok(()) }
    }

    /// Reads an answer at whose end the server hangs up.
    pub(crate) async fn receive_to_end(mut self) -> Result<Reply, BoxError> {
        let start = Instant::now();
        let (mut body, _) = self.receive_head().await?;
        let mut length = 0;
        let mut first = None;
        loop {
            if body > 0 {
                first.get_or_insert_with(|| start.elapsed());
            }
            length += body as u64;
            body = self.stream.read(&mut self.buffer).await?;
            if body == 0 {
                return Ok(Reply { length, first: first.unwrap_or_default() });
            }
        }
    }

    /// Reads up to the end of a head; returns how much of the body came with it, and how long that will be.
    async fn receive_head(&mut self) -> Result<(usize, Option<u64>), BoxError> {
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the server hung up".into());
            }
            filled += count;
            let seen = &self.buffer[..filled.min(4096)];
            let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&seen[..end])?;
            let mut lines = head.split("\r\n");
            let status = lines.next().and_then(|line| line.get(9..12)).unwrap_or_default();
            if !matches!(status, "200" | "206") {
                return Err(format!("answered with {}", String::from_utf8_lossy(&self.buffer[..filled])).into());
            }
            let length = lines.find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            return Ok((filled - end - 4, length));
        }
    }
}

/// Sends each request once, over so many connections; with the bodies of the objects, if there are any.
pub(crate) async fn send_all(
    address: SocketAddr,
    connections: usize,
    requests: Vec<Vec<u8>>,
    bodies: &Arc<Vec<Object>>,
) -> Result<(), BoxError> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address).await?;
        let (requests, next, bodies) = (requests.clone(), next.clone(), bodies.clone());
        clients.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(number) else { return Ok::<_, BoxError>(()) };
                let body = bodies.get(number).into_iter().flat_map(Object::pieces);
                connection.send(request, body).await?;
                connection.receive().await?;
            }
        }));
    }
    for client in clients {
        client.await??;
    }
    Ok(())
}
