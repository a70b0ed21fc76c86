//! Waiting by watching. Nothing else in the tests sleeps.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Long enough for a loaded machine; a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Looks until there is something to see, and returns it.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = within(what, look()).await {
            return seen;
        }
        assert!(start.elapsed() < DEADLINE, "did not happen in {DEADLINE:?}: {what}");
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Lets a future take its time, but not for ever.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let result = timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("no end in {DEADLINE:?}: {what}"))
}
