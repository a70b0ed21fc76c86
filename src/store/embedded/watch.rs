//! Watches: first what the journal has, then what is published, and the journal again after falling behind.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};

use super::{Shared, closed};
use crate::store::backend::Backend;
use crate::store::hub::Subscription;
use crate::store::journal::{Collector, Journal};
use crate::store::{ChangeSet, Error, Key, Revision};

/// A watch between two of its items.
struct Watch<B, J> {
    shared: Arc<Shared<B, J>>,
    prefix: Key,
    /// Everything up to here was delivered, or does not concern the watch.
    delivered: Revision,
    /// After how much quiet to tell how far it has come.
    interval: Option<Duration>,
    state: State,
}

enum State {
    Start,
    /// Reads the journal up to where the subscription begins.
    CatchUp(std::vec::IntoIter<ChangeSet>, Subscription),
    Live(Subscription),
    Over,
}

pub(super) fn stream<B: Backend, J: Journal>(
    shared: Arc<Shared<B, J>>,
    prefix: Key,
    from: Revision,
    interval: Option<Duration>,
) -> BoxStream<'static, Result<ChangeSet, Error>> {
    let watch = Watch { shared, prefix, delivered: from, interval, state: State::Start };
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await?;
        if item.is_err() {
            watch.state = State::Over;
        }
        Some((item, watch))
    })
    .boxed()
}

impl<B: Backend, J: Journal> Watch<B, J> {
    async fn next(&mut self) -> Option<Result<ChangeSet, Error>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Start => {
                    // Subscribed before the journal is read, so that nothing falls between the two.
                    let subscription = self.shared.hub.subscribe(self.prefix.clone());
                    self.state = State::CatchUp(Vec::new().into_iter(), subscription);
                }
                State::CatchUp(mut ready, subscription) => {
                    if let Some(set) = ready.next() {
                        self.state = State::CatchUp(ready, subscription);
                        return Some(Ok(set));
                    }
                    if self.delivered >= subscription.since {
                        self.state = State::Live(subscription);
                        continue;
                    }
                    match self.read(subscription.since) {
                        Ok(sets) => self.state = State::CatchUp(sets.into_iter(), subscription),
                        Err(error) => return Some(Err(error)),
                    }
                    // A long past is read piece by piece; others may run in between.
                    tokio::task::yield_now().await;
                }
                State::Live(mut subscription) => {
                    let Some(set) = self.next_live(&mut subscription).await else {
                        self.state = State::Start;
                        continue;
                    };
                    self.state = State::Live(subscription);
                    if set.revision > self.delivered || set.changes.is_empty() {
                        self.delivered = self.delivered.max(set.revision);
                        return Some(Ok(set));
                    }
                }
                State::Over => return None,
            }
        }
    }

    /// The next commit, or a sign of progress; `None` when the subscription was cut off.
    async fn next_live(&self, subscription: &mut Subscription) -> Option<ChangeSet> {
        let Some(interval) = self.interval else { return subscription.next().await };
        if let Ok(next) = tokio::time::timeout(interval, subscription.next()).await {
            return next;
        }
        // What is durable has been published, so all of it that concerns this watch has arrived by now.
        let revision = *self.shared.durable.borrow();
        match subscription.try_next() {
            Some(set) => Some(set),
            None => Some(ChangeSet { revision: revision.max(self.delivered), changes: Vec::new() }),
        }
    }

    /// Reads the next piece of the journal, at most up to `until`, and moves on behind it.
    fn read(&mut self, until: Revision) -> Result<Vec<ChangeSet>, Error> {
        let from = self.delivered;
        let frames = self.shared.journal.read(from).map_err(|error| closed(&error))?;
        // What was trimmed while it was read would be missing without a sign.
        let floor = self.shared.journal.floor();
        if from < floor {
            return Err(Error::Compacted { asked: from, floor });
        }
        let mut collector = Collector::default();
        let mut sets = Vec::new();
        for frame in &frames {
            for (revision, change) in frame.changes()? {
                let is_wanted = revision > from && revision <= until;
                if is_wanted && change.key.as_bytes().starts_with(self.prefix.as_bytes()) {
                    sets.extend(collector.push(revision, change));
                }
            }
        }
        sets.extend(collector.finish());
        self.delivered = frames.last().map_or(until, |frame| frame.last.min(until));
        Ok(sets)
    }
}
