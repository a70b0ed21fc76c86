//! The life of one subscription: a watch on one side, an event stream on the other.
//!
//! Quirk: the stream never ends cleanly. A client takes a clean end for the end of its wait; one that is cut off
//! connects again.

use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use steward_proto::lock::v1::{LockKey, WatchResponse};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::warn;

use super::feed::Feed;
use crate::upstream::RequestId;

/// How long after the connect a hand-over from before it is told.
const REPLAY_DELAY: Duration = Duration::from_secs(1);
/// How often a comment shows that the connection lives, and finds out when it does not.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(30);
const HEARTBEAT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One subscriber's connection.
pub(super) struct Subscription {
    feed: Feed,
    request_id: RequestId,
    updates: Streaming<WatchResponse>,
    shutdown: CancellationToken,
    replay_time: Instant,
    heartbeat: Interval,
}

impl Subscription {
    /// Starts the clocks of a subscription to the lock `key`.
    pub(super) fn new(
        key: LockKey,
        request_id: RequestId,
        updates: Streaming<WatchResponse>,
        shutdown: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let mut heartbeat = interval_at(now + HEARTBEAT_PERIOD, HEARTBEAT_PERIOD);
        // Clients rely on a least distance between two heartbeats, so a late one delays the next.
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { feed: Feed::new(key), request_id, updates, shutdown, replay_time: now + REPLAY_DELAY, heartbeat }
    }

    /// Yields the frames of the event stream, and at last an error, at which the server cuts the connection.
    pub(super) fn into_frames(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        try_unfold(self, |mut subscription| async move {
            let frame = subscription.next_frame().await?;
            Ok(Some((frame, subscription)))
        })
    }

    async fn next_frame(&mut self) -> Result<Bytes, Status> {
        loop {
            // In this order, what the watch knows outdates a hand-over before it is told.
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Status::unavailable("shutting down")),
                update = self.updates.message() => {
                    if let Some(frame) = self.frame_of(update)? {
                        return Ok(frame);
                    }
                }
                () = sleep_until(self.replay_time), if self.feed.has_unclaimed() => {
                    if let Some(event) = self.feed.take_unclaimed() {
                        return Ok(event.frame());
                    }
                }
                _ = self.heartbeat.tick() => return Ok(HEARTBEAT),
            }
        }
    }

    fn frame_of(&mut self, update: Result<Option<WatchResponse>, Status>) -> Result<Option<Bytes>, Status> {
        let response = update
            .and_then(|response| response.ok_or_else(|| Status::unavailable("the watch ended")))
            .inspect_err(|status| {
                let (request_id, code, problem) = (&self.request_id, status.code(), status.message());
                warn!(%request_id, ?code, problem, "a watch broke off; its subscriber is cut off too");
            })?;
        let event = response.update.and_then(|update| self.feed.apply(&update));
        Ok(event.map(|event| event.frame()))
    }
}
