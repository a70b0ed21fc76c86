//! Tells how a run goes on: what was before, then what happens, until it ends.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::watch_execution_response::Event;
use steward_proto::store::v1::ExecutionRecord;
use tokio::sync::mpsc;

use super::error::Error;
use super::executions::{line, number, result, sequence_of};
use super::keys;
use super::parts::Replication;
use super::progress::Figures;
use super::retention::read_run;
use super::run_log::{has_ended, last_sequence};
use crate::store::tx;
use crate::store::{Key, KeyRange};

/// The shortest time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many records are read together.
const RECORDS_AT_ONCE: u64 = 128;
/// How many events wait for a slow watcher.
const WAITING_EVENTS: usize = 64;

/// What a watch tells.
pub(super) type Events = BoxStream<'static, Result<api::WatchExecutionResponse, Error>>;

/// Nobody listens any more.
struct Unheard;

/// One watch.
struct Watch {
    replication: Replication,
    id: String,
    events: mpsc::Sender<Result<api::WatchExecutionResponse, Error>>,
    /// Up to which number everything was told.
    told: u64,
    state: Option<api::Execution>,
    figures: HashMap<u64, Figures>,
}

impl Replication {
    /// How a run goes on behind some number of its results and log.
    pub(super) async fn watch_execution(&self, id: &str, after_sequence: i64) -> Result<Events, Error> {
        let Ok(told) = u64::try_from(after_sequence) else {
            return Err(Error::invalid("after_sequence", "is negative"));
        };
        read_run(self, id).await?;
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        let watch =
            Watch { replication: self.clone(), id: id.to_owned(), events, told, state: None, figures: HashMap::new() };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let events = watch.events.clone();
            let error = tokio::select! {
                () = shutdown.cancelled() => Some(Error::ShuttingDown),
                () = events.closed() => None,
                result = watch.run() => result.err(),
            };
            if let Some(error) = error {
                // Whoever has gone away needs no error.
                let _ = events.try_send(Err(error));
            }
        });
        let stream = stream::unfold(receiver, |mut receiver| async move {
            let event = receiver.recv().await?;
            Some((event, receiver))
        });
        Ok(stream.boxed())
    }
}

impl Watch {
    async fn run(mut self) -> Result<(), Error> {
        let key = keys::execution(&self.id);
        loop {
            let seen = self.replication.store.revision();
            let record = match read_run(&self.replication, &self.id).await {
                Ok(record) => record,
                // It was deleted.
                Err(Error::ExecutionNotFound(_)) => return Ok(()),
                Err(error) => return Err(error),
            };
            let is_told = self.tell(&record).await?;
            if is_told.is_err() || has_ended(&record) {
                return Ok(());
            }
            // How far artifacts are is in no record.
            if self.replication.runs.of(&self.id).is_none() {
                let mut changes = self.replication.store.watch(key.clone(), seen);
                changes.next().await.transpose()?;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Tells what is new.
    async fn tell(&mut self, record: &ExecutionRecord) -> Result<Result<(), Unheard>, Error> {
        self.replication.store.settled().await?;
        let is_first = self.state.is_none();
        let shown = self.replication.shown_execution(record);
        // The last thing to be told is how it ended.
        if (is_first || (self.state.as_ref() != Some(&shown) && !has_ended(record)))
            && self.send(self.told, Event::State(shown.clone())).await.is_err()
        {
            return Ok(Err(Unheard));
        }
        self.state = Some(shown.clone());
        while self.told < last_sequence(record) {
            let up_to = last_sequence(record).min(self.told + RECORDS_AT_ONCE);
            for (sequence, event) in self.recorded(up_to).await? {
                if self.send(sequence, event).await.is_err() {
                    return Ok(Err(Unheard));
                }
            }
            self.told = up_to;
        }
        if has_ended(record) {
            return Ok(self.send(self.told, Event::State(shown)).await);
        }
        Ok(self.tell_live().await)
    }

    /// The results and lines behind what was told, up to a number.
    async fn recorded(&self, up_to: u64) -> Result<Vec<(u64, Event)>, Error> {
        let store = &*self.replication.store;
        let limit = usize::try_from(RECORDS_AT_ONCE).unwrap_or(usize::MAX);
        let range = |key: fn(&str, u64) -> Key| KeyRange {
            start: key(&self.id, self.told + 1),
            end: Some(key(&self.id, up_to + 1)),
        };
        let mut events = Vec::new();
        for (key, value) in tx::scan(store, range(keys::result), limit).await? {
            let sequence = sequence_of(&key);
            events.push((sequence, Event::Artifact(result(sequence, tx::decode(&key, &value)?))));
        }
        for (key, value) in tx::scan(store, range(keys::log_line), limit).await? {
            let sequence = sequence_of(&key);
            events.push((sequence, Event::Log(line(sequence, tx::decode(&key, &value)?))));
        }
        events.sort_by_key(|(sequence, _)| *sequence);
        Ok(events)
    }

    /// Tells how far the artifacts are that are under way.
    async fn tell_live(&mut self) -> Result<(), Unheard> {
        let Some(live) = self.replication.runs.of(&self.id) else { return Ok(()) };
        let mut figures = HashMap::new();
        for (place, artifact) in live.artifacts() {
            let now = artifact.figures();
            if self.figures.get(&place) != Some(&now) {
                let shown = api::ArtifactResult {
                    artifact: artifact.artifact.clone(),
                    version: artifact.version.clone(),
                    digest: now.digest.clone(),
                    size: number(now.size),
                    sent: number(now.sent),
                    resumed_from: number(now.resumed_from),
                    mounted: i32::try_from(now.mounted).unwrap_or(i32::MAX),
                    ..api::ArtifactResult::default()
                };
                self.send(self.told, Event::Artifact(shown)).await?;
            }
            figures.insert(place, now);
        }
        self.figures = figures;
        Ok(())
    }

    async fn send(&self, sequence: u64, event: Event) -> Result<(), Unheard> {
        let answer = api::WatchExecutionResponse { sequence: number(sequence), event: Some(event) };
        self.events.send(Ok(answer)).await.map_err(|_| Unheard)
    }
}
