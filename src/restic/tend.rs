//! Tends repositories: sweeps what was deleted long enough ago, notices what others have changed, and saves the index.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::files::blocking;
use super::repositories::Repositories;

/// How often directories are looked at, unless a short undelete window asks for more.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// After how many looks the index is saved.
const LOOKS_PER_SAVE: u32 = 10;

/// Runs until shutdown; then the index of every repository is saved.
pub async fn tend(repositories: Repositories) {
    let window = repositories.0.limits.undelete;
    let period = if window.is_zero() { LOOK_INTERVAL } else { LOOK_INTERVAL.min(window / 4) };
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looked, mut looks) = (Instant::now(), 0);
    loop {
        tokio::select! {
            () = repositories.0.shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        sweep_all(&repositories).await;
        if looked.elapsed() >= LOOK_INTERVAL {
            look_at_all(&repositories).await;
            (looked, looks) = (Instant::now(), looks + 1);
            if looks % LOOKS_PER_SAVE == 0 {
                save_all(&repositories).await;
            }
        }
    }
    save_all(&repositories).await;
}

async fn sweep_all(repositories: &Repositories) {
    let now = repositories.0.around.clock.now();
    for repository in repositories.all() {
        let path = repository.path.clone();
        if let Err(error) = blocking(move || super::delete::sweep(&repository, now)).await {
            tracing::warn!(repository = %path, %error, "deleted objects cannot be swept");
        }
    }
}

async fn look_at_all(repositories: &Repositories) {
    for repository in repositories.all() {
        let path = repository.path.clone();
        let looked = match repositories.close_if_gone(&repository).await {
            Ok(true) => Ok(()),
            Ok(false) => blocking(move || repository.count()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = looked {
            tracing::warn!(repository = %path, %error, "a repository cannot be looked at");
        }
    }
}

async fn save_all(repositories: &Repositories) {
    for repository in repositories.all() {
        let path = repository.path.clone();
        let saved = blocking(move || {
            repository.save_index().map_err(|error| super::Error::io("the index cannot be saved", error))
        });
        if let Err(error) = saved.await {
            tracing::debug!(repository = %path, %error, "the index of a repository was not saved");
        }
    }
}
