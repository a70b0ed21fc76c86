//! Tells watches what became durable. Publishing never waits: a subscriber that is full is cut off, and its watch
//! reads what it missed from the journal.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Change, ChangeSet, Key, Revision};

/// Commits that one subscriber may be behind before it is cut off.
const BACKLOG: usize = 256;

#[derive(Default)]
pub(super) struct Hub {
    subscribers: Mutex<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    published: Revision,
    by_prefix: HashMap<Key, Vec<(u64, mpsc::Sender<ChangeSet>)>>,
    /// How many prefixes there are of each length, so that a change looks up only prefixes that can exist.
    lengths: BTreeMap<usize, usize>,
    next_id: u64,
}

/// Receives the commits after `since` that touch a prefix, until it is cut off or dropped.
pub(super) struct Subscription {
    hub: Arc<Hub>,
    prefix: Key,
    id: u64,
    receiver: mpsc::Receiver<ChangeSet>,
    /// Everything up to this revision was published before.
    pub(super) since: Revision,
}

impl Hub {
    pub(super) fn new(published: Revision) -> Self {
        Hub { subscribers: Mutex::new(Subscribers { published, ..Subscribers::default() }) }
    }

    pub(super) fn subscribe(self: &Arc<Self>, prefix: Key) -> Subscription {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut subscribers = self.subscribers.lock();
        let id = subscribers.next_id;
        subscribers.next_id += 1;
        let since = subscribers.published;
        subscribers.add(prefix.clone(), id, sender);
        Subscription { hub: Arc::clone(self), prefix, id, receiver, since }
    }

    /// Hands out the changes of one commit. Called in the order of the revisions, by one thread.
    pub(super) fn publish(&self, revision: Revision, changes: impl Iterator<Item = Change>) {
        let mut subscribers = self.subscribers.lock();
        subscribers.published = revision;
        if subscribers.by_prefix.is_empty() {
            return;
        }
        for (prefix, changes) in subscribers.matches(changes) {
            subscribers.send(&prefix, &ChangeSet { revision, changes });
        }
    }
}

impl Subscribers {
    fn add(&mut self, prefix: Key, id: u64, sender: mpsc::Sender<ChangeSet>) {
        let length = prefix.as_bytes().len();
        let entry = self.by_prefix.entry(prefix).or_default();
        if entry.is_empty() {
            *self.lengths.entry(length).or_default() += 1;
        }
        entry.push((id, sender));
    }

    fn matches(&self, changes: impl Iterator<Item = Change>) -> BTreeMap<Key, Vec<Change>> {
        let mut matches: BTreeMap<Key, Vec<Change>> = BTreeMap::new();
        for change in changes {
            let key = change.key.as_bytes();
            for &length in self.lengths.keys().take_while(|&&length| length <= key.len()) {
                if let Some((prefix, _)) = self.by_prefix.get_key_value(&key[..length]) {
                    matches.entry(prefix.clone()).or_default().push(change.clone());
                }
            }
        }
        matches
    }

    fn send(&mut self, prefix: &Key, set: &ChangeSet) {
        let Some(senders) = self.by_prefix.get_mut(prefix) else { return };
        senders.retain(|(_, sender)| sender.try_send(set.clone()).is_ok());
        self.forget_if_unused(prefix);
    }

    fn remove(&mut self, prefix: &Key, id: u64) {
        let Some(senders) = self.by_prefix.get_mut(prefix) else { return };
        senders.retain(|(other, _)| *other != id);
        self.forget_if_unused(prefix);
    }

    fn forget_if_unused(&mut self, prefix: &Key) {
        if !self.by_prefix.get(prefix).is_some_and(Vec::is_empty) {
            return;
        }
        self.by_prefix.remove(prefix);
        let length = prefix.as_bytes().len();
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }
}

impl Subscription {
    /// The next commit; `None` once this subscriber was cut off and has read what was sent before.
    pub(super) async fn next(&mut self) -> Option<ChangeSet> {
        self.receiver.recv().await
    }

    /// The next commit, if one has arrived.
    pub(super) fn try_next(&mut self) -> Option<ChangeSet> {
        self.receiver.try_recv().ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.subscribers.lock().remove(&self.prefix, self.id);
    }
}
