//! Bodies of requests, and what is counted of them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Meter, TargetError};

/// How much is handed to the network, and counted, at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Counts the bytes that were handed to the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells a meter what a counter has counted, also when what is sent is given up half-way.
pub(super) struct Counted<'a> {
    meter: &'a dyn Meter,
    counter: Counter,
}

impl<'a> Counted<'a> {
    pub(super) fn new(meter: &'a dyn Meter) -> Self {
        Counted { meter, counter: Counter::default() }
    }

    pub(super) fn counter(&self) -> &Counter {
        &self.counter
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.meter.sent(self.counter.get());
    }
}

/// The body of a request: bytes in memory, in pieces as they were read. Clones share the bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pieces: VecDeque<Bytes>,
    length: u64,
    counter: Counter,
}

impl Content {
    pub(super) fn new(pieces: Vec<Bytes>, counter: Counter) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Content { pieces: pieces.into(), length, counter }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Content::new(vec![bytes], Counter::default())
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn counter(&self) -> Counter {
        self.counter.clone()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while let Some(mut piece) = self.pieces.pop_front() {
            if piece.is_empty() {
                continue;
            }
            let now = piece.split_to(piece.len().min(PIECE_BYTES));
            if !piece.is_empty() {
                self.pieces.push_front(piece);
            }
            self.length -= now.len() as u64;
            self.counter.add(now.len());
            return Poll::Ready(Some(Ok(Frame::data(now))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Waits for what moves `counter` on, as long as it does; gives up when nothing has moved for `patience`.
pub(super) async fn while_it_moves<T>(
    counter: &Counter,
    patience: Duration,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, TargetError> {
    let mut work = std::pin::pin!(work);
    let mut seen = counter.get();
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(patience) => {
                let now = counter.get();
                if now == seen {
                    return Err(TargetError::Unreachable(format!("{what} was silent for {patience:?}")));
                }
                seen = now;
            }
        }
    }
}
