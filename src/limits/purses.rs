//! All budgets that bytes of a call count for at once.

use std::task::{Context, Poll, ready};

use super::purse::Purse;
use super::refusal::Limit;

/// The caller's bytes under way, its share of the memory, and the memory for all.
const BUDGETS: usize = 3;

/// What one side of a call has taken of each budget. They are asked in their order: who waits for room of its own keeps
/// nobody else from what is for all.
#[derive(Default)]
pub(super) struct Purses([Option<Counted>; BUDGETS]);

struct Counted {
    limit: Limit,
    purse: Purse,
    /// What it is to take and has not yet.
    missing: u64,
}

impl Purses {
    /// Of these budgets, as far as they are limited.
    pub(super) fn new(purses: [Option<(Limit, Purse)>; BUDGETS]) -> Self {
        Purses(purses.map(|purse| purse.map(|(limit, purse)| Counted { limit, purse, missing: 0 })))
    }

    /// Asks for `more` bytes of each.
    pub(super) fn want(&mut self, more: u64) {
        for counted in self.0.iter_mut().flatten() {
            counted.missing = more;
        }
    }

    /// Takes what is wanted; or tells where there was no room for too long.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Limit>> {
        for counted in self.0.iter_mut().flatten().filter(|counted| counted.missing > 0) {
            if ready!(counted.purse.poll_grow(cx, counted.missing)).is_err() {
                return Poll::Ready(Err(counted.limit));
            }
            // It may be asked again before there is room in the next one.
            counted.missing = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives back what is more than `rest`, of each.
    pub(super) fn shrink_to(&mut self, rest: u64) {
        for counted in self.0.iter_mut().flatten() {
            counted.purse.shrink_to(rest);
        }
    }
}
