//! One lock while a decision is made: what was loaded of it, the steps that all decisions share, and what they changed.
//!
//! Decisions are pure: time, limits and random ids are given in a [`Context`]. One commit makes at most one grant, as
//! the revision of the commit is the fencing token of the grant.

use std::time::Duration;

use super::event::{Event, Kind};
use super::keys::RequestKind;
use super::model::{Completion, Grant, GrantId, Head, LeaseId, Lifetime, LockKey, Mode, Outcome, Token, Waiter};
use super::release::HolderRef;
use crate::clock::Timestamp;

/// What a decision may use besides the state.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) rules: &'a Rules,
    /// Gives 16 random bytes.
    pub(crate) random: &'a mut (dyn FnMut() -> [u8; 16] + Send),
}

/// The settings that decisions follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long a success is remembered; zero: not at all.
    pub(crate) completed_retention: Duration,
    /// How long an owner that was handed a lock has to claim it.
    pub(crate) claim_timeout: Duration,
    /// How many owners may wait for one lock.
    pub(crate) max_waiters: u32,
}

/// What a decision changes besides the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    PutHolder(Grant),
    DropHolder { owner: String, grant: GrantId },
    PutWaiter { epoch: u64, seq: u64, waiter: Waiter },
    DropWaiter { epoch: u64, seq: u64, owner: String },
    TieLease { lease: LeaseId, owner: String },
    UntieLease { lease: LeaseId, owner: String },
    PurgeQueue { epoch: u64 },
    Remember { kind: RequestKind, request_id: String, grant: GrantId, outcome: Option<Outcome>, until: Timestamp },
    Emit(Event),
}

/// A place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) waiter: Waiter,
    /// 1 is the head of the queue.
    pub(crate) position: u32,
}

/// The head of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    pub(crate) seq: u64,
    pub(crate) waiter: Waiter,
    /// The lease that it wants its grant tied to has ended.
    pub(crate) is_lease_lost: bool,
}

/// Shared holders whose time was found to be over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DueHolders {
    pub(crate) expired: Vec<Grant>,
    /// The earliest end of the others; now, when there are more expired ones.
    pub(crate) next: Option<Timestamp>,
}

/// How a lock was before it is changed: what the gauges count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Population {
    pub(crate) held: u32,
    pub(crate) waiting: u32,
}

impl Population {
    pub(crate) fn of(head: &Head) -> Self {
        Population { held: head.holder_count(), waiting: head.waiter_count }
    }
}

/// One lock in a decision.
#[derive(Clone, Debug)]
pub(crate) struct LockState {
    pub(crate) key: LockKey,
    pub(crate) head: Head,
    /// The shared or semaphore grant of the owner that the command is about.
    pub(crate) holder: Option<Grant>,
    /// Where that owner waits.
    pub(crate) place: Option<Place>,
    /// The head of the queue.
    pub(crate) front: Option<Front>,
    /// Loaded when [`Head::shared_deadline`] has passed.
    pub(crate) due: DueHolders,
    /// What the decision changes.
    pub(crate) changes: Vec<Change>,
    /// The queue may go on after this commit.
    needs_another_look: bool,
}

impl LockState {
    /// A lock as loaded, without any record of one owner.
    pub(crate) fn new(key: LockKey, head: Head) -> Self {
        LockState {
            key,
            head,
            holder: None,
            place: None,
            front: None,
            due: DueHolders::default(),
            changes: Vec::new(),
            needs_another_look: false,
        }
    }

    /// Whether time or a crash has left something to be done before a command is decided.
    pub(crate) fn is_unsettled(&self, now: Timestamp) -> bool {
        let head = &self.head;
        head.exclusive.as_ref().is_some_and(|grant| grant.is_expired(now))
            || head.completion.as_ref().is_some_and(|completion| completion.expires <= now)
            || head.shared_deadline.is_some_and(|deadline| deadline <= now)
            || self.front.as_ref().is_some_and(|front| front.is_lease_lost || self.is_free_for(front.waiter.mode))
    }

