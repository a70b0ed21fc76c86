//! Clients that work as fast as they can, and what they saw.

use std::time::{Duration, Instant};

use crate::BoxError;

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) time: Duration,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Measured {
    /// In ascending order.
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Measured {
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Measured { latencies, elapsed }
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency in milliseconds that so many of a hundred do not pass.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// Something that can do the same again and again.
pub(crate) trait Client: Send + 'static {
    /// Once. False: there is nothing left to do.
    fn step(&mut self) -> impl Future<Output = Result<bool, BoxError>> + Send;
}

impl Load {
    /// Lets clients work for a while, after a shorter while to get warm.
    pub(crate) async fn drive<C: Client>(self, clients: Vec<C>) -> Result<Measured, BoxError> {
        let (clients, _) = drive_for(clients, self.time / 4).await?;
        Ok(drive_for(clients, self.time).await?.1)
    }
}

async fn drive_for<C: Client>(clients: Vec<C>, time: Duration) -> Result<(Vec<C>, Measured), BoxError> {
    let start = Instant::now();
    let end = start + time;
    let running: Vec<_> = clients.into_iter().map(|client| tokio::spawn(work(client, end))).collect();
    let (mut clients, mut latencies) = (Vec::new(), Vec::new());
    for client in running {
        let (client, mut seen) = client.await??;
        clients.push(client);
        latencies.append(&mut seen);
    }
    Ok((clients, Measured::of(latencies, start.elapsed())))
}

async fn work<C: Client>(mut client: C, end: Instant) -> Result<(C, Vec<Duration>), BoxError> {
    let mut latencies = Vec::new();
    loop {
        let start = Instant::now();
        if start >= end || !client.step().await? {
            return Ok((client, latencies));
        }
        latencies.push(start.elapsed());
    }
}
