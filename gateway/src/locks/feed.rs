//! What a subscriber is told of what a watch shows. Pure: the clock and the wire are elsewhere.
//!
//! Quirk: the last success is told again to whoever subscribes while its record lives.
//! Quirk: so is a hand-over that nobody has claimed yet, but only after a while: told at once, it makes a real client
//! reconnect thousands of times a second.
//! Quirk: a failure that nobody waited for is not told at all.

use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{Lock, LockEvent, LockEventKind, LockKey, LockMode};

use super::event::Event;

/// Turns the updates of one lock into the events of one subscriber.
#[derive(Debug)]
pub(super) struct Feed {
    key: LockKey,
    unclaimed: Option<Event>,
}

impl Feed {
    pub(super) fn new(key: LockKey) -> Self {
        Self { key, unclaimed: None }
    }

    /// Answers the event to tell at once, if the update is worth one.
    pub(super) fn apply(&mut self, update: &Update) -> Option<Event> {
        match update {
            Update::Snapshot(lock) => self.begin(lock),
            Update::Event(event) => self.follow(event),
            Update::SnapshotEnd(_) | Update::Progress(_) => None,
        }
    }

    /// A hand-over from before the subscription waits to be told.
    pub(super) fn has_unclaimed(&self) -> bool {
        self.unclaimed.is_some()
    }

    /// Answers the hand-over from before the subscription, unless it is outdated by now.
    pub(super) fn take_unclaimed(&mut self) -> Option<Event> {
        self.unclaimed.take()
    }

    fn begin(&mut self, lock: &Lock) -> Option<Event> {
        self.unclaimed = None;
        if let Some(done) = &lock.completion {
            return Some(Event::success(&self.key, done.owner.clone(), done.complete_time.as_ref()));
        }
        let grant = lock.holders.iter().find(|grant| grant.is_unclaimed && grant.mode() == LockMode::Exclusive)?;
        self.unclaimed = Some(Event::hand_over(&self.key, grant.owner.clone(), grant.grant_time.as_ref()));
        None
    }

    fn follow(&mut self, event: &LockEvent) -> Option<Event> {
        match event.kind() {
            LockEventKind::Completed => {
                self.unclaimed = None;
                Some(self.completed(event))
            }
            LockEventKind::Assigned => {
                self.unclaimed = None;
                Some(Event::hand_over(&self.key, event.owner.clone(), event.event_time.as_ref()))
            }
            LockEventKind::Granted
            | LockEventKind::Claimed
            | LockEventKind::Released
            | LockEventKind::Expired
            | LockEventKind::ForceReleased
            | LockEventKind::WaitCancelled
            | LockEventKind::LeaseLost => {
                self.unclaimed.take_if(|unclaimed| unclaimed.node_id() == event.owner);
                None
            }
            LockEventKind::Unspecified
            | LockEventKind::Enqueued
            | LockEventKind::Renewed
            | LockEventKind::CompletionDropped => None,
        }
    }

    /// A server that keeps no records of success still tells of the success itself.
    fn completed(&self, event: &LockEvent) -> Event {
        match &event.completion {
            Some(done) => Event::success(&self.key, done.owner.clone(), done.complete_time.as_ref()),
            None => Event::success(&self.key, event.owner.clone(), event.event_time.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests;
