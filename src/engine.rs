//! Loops that bring the state to where it should be: each activation looks, changes what it finds by the same commands
//! as anyone else, and says when to look again. A late, doubled or crashed one is harmless.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::store::{Key, Store};

/// How long an engine rests after an error.
const REST_AFTER_ERROR: Duration = Duration::from_secs(1);

/// One loop.
#[async_trait]
pub trait Engine: Send + 'static {
    /// What is wrong when an activation fails.
    type Error: std::fmt::Display + Send;

    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;

    /// Commits that change a key with this prefix activate it.
    fn wakes_on(&self) -> Key;

    /// Does a bounded amount of work, and says when there is more to do. `None`: not before the next commit that
    /// concerns it.
    async fn activate(&mut self) -> Result<Option<Timestamp>, Self::Error>;
}

/// Runs an engine until shutdown. Costs nothing while there is nothing to do.
pub async fn run(mut engine: impl Engine, store: Arc<dyn Store>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    loop {
        let mut commits = store.watch(engine.wakes_on(), store.revision());
        loop {
            let next = tokio::select! {
                () = shutdown.cancelled() => return,
                next = activate(&mut engine, &*clock) => next,
            };
            let alarm = async {
                match next {
                    Some(time) => clock.sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            let commit = tokio::select! {
                () = shutdown.cancelled() => return,
                () = alarm => continue,
                commit = commits.next() => commit,
            };
            // One activation sees all that has gathered.
            while let Some(Some(Ok(_))) = commits.next().now_or_never() {}
            if !matches!(commit, Some(Ok(_))) {
                break;
            }
        }
    }
}

async fn activate(engine: &mut impl Engine, clock: &dyn Clock) -> Option<Timestamp> {
    let started = Instant::now();
    let result = engine.activate().await;
    let name = engine.name();
    metrics::histogram!("steward_engine_run_seconds", "engine" => name).record(started.elapsed());
    metrics::gauge!("steward_engine_last_run_timestamp_seconds", "engine" => name).set(seconds(clock.now()));
    match result {
        Ok(next) => next,
        Err(error) => {
            metrics::counter!("steward_engine_errors_total", "engine" => name).increment(1);
            tracing::warn!(engine = name, %error, "an engine failed and will try again");
            Some(clock.now().plus(REST_AFTER_ERROR))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; seconds are exact enough")]
fn seconds(time: Timestamp) -> f64 {
    time.nanos() as f64 / 1e9
}
