//! One call that is counted, as long as anything of it is left.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::account::Account;
use super::purse::{Budget, Purse};
use super::refusal::{Limit, Refusal};

/// A call. It is over when the last who has it drops it: the one who answers it, or either direction of its bytes.
pub(super) struct Call {
    account: Option<Arc<Account>>,
    memory: Option<Budget>,
    refusal: OnceLock<Refusal>,
    last_message: Mutex<LastMessage>,
}

/// What the last message of a request takes up.
enum LastMessage {
    /// Until the call is answered.
    Kept(Vec<Purse>),
    Answered,
}

impl Call {
    /// Of a caller that has been let in.
    pub(super) fn new(account: Option<Arc<Account>>, memory: Option<Budget>) -> Self {
        Call { account, memory, refusal: OnceLock::new(), last_message: Mutex::new(LastMessage::Kept(Vec::new())) }
    }

    /// What its caller has taken of the bytes that it may have under way; `None` when these are not limited.
    pub(super) fn purse(&self) -> Option<Purse> {
        self.account.as_ref()?.budget().map(Purse::of)
    }

    /// What it has taken of the memory for all; `None` when that is not limited.
    pub(super) fn memory_purse(&self) -> Option<Purse> {
        self.memory.as_ref().map(Purse::of)
    }

    /// Whether somebody counts how many calls the caller has.
    pub(super) fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// Gives it up because there was no room for its bytes.
    pub(super) fn refuse(&self, limit: Limit) -> Refusal {
        *self.refusal.get_or_init(|| {
            let scope = match (limit, &self.account) {
                (Limit::Requests | Limit::Calls | Limit::Bytes, Some(account)) => account.scope(),
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
    pub(super) fn keep(&self, purses: impl IntoIterator<Item = Purse>) {
        if let LastMessage::Kept(kept) = &mut *self.last_message.lock() {
            kept.extend(purses);
        }
    }

    /// It is answered, or has begun to be.
    pub(super) fn answered(&self) {
        let kept = std::mem::replace(&mut *self.last_message.lock(), LastMessage::Answered);
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
