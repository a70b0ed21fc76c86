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
}

/// One caller.
pub(super) struct Account {
    kind: Kind,
    rate: Option<Rate>,
    concurrent: u32,
    calls: AtomicU32,
    budget: Option<Budget>,
}

impl Account {
    pub(super) fn new(kind: &Kind, allowance: Allowance) -> Self {
        let Allowance { requests_per_second, burst, concurrent, bytes } = allowance;
        let burst = if burst == 0 { requests_per_second } else { burst };
        let budget = (bytes > 0).then(|| Budget::new(bytes, kind.wait, kind.bytes.clone()));
        Account {
            kind: kind.clone(),
            rate: (requests_per_second > 0).then(|| Rate::new(requests_per_second, burst)),
            concurrent,
            calls: AtomicU32::new(0),
            budget,
        }
    }

    pub(super) fn scope(&self) -> Scope {
        self.kind.scope
    }

    /// The bytes that it may have under way, if they are limited.
    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// Takes one more call, which has to be [left](Self::leave) at its end.
    pub(super) fn enter(&self, now: u64) -> Result<(), Refusal> {
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
        self.calls.fetch_sub(1, Ordering::Relaxed);
        self.kind.calls.decrement(1);
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
        Kind { scope: Scope::User, wait: Duration::ZERO, calls: Gauge::noop(), bytes: Gauge::noop() }
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
