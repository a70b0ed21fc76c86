//! What one caller has open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::Gauge;

use super::purse::Budget;
use super::rate::Rate;
use super::refusal::{Limit, Refusal, Scope};

/// What one caller may take up; zero: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) requests_per_second: u32,
    pub(super) burst: u32,
    pub(super) concurrent: u32,
    pub(super) bytes: u64,
}

impl Allowance {
    /// Whether there is nothing to count.
    pub(super) fn is_unlimited(&self) -> bool {
        self.requests_per_second == 0 && self.concurrent == 0 && self.bytes == 0
    }
}

/// What all accounts of a scope have in common.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) scope: Scope,
    /// How long somebody waits for room for bytes.
    pub(super) wait: Duration,
    pub(super) calls: Gauge,
    pub(super) bytes: Gauge,
    /// How much of the memory for all one of them may take: whoever takes the rest, it is not this one. Zero: all.
    pub(super) share: u64,
}

/// One caller.
pub(super) struct Account {
    kind: Kind,
    rate: Option<Rate>,
    concurrent: u32,
    calls: AtomicU32,
    budget: Option<Budget>,
    share: Option<Budget>,
    is_limited: bool,
}

impl Account {
    pub(super) fn new(kind: &Kind, allowance: Allowance) -> Self {
        let Allowance { requests_per_second, burst, concurrent, bytes } = allowance;
        let burst = if burst == 0 { requests_per_second } else { burst };
        let budget = |size, gauge| (size > 0).then(|| Budget::new(size, kind.wait, gauge));
        Account {
            kind: kind.clone(),
            rate: (requests_per_second > 0).then(|| Rate::new(requests_per_second, burst)),
            concurrent,
            calls: AtomicU32::new(0),
            budget: budget(bytes, kind.bytes.clone()),
            // It is part of what is told of the server.
            share: budget(kind.share, Gauge::noop()),
            is_limited: !allowance.is_unlimited(),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        self.kind.scope
    }

    /// The bytes that it may have under way, if they are limited.
    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// The bytes that it may have in memory, if these are limited.
    pub(super) fn share(&self) -> Option<&Budget> {
        self.share.as_ref()
    }

    /// Whether its calls are counted.
    pub(super) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Takes one more call, which has to be [left](Self::leave) at its end.
    pub(super) fn enter(&self, now: u64) -> Result<(), Refusal> {
        if !self.is_limited {
            return Ok(());
        }
        // Who asks too often has asked, whatever becomes of it.
        if let Some(rate) = &self.rate {
            rate.admit(now).map_err(|wait| Refusal::new(Limit::Requests, self.scope(), Some(wait)))?;
        }
        let step = |calls: u32| (self.concurrent == 0 || calls < self.concurrent).then(|| calls.saturating_add(1));
        let entered = self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        entered.map_err(|_| Refusal::new(Limit::Calls, self.scope(), None))?;
        self.kind.calls.increment(1);
        Ok(())
    }

    /// A call is over.
    pub(super) fn leave(&self) {
        if self.is_limited {
            self.calls.fetch_sub(1, Ordering::Relaxed);
            self.kind.calls.decrement(1);
        }
    }

    /// Whether a new one would be just like it, if nobody else has it.
    pub(super) fn is_rested(&self, now: u64) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.is_rested(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        Kind { scope: Scope::User, wait: Duration::ZERO, calls: Gauge::noop(), bytes: Gauge::noop(), share: 0 }
    }

    #[test]
    fn calls_end_and_make_room() {
        let account = Account::new(&kind(), Allowance { concurrent: 2, ..Allowance::default() });
        assert_eq!((account.enter(0), account.enter(0)), (Ok(()), Ok(())));
        assert_eq!(account.enter(0).map_err(|refusal| refusal.limit), Err(Limit::Calls));
        account.leave();
        assert_eq!(account.enter(0), Ok(()));
    }

    #[test]
    fn a_burst_is_as_much_as_a_second_unless_it_is_said() {
        let allowance = Allowance { requests_per_second: 3, ..Allowance::default() };
        let taken = |allowance| {
            let account = Account::new(&kind(), allowance);
            (0..20).filter(|_| account.enter(0).is_ok()).count()
        };
        assert_eq!(taken(allowance), 3);
        assert_eq!(taken(Allowance { burst: 7, ..allowance }), 7);
        assert_eq!(taken(Allowance::default()), 20);
    }
}
