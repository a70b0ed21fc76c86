//! Tells by metrics how tasks are: when they last succeeded, how often they failed, how far behind they are, and since
//! when nothing was heard of them.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use steward_proto::replication::v1::ReplicaType;
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::realtime_engine::concerns;
use super::source::Source;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::key::Table;
use crate::store::tx;
use crate::store::{Key, KeyRange};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(15);
/// How many tasks have metrics of their own: each is several series.
const MAX_TASKS: usize = 1_000;
/// How many may have had them since the start: series stay when their tasks are gone.
const MAX_NAMES: usize = 4 * MAX_TASKS;

/// Tells how tasks are.
pub(super) struct Alerts {
    replication: Replication,
    /// The tasks that it has told of.
    told: HashSet<[String; 3]>,
    /// Those that it has ever told of.
    known: HashSet<[String; 3]>,
}

impl Alerts {
    pub(super) fn new(replication: &Replication) -> Self {
        describe();
        Alerts { replication: replication.clone(), told: HashSet::new(), known: HashSet::new() }
    }
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("steward_replication_executions_running", "Replication runs that are under way.");
    describe_counter!("steward_replication_executions_total", "Replication runs that have ended, by result.");
    describe_counter!("steward_replication_sent_bytes_total", "Bytes that replication runs have sent.");
    describe_gauge!("steward_replication_last_success_timestamp_seconds", "When a task last succeeded; 0: never.");
    describe_gauge!("steward_replication_failures", "How many runs of a task have failed since it last succeeded.");
    describe_gauge!(
        "steward_replication_lag_seconds",
        "How old the oldest change is that a task has not brought to its target."
    );
    describe_gauge!("steward_replication_silence_seconds", "How long ago the latest run of a task ended; 0: one runs.");
    describe_gauge!("steward_replication_running", "Whether a run of a task is queued or under way.");
}

/// What the metrics of a task say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Told {
    last_success: f64,
    failures: f64,
    lag: f64,
    silence: f64,
    running: f64,
}

#[async_trait]
impl Engine for Alerts {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication-alerts"
    }

    fn wakes_on(&self) -> Key {
        // It looks now and then: a table that nobody changes often.
        Key::table(Table::ReplicaDeletedExecution)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let tasks = tx::scan(&*self.replication.store, KeyRange::prefix(&Key::table(Table::ReplicaTask)), MAX_TASKS);
        let mut told = HashSet::new();
        for (key, value) in tasks.await? {
            let task: ReplicaTaskRecord = tx::decode(&key, &value)?;
            let labels = [task.project.clone(), task.repository.clone(), task.name.clone()];
            if !self.known.contains(&labels) {
                if self.known.len() >= MAX_NAMES {
                    continue;
                }
                self.known.insert(labels.clone());
            }
            tell(&labels, self.look(&task).await?);
            told.insert(labels);
        }
        for gone in self.told.difference(&told) {
            tell(gone, Told::default());
        }
        self.told = told;
        Ok(Some(self.replication.clock.now().plus(INTERVAL)))
    }
}

impl Alerts {
    async fn look(&self, task: &ReplicaTaskRecord) -> Result<Told, Error> {
        let now_us = self.replication.now_us();
        let is_running = !task.active_execution.is_empty();
        let last: Option<ExecutionRecord> = if task.last_execution.is_empty() {
            None
        } else {
            tx::read(&*self.replication.store, &keys::execution(&task.last_execution)).await?
        };
        let ended_us = last.as_ref().map_or(task.create_us, |last| last.end_us);
        let under_way = last.filter(|last| is_running && last.to_stamp != 0).map(|last| last.from_stamp);
        let done_us = under_way.into_iter().chain(task.undone_stamp).fold(task.change_stamp, u64::min);
        Ok(Told {
            last_success: seconds(task.last_success_us),
            failures: number(task.failures),
            lag: seconds(self.lag_us(task, done_us, now_us).await),
            silence: if is_running { 0.0 } else { seconds(now_us.saturating_sub(ended_us)) },
            running: f64::from(u8::from(is_running)),
        })
    }

    /// The age of the oldest change behind a stamp that concerns a task in real time.
    async fn lag_us(&self, task: &ReplicaTaskRecord, done_us: u64, now_us: u64) -> u64 {
        if ReplicaType::try_from(task.replica_type) != Ok(ReplicaType::RealTime) || !task.enabled {
            return 0;
        }
        let source = Source::new(self.replication.artifacts.clone(), &task.project, &task.repository);
        match source.changes(done_us).await {
            Ok(page) => {
                let oldest = page.changes.iter().find(|change| concerns(change, task));
                let oldest = oldest.and_then(|change| u64::try_from(change.stamp).ok());
                oldest.map_or(0, |stamp| now_us.saturating_sub(stamp))
            }
            // Those behind the stamp are not even kept any more.
            Err(_) => now_us.saturating_sub(done_us),
        }
    }
}

fn tell([project, repository, task]: &[String; 3], told: Told) {
    let labels = [("project", project.clone()), ("repository", repository.clone()), ("task", task.clone())];
    metrics::gauge!("steward_replication_last_success_timestamp_seconds", &labels).set(told.last_success);
    metrics::gauge!("steward_replication_failures", &labels).set(told.failures);
    metrics::gauge!("steward_replication_lag_seconds", &labels).set(told.lag);
    metrics::gauge!("steward_replication_silence_seconds", &labels).set(told.silence);
    metrics::gauge!("steward_replication_running", &labels).set(told.running);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; microseconds are exact enough in it")]
fn number(number: u64) -> f64 {
    number as f64
}

fn seconds(us: u64) -> f64 {
    number(us) / 1e6
}
