//! Bytes that a call has taken from a budget that it shares with others.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use metrics::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that may be taken at a time; first come, first served. Clones are the same.
#[derive(Clone)]
pub(super) struct Budget(Arc<State>);

struct State {
    room: Semaphore,
    size: usize,
    wait: Duration,
    gauge: Gauge,
}

impl Budget {
    /// Of `size` bytes, for which nobody waits longer than `wait`. The gauge tells how many are taken.
    pub(super) fn new(size: u64, wait: Duration, gauge: Gauge) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Budget(Arc::new(State { room: Semaphore::new(size), size, wait, gauge }))
    }

    /// Takes so many bytes, once they are free.
    async fn take(self, bytes: u32) -> Result<usize, Full> {
        let State { room, wait, .. } = &*self.0;
        let taken = tokio::time::timeout(*wait, room.acquire_many(bytes)).await;
        taken.map_err(|_| Full)?.map(taken_from).map_err(|_| Full)
    }
}

/// How many bytes were taken, which from now on the purse has to give back.
fn taken_from(permit: SemaphorePermit<'_>) -> usize {
    let bytes = permit.num_permits();
    permit.forget();
    bytes
}

/// There was no room for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What one side of one call has taken from a budget; what is left is given back when it is dropped.
pub(super) struct Purse {
    budget: Budget,
    held: usize,
    waiting: Option<BoxFuture<'static, Result<usize, Full>>>,
}

impl Purse {
    pub(super) fn of(budget: &Budget) -> Self {
        Purse { budget: budget.clone(), held: 0, waiting: None }
    }

    /// Takes `more` bytes. Who has the whole budget needs no more: what is larger than it passes alone.
    ///
    /// While it is pending it has to be asked again for the same.
    pub(super) fn poll_grow(&mut self, cx: &mut Context<'_>, more: u64) -> Poll<Result<(), Full>> {
        if self.waiting.is_none() {
            let free = self.budget.0.size - self.held;
            let more = usize::try_from(more).unwrap_or(usize::MAX).min(free);
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            if more == 0 {
                return Poll::Ready(Ok(()));
            }
            // Those who wait are served first: while there are any, nothing is free.
            let taken = self.budget.0.room.try_acquire_many(more).map(taken_from);
            if let Ok(taken) = taken {
                self.add(taken);
                return Poll::Ready(Ok(()));
            }
            self.waiting = Some(Box::pin(self.budget.clone().take(more)));
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        let taken = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(taken.map(|taken| self.add(taken)))
    }

    /// Gives back what is more than `rest`.
    pub(super) fn shrink_to(&mut self, rest: u64) {
        let over = self.held.saturating_sub(usize::try_from(rest).unwrap_or(usize::MAX));
        if over > 0 {
            self.held -= over;
            self.budget.0.room.add_permits(over);
            self.budget.0.gauge.decrement(precise(over));
        }
    }

    fn add(&mut self, taken: usize) {
        self.held += taken;
        self.budget.0.gauge.increment(precise(taken));
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many bytes in memory")]
fn precise(bytes: usize) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn budget(size: u64) -> Budget {
        Budget::new(size, Duration::from_millis(20), Gauge::noop())
    }

    async fn grow(purse: &mut Purse, more: u64) -> Result<(), Full> {
        poll_fn(|cx| purse.poll_grow(cx, more)).await
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_and_is_refused_at_last() {
        let budget = budget(100);
        let (mut first, mut second) = (Purse::of(&budget), Purse::of(&budget));
        assert_eq!(grow(&mut first, 60).await, Ok(()));
        assert_eq!(grow(&mut second, 60).await, Err(Full));
        assert_eq!(grow(&mut second, 40).await, Ok(()));
        drop(second);
        let mut third = Purse::of(&budget);
        let mut waiting = Box::pin(grow(&mut third, 60));
        assert!(futures::poll!(&mut waiting).is_pending());
        first.shrink_to(40);
        assert_eq!(waiting.await, Ok(()));
        drop(first);
        assert_eq!(budget.0.room.available_permits(), 40);
        drop(third);
        assert_eq!(budget.0.room.available_permits(), 100);
    }

    #[tokio::test]
    async fn who_is_gone_while_it_waits_leaves_all_that_was_put_aside_for_it() {
        let budget = budget(100);
        let (mut first, mut second) = (Purse::of(&budget), Purse::of(&budget));
        assert_eq!(grow(&mut first, 60).await, Ok(()));
        let mut waiting = Box::pin(grow(&mut second, 60));
        assert!(futures::poll!(&mut waiting).is_pending());
        first.shrink_to(50);
        drop(waiting);
        drop(second);
        assert_eq!(budget.0.room.available_permits(), 50);
    }

    #[tokio::test]
    async fn what_is_larger_than_the_budget_passes_alone() {
        let budget = budget(100);
        let (mut small, mut large) = (Purse::of(&budget), Purse::of(&budget));
        assert_eq!(grow(&mut small, 1).await, Ok(()));
        assert_eq!(grow(&mut large, 1000).await, Err(Full));
        drop(small);
        assert_eq!(grow(&mut large, 1000).await, Ok(()));
        assert_eq!(grow(&mut large, 1000).await, Ok(()), "it has all already");
        large.shrink_to(500);
        assert_eq!(budget.0.room.available_permits(), 0);
        large.shrink_to(0);
        assert_eq!(budget.0.room.available_permits(), 100);
    }

    #[tokio::test]
    async fn small_ones_do_not_pass_a_large_one_that_waits() {
        let budget = budget(100);
        let mut purses: Vec<_> = (0..3).map(|_| Purse::of(&budget)).collect();
        let [first, large, small] = purses.as_mut_slice() else { panic!("three of them") };
        assert_eq!(grow(first, 50).await, Ok(()));
        let mut waiting = Box::pin(grow(large, 80));
        assert!(futures::poll!(&mut waiting).is_pending());
        let mut late = Box::pin(grow(small, 10));
        assert!(futures::poll!(&mut late).is_pending());
        first.shrink_to(0);
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(late.await, Ok(()));
    }
}
