//! Watches: first what the change log has, then what is published, and the log again after falling behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::{self, BoxStream, StreamExt};

use super::{Shared, closed};
use crate::store::backend::Backend;
use crate::store::hub::Subscription;
use crate::store::log::{self, Collector};
use crate::store::{ChangeSet, Error, Key, KeyRange, Revision};

/// Chunks of the log that are read at a time.
const CHUNKS_AT_A_TIME: usize = 64;

/// A watch between two of its items.
struct Watch<B> {
    shared: Arc<Shared<B>>,
    prefix: Key,
    /// Everything up to here was delivered.
    delivered: Revision,
    state: State,
}

enum State {
    Start,
    CatchUp { catch_up: CatchUp, ready: std::vec::IntoIter<ChangeSet>, then: Subscription },
    Live(Subscription),
    Over,
}

/// A position in the log.
struct CatchUp {
    /// What is still to be read; `None` when the end was reached.
    rest: Option<KeyRange>,
    until: Revision,
    /// Everything up to here was read from the log.
    read_up_to: Revision,
    collector: Collector,
}

pub(super) fn stream<B: Backend>(
    shared: Arc<Shared<B>>,
    prefix: Key,
    from: Revision,
) -> BoxStream<'static, Result<ChangeSet, Error>> {
    let watch = Watch { shared, prefix, delivered: from, state: State::Start };
    stream::unfold(watch, |mut watch| async move {
        let item = watch.next().await?;
        if item.is_err() {
            watch.state = State::Over;
        }
        Some((item, watch))
    })
    .boxed()
}

impl<B: Backend> Watch<B> {
    async fn next(&mut self) -> Option<Result<ChangeSet, Error>> {
        loop {
            match &mut self.state {
                State::Start => {
                    // Subscribed before the log is read, so that nothing falls between the two.
                    let then = self.shared.hub.subscribe(self.prefix.clone());
                    match self.catch_up(then.since) {
                        Ok(catch_up) => self.state = State::CatchUp { catch_up, ready: Vec::new().into_iter(), then },
                        Err(error) => return Some(Err(error)),
                    }
                }
                State::CatchUp { catch_up, ready, .. } => {
                    if let Some(set) = ready.next() {
                        self.delivered = set.revision;
                        return Some(Ok(set));
                    }
                    match catch_up.read(&self.shared, &self.prefix, self.delivered) {
                        Ok(Some(sets)) => *ready = sets.into_iter(),
                        Ok(None) => self.go_live(),
                        Err(error) => return Some(Err(error)),
                    }
                }
                State::Live(subscription) => {
                    let Some(set) = subscription.next().await else {
                        self.state = State::Start;
                        continue;
                    };
                    if set.revision > self.delivered {
                        self.delivered = set.revision;
                        return Some(Ok(set));
                    }
                }
                State::Over => return None,
            }
        }
    }

    fn catch_up(&self, until: Revision) -> Result<CatchUp, Error> {
        self.shared.check_floor(self.delivered)?;
        if self.delivered >= until {
            return Ok(CatchUp::new(None, until, self.delivered));
        }
        // The chunk that holds the next revision may be named after an earlier one.
        let next = log::chunk_key(self.delivered.next(), 0);
        let whole = log::whole();
        let before = KeyRange { start: whole.start.clone(), end: Some(log::chunk_key(self.delivered.next(), 1)) };
        let start = self.shared.backend.last(&before).map_err(|error| closed(&error))?.map_or(next, |(key, _)| key);
        let rest = Some(KeyRange { start, end: whole.end });
        Ok(CatchUp::new(rest, until, self.delivered))
    }

    fn go_live(&mut self) {
        let State::CatchUp { then, .. } = std::mem::replace(&mut self.state, State::Over) else { return };
        self.delivered = self.delivered.max(then.since);
        self.state = State::Live(then);
    }
}

impl CatchUp {
    fn new(rest: Option<KeyRange>, until: Revision, delivered: Revision) -> Self {
        CatchUp { rest, until, read_up_to: delivered, collector: Collector::default() }
    }

    /// The next commits, perhaps none of interest; `None` at the end.
    fn read<B: Backend>(
        &mut self,
        shared: &Shared<B>,
        prefix: &Key,
        delivered: Revision,
    ) -> Result<Option<Vec<ChangeSet>>, Error> {
        let Some(range) = self.rest.take() else { return Ok(None) };
        let chunks = shared.backend.scan(&range, CHUNKS_AT_A_TIME).map_err(|error| closed(&error))?;
        let is_last = chunks.len() < CHUNKS_AT_A_TIME;
        let last_key = chunks.last().map(|(key, _)| key.clone());
        let mut sets = Vec::new();
        let mut is_past_end = false;
        let mut read_up_to = self.read_up_to;
        for (key, chunk) in chunks {
            for (revision, change) in log::decode(&key, chunk)? {
                read_up_to = read_up_to.max(revision);
                is_past_end |= revision > self.until;
                let is_wanted = revision > delivered && revision <= self.until;
                if is_wanted && change.key.as_bytes().starts_with(prefix.as_bytes()) {
                    sets.extend(self.collector.push(revision, change));
                }
            }
        }
        // Compaction may have overtaken the reading; what it removed would be missing without a sign.
        shared.check_floor(self.read_up_to)?;
        self.read_up_to = read_up_to;
        match last_key {
            Some(last) if !is_last && !is_past_end => self.rest = Some(range.after(&last)),
            _ => sets.extend(self.collector.finish()),
        }
        Ok(Some(sets))
    }
}

impl<B> Shared<B> {
    fn check_floor(&self, delivered: Revision) -> Result<(), Error> {
        let floor = Revision(self.floor.load(Ordering::Acquire));
        if delivered < floor { Err(Error::Compacted { asked: delivered, floor }) } else { Ok(()) }
    }
}
