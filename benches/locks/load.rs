//! Clients that take and give back locks as fast as they can, and what they saw.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};

use crate::BoxError;

/// Keys that each client goes round.
const KEYS: usize = 1000;

/// Something that can take a lock and give it back.
pub(crate) trait Client: Send + 'static {
    /// One pair. Waits for the lock if it has to.
    fn pair(&mut self, key: &str) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// How many clients of gRPC share a connection, on both sides.
    pub(crate) per_connection: usize,
    /// All want one key.
    pub(crate) is_contended: bool,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = if self.is_contended { "one key" } else { "distinct keys" };
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "{} client{plural}, {keys}", self.clients)?;
        if self.per_connection > 1 { write!(f, ", {} a connection", self.per_connection) } else { Ok(()) }
    }
}

/// What was seen in one cell.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the start of a pair to its end, in ascending order.
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Measured {
    pub(crate) fn pairs(&self) -> usize {
        self.latencies.len()
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer pairs than 2^52")]
    pub(crate) fn pairs_per_second(&self) -> f64 {
        self.pairs() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The latency that so many of a hundred pairs do not pass.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.pairs().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default()
    }
}

impl Load {
    /// A channel for each client.
    pub(crate) async fn connect(self, server: SocketAddr) -> Result<Vec<Channel>, BoxError> {
        let endpoint = Endpoint::from_shared(format!("http://{server}"))?.tcp_nodelay(true);
        let mut channels = Vec::new();
        while channels.len() < self.clients {
            let shared = endpoint.connect().await?;
            let left = self.clients - channels.len();
            channels.extend(std::iter::repeat_n(shared, left.min(self.per_connection)));
        }
        Ok(channels)
    }

    /// Lets the clients work for a while; gives them back with what they saw.
    pub(crate) async fn drive<C: Client>(
        self,
        clients: Vec<C>,
        time: Duration,
    ) -> Result<(Vec<C>, Measured), BoxError> {
        let start = Instant::now();
        let end = start + time;
        let is_contended = self.is_contended;
        let mut running = Vec::new();
        for (number, client) in clients.into_iter().enumerate() {
            running.push(tokio::spawn(work(client, number, is_contended, end)));
        }
        let (mut clients, mut latencies) = (Vec::new(), Vec::new());
        for client in running {
            let (client, mut seen) = client.await??;
            clients.push(client);
            latencies.append(&mut seen);
        }
        let elapsed = start.elapsed();
        latencies.sort_unstable();
        Ok((clients, Measured { latencies, elapsed }))
    }
}

async fn work<C: Client>(
    mut client: C,
    number: usize,
    is_contended: bool,
    end: Instant,
) -> Result<(C, Vec<Duration>), BoxError> {
    let mut latencies = Vec::new();
    for turn in 0.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let key = if is_contended { "contended".to_owned() } else { format!("client-{number}/{}", turn % KEYS) };
        client.pair(&key).await?;
        latencies.push(start.elapsed());
    }
    Ok((client, latencies))
}