    /// Ends what is over and serves the queue.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        if let Some(grant) = self.head.exclusive.clone().filter(|grant| grant.is_expired(now)) {
            self.expire(&grant, now);
        }
        let due = std::mem::take(&mut self.due);
        for grant in &due.expired {
            self.expire(grant, now);
        }
        if self.head.shared_deadline.is_some_and(|deadline| deadline <= now) {
            self.head.shared_deadline = due.next.filter(|_| self.head.shared_count > 0);
        }
        if self.head.completion.as_ref().is_some_and(|completion| completion.expires <= now) {
            self.drop_completion(now);
        }
        self.serve_queue(cx);
    }

    fn expire(&mut self, grant: &Grant, now: Timestamp) {
        let is_over_by_itself = grant.is_unclaimed || grant.max_expires.is_some_and(|end| end <= now);
        let kind = if grant.lifetime.lease.is_some() && !is_over_by_itself { Kind::LeaseLost } else { Kind::Expired };
        self.end_grant(grant);
        self.emit(Event::of_grant(kind, grant, now));
    }

    /// Whether an owner that wants to hold the lock so could, were there no queue.
    pub(crate) fn is_free_for(&self, mode: Mode) -> bool {
        let head = &self.head;
        match mode {
            Mode::Exclusive => head.holder_count() == 0,
            Mode::Shared => head.exclusive.is_none(),
            Mode::Semaphore { permits } => {
                head.exclusive.is_none() && head.permits_used.saturating_add(permits) <= head.capacity
            }
        }
    }

    /// Hands the lock to the head of the queue, if it can be held so.
    pub(crate) fn serve_queue(&mut self, cx: &mut Context<'_>) {
        let Some(front) = self.front.take() else { return };
        if front.is_lease_lost {
            self.leave_queue(front.seq, &front.waiter);
            self.emit(Event::of_owner(Kind::WaitCancelled, &front.waiter.owner, cx.now));
            self.needs_another_look = self.head.waiter_count > 0;
            return;
        }
        if !self.is_free_for(front.waiter.mode) {
            self.front = Some(front);
            return;
        }
        self.leave_queue(front.seq, &front.waiter);
        let waiter = front.waiter;
        let claim_by = cx.now.plus(cx.rules.claim_timeout);
        let grant = Grant {
            owner: waiter.owner,
            id: GrantId((cx.random)()),
            token: Token::OfThisCommit,
            mode: waiter.mode,
            granted: cx.now,
            expires: Some(claim_by),
            max_expires: None,
            lifetime: waiter.lifetime,
            is_unclaimed: true,
            request_id: waiter.request_id,
        };
        self.begin_grant(&grant);
        self.emit(Event::of_grant(Kind::Assigned, &grant, cx.now));
        // Others may be served beside it, but not in this commit.
        self.needs_another_look = self.head.waiter_count > 0 && self.head.exclusive.is_none();
    }

    /// The owner that this decision handed the lock to.
    pub(crate) fn assigned(&self) -> Option<&str> {
        self.changes.iter().find_map(|change| match change {
            Change::Emit(event) if event.kind == Kind::Assigned => Some(event.owner.as_str()),
            _ => None,
        })
    }

    /// The grant of an owner, in whatever mode.
    pub(crate) fn grant_of(&self, owner: &str) -> Option<&Grant> {
        let exclusive = self.head.exclusive.as_ref().filter(|grant| grant.owner == owner);
        exclusive.or(self.holder.as_ref().filter(|grant| grant.owner == owner))
    }

    /// The grant that a command means.
    pub(crate) fn find(&self, holder: &HolderRef) -> Option<&Grant> {
        match holder {
            HolderRef::Owner(owner) => self.grant_of(owner),
            HolderRef::Grant(id) => {
                [&self.head.exclusive, &self.holder].into_iter().flatten().find(|grant| grant.id == *id)
            }
        }
    }

    /// Records a new grant.
    pub(crate) fn begin_grant(&mut self, grant: &Grant) {
        self.head.last_token = Some(grant.token);
        if let Some(lease) = grant.lifetime.lease {
            self.changes.push(Change::TieLease { lease, owner: grant.owner.clone() });
        }
        if grant.mode == Mode::Exclusive {
            self.head.exclusive = Some(grant.clone());
            return;
        }
        self.head.shared_count += 1;
        self.head.permits_used += grant.mode.permits();
        self.note_shared_deadline(grant);
        self.changes.push(Change::PutHolder(grant.clone()));
    }

    /// Records that a grant was claimed or renewed.
    pub(crate) fn update_grant(&mut self, grant: &Grant) {
        if grant.mode == Mode::Exclusive {
            self.head.exclusive = Some(grant.clone());
        } else {
            self.note_shared_deadline(grant);
            self.changes.push(Change::PutHolder(grant.clone()));
        }
    }

    fn note_shared_deadline(&mut self, grant: &Grant) {
        self.head.shared_deadline = [self.head.shared_deadline, grant.expires].into_iter().flatten().min();
    }

    /// Takes a grant away; who is served next is another step.
    pub(crate) fn end_grant(&mut self, grant: &Grant) {
        if let Some(lease) = grant.lifetime.lease {
            self.changes.push(Change::UntieLease { lease, owner: grant.owner.clone() });
        }
        if grant.mode == Mode::Exclusive {
            self.head.exclusive = None;
        } else {
            self.head.shared_count = self.head.shared_count.saturating_sub(1);
            self.head.permits_used = self.head.permits_used.saturating_sub(grant.mode.permits());
            if self.head.shared_count == 0 {
                self.head.shared_deadline = None;
            }
            self.changes.push(Change::DropHolder { owner: grant.owner.clone(), grant: grant.id });
        }
        if self.holder.as_ref().is_some_and(|holder| holder.owner == grant.owner) {
            self.holder = None;
        }
    }

    /// Adds an owner to the end of the queue.
    pub(crate) fn join_queue(&mut self, waiter: Waiter, cx: &mut Context<'_>) {
        let epoch = *self.head.epoch.get_or_insert_with(|| new_epoch((cx.random)()));
        let seq = self.head.next_seq;
        self.head.next_seq += 1;
        self.head.waiter_count += 1;
        self.emit(Event::of_owner(Kind::Enqueued, &waiter.owner, cx.now));
        self.changes.push(Change::PutWaiter { epoch, seq, waiter });
    }

    /// Takes an owner out of the queue.
    pub(crate) fn leave_queue(&mut self, seq: u64, waiter: &Waiter) {
        let Some(epoch) = self.head.epoch else { return };
        self.head.waiter_count = self.head.waiter_count.saturating_sub(1);
        self.changes.push(Change::DropWaiter { epoch, seq, owner: waiter.owner.clone() });
        if self.place.as_ref().is_some_and(|place| place.seq == seq) {
            self.place = None;
        }
        if self.front.as_ref().is_some_and(|front| front.seq == seq) {
            self.front = None;
            self.needs_another_look = self.head.waiter_count > 0;
        }
    }

    /// Sends everybody in the queue away at once; their records are swept later.
    pub(crate) fn dismiss_queue(&mut self) {
        let Some(epoch) = self.head.epoch.take() else { return };
        self.head.waiter_count = 0;
        self.front = None;
        self.place = None;
        self.changes.push(Change::PurgeQueue { epoch });
    }

    /// Remembers that the work is done.
    pub(crate) fn complete(&mut self, completion: &Completion) {
        self.head.completion = Some(completion.clone());
        self.emit(Event::of_completion(Kind::Completed, completion, completion.completed));
    }

    /// Forgets it.
    pub(crate) fn drop_completion(&mut self, now: Timestamp) -> Option<Completion> {
        let completion = self.head.completion.take()?;
        self.emit(Event::of_completion(Kind::CompletionDropped, &completion, now));
        Some(completion)
    }

    /// Tells the watches.
    pub(crate) fn emit(&mut self, event: Event) {
        self.changes.push(Change::Emit(event));
    }

    /// The head as it is to be stored, or `None` when nothing is left to keep. The queue's epoch goes with the last
    /// waiter, and the capacity with the last user.
    pub(crate) fn final_head(&self, now: Timestamp) -> Option<Head> {
        if self.head.is_idle() {
            return None;
        }
        let mut head = self.head.clone();
        if !head.is_in_use() {
            head.capacity = 0;
        }
        if head.waiter_count == 0 {
            head.epoch = None;
            head.next_seq = 0;
        }
        head.deadline = [
            self.needs_another_look.then_some(now),
            head.exclusive.as_ref().and_then(Grant::deadline),
            head.shared_deadline,
            head.completion.as_ref().map(|completion| completion.expires),
        ]
        .into_iter()
        .flatten()
        .min();
        Some(head)
    }
}

/// A name for a queue that no other queue of the lock ever had.
fn new_epoch(random: [u8; 16]) -> u64 {
    let (head, _) = random.split_at(8);
    head.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)).max(1)
}

/// The grant that an owner gets by asking, as far as it does not depend on the lock.
pub(crate) fn claimed_grant(
    owner: &str,
    mode: Mode,
    lifetime: Lifetime,
    lease_expires: Option<Timestamp>,
    request_id: &str,
    cx: &mut Context<'_>,
) -> Grant {
    let mut grant = Grant {
        owner: owner.to_owned(),
        id: GrantId((cx.random)()),
        token: Token::OfThisCommit,
        mode,
        granted: cx.now,
        expires: None,
        max_expires: lifetime.max.map(|max| cx.now.plus(max)),
        lifetime,
        is_unclaimed: false,
        request_id: request_id.to_owned(),
    };
    grant.extend(cx.now, lease_expires);
    grant
}
