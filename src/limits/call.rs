//! One call that is counted, as long as anything of it is left.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::account::Account;
use super::purse::{Budget, Purse};
use super::purses::Purses;
use super::refusal::{Limit, Refusal};

/// A call. It is over when the last who has it drops it: the one who answers it, or either direction of its bytes.
pub(super) struct Call {
    account: Option<Arc<Account>>,
    memory: Option<Budget>,
    refusal: OnceLock<Refusal>,
    last_message: Mutex<LastMessage>,
}

/// What the last message of a request takes up until the call is answered.
#[derive(Default)]
struct LastMessage {
    purses: Purses,
    is_answered: bool,
}

impl Call {
    /// Of a caller that has been let in.
    pub(super) fn new(account: Option<Arc<Account>>, memory: Option<Budget>) -> Self {
        Call { account, memory, refusal: OnceLock::new(), last_message: Mutex::default() }
    }

    /// What its caller has taken of the bytes that it may have under way; `None` when these are not limited.
    pub(super) fn purse(&self) -> Option<Purse> {
        self.account.as_ref()?.budget().map(Purse::of)
    }

    /// What it has taken of its caller's share of the memory, and of the memory for all.
    pub(super) fn memory_purses(&self) -> Purses {
        self.purses_beside(None)
    }

    /// The same, and before all others what it has taken of its caller's bytes.
    fn purses_beside(&self, own: Option<(Limit, Purse)>) -> Purses {
        let share = self.account.as_ref().and_then(|account| account.share());
        let of_caller = share.map(|share| (Limit::Share, Purse::of(share)));
        let of_all = self.memory.as_ref().map(|memory| (Limit::Memory, Purse::of(memory)));
        Purses::new([own, of_caller, of_all])
    }

    /// What its messages have taken of all budgets that they count for.
    pub(super) fn purses(&self) -> Purses {
        self.purses_beside(self.purse().map(|own| (Limit::Bytes, own)))
    }

    /// Whether somebody counts how many calls the caller has, and what they have under way.
    pub(super) fn is_limited(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.is_limited())
    }

    /// Gives it up because there was no room for its bytes.
    pub(super) fn refuse(&self, limit: Limit) -> Refusal {
        *self.refusal.get_or_init(|| {
            let scope = match (limit, &self.account) {
                (Limit::Requests | Limit::Calls | Limit::Bytes | Limit::Share, Some(account)) => account.scope(),
                (Limit::Memory, _) | (_, None) => super::refusal::Scope::Server,
            };
            Refusal::new(limit, scope, None)
        })
    }

    /// Why it was given up, if it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Keeps what the last message takes up until the call is answered.
    pub(super) fn keep(&self, purses: Purses) {
        let mut last_message = self.last_message.lock();
        if !last_message.is_answered {
            last_message.purses = purses;
        }
    }

    /// It is answered, or has begun to be.
    pub(super) fn answered(&self) {
        let answered = LastMessage { purses: Purses::default(), is_answered: true };
        let kept = std::mem::replace(&mut *self.last_message.lock(), answered);
        drop(kept);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.leave();
        }
    }
}
