//! What is known of runs: how they stand, what their artifacts came to, and their logs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::Timestamp;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::ReplicaType;
use steward_proto::store::v1::{ArtifactResultRecord, ExecutionLogRecord, ExecutionRecord, ReplicaTaskRecord};

use super::deletes::run_place;
use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::queue::{Cause, TaskId};
use super::retention::read_run;
use super::run_log::{has_ended, outcome, status};
use crate::auth::Grants;
use crate::store::key::{KeyReader, Table};
use crate::store::tx;
use crate::store::{Key, KeyRange};

/// How many things a page has if nobody says.
const DEFAULT_PAGE: usize = 100;
/// How many it has at most.
const MAX_PAGE: usize = 1_000;
/// The longest token of a page, in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;

/// Some things, the token of the next page, and how many there are altogether.
pub(super) struct Listed<T> {
    pub(super) found: Vec<T>,
    pub(super) next: String,
    pub(super) total: usize,
}

/// How many things a page is to have.
pub(super) fn page_size(wanted: i32) -> Result<usize, Error> {
    match usize::try_from(wanted) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(MAX_PAGE)),
        Err(_) => Err(Error::invalid("page_size", "is negative")),
    }
}

fn token_of(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// The place that a token names; nothing: the start.
fn place_of<T>(token: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let decoded = Some(token).filter(|token| token.len() <= MAX_TOKEN_BYTES);
    let decoded = decoded.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok());
    let place = decoded.and_then(|decoded: Vec<u8>| parse(std::str::from_utf8(&decoded).ok()?));
    place.map(Some).ok_or_else(|| Error::invalid("page_token", "is not one that this list gave"))
}

impl Replication {
    /// How a run stands at this moment.
    pub(super) async fn show_execution(&self, id: &str) -> Result<api::Execution, Error> {
        let record = read_run(self, id).await?;
        self.store.settled().await?;
        Ok(self.shown_execution(&record))
    }

    /// A run as the protocol has it, with what is not in its record yet.
    pub(super) fn shown_execution(&self, record: &ExecutionRecord) -> api::Execution {
        let mut shown = execution(record);
        if let Some(live) = self.runs.of(&record.id).filter(|_| !has_ended(record)) {
            shown.sent_bytes = number(live.sent());
            shown.total_bytes = shown.total_bytes.max(live.total());
            let under_way: i64 = live.artifacts().iter().map(|(_, live)| number(live.figures().sent)).sum();
            shown.replicated_bytes = shown.replicated_bytes.saturating_add(under_way);
        }
        shown
    }

    /// The latest run of a task; nothing: it has never run.
    pub(super) async fn latest_execution(&self, task: &TaskId) -> Result<Option<api::Execution>, Error> {
        let head = self.task_head(task).await?;
        if head.last_execution.is_empty() {
            return Ok(None);
        }
        match self.show_execution(&head.last_execution).await {
            Ok(execution) => Ok(Some(execution)),
            Err(Error::ExecutionNotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Queues a run of a task that runs once.
    pub(super) async fn execute_run_once(&self, task: &TaskId) -> Result<ExecutionRecord, Error> {
        let head = self.task_head(task).await?;
        if ReplicaType::try_from(head.replica_type) != Ok(ReplicaType::RunOnce) {
            return Err(Error::NotRunOnce(task.name.clone()));
        }
        self.queue_execution(task, Cause::Manual).await
    }

    async fn task_head(&self, task: &TaskId) -> Result<ReplicaTaskRecord, Error> {
        let key = keys::task(&task.project, &task.repository, &task.name);
        let head = tx::read(&*self.store, &key).await?;
        head.ok_or_else(|| Error::TaskNotFound(task.name.clone()))
    }

    /// The runs of some tasks that may be seen, the newest first.
    pub(super) async fn list_executions(
        &self,
        request: &api::ListExecutionsRequest,
        grants: &Grants,
    ) -> Result<Listed<api::Execution>, Error> {
        let size = page_size(request.page_size)?;
        let after = place_of(&request.page_token, |place| {
            let (time, id) = place.split_once(' ')?;
            Some((time.parse::<u64>().ok()?, id.to_owned()))
        })?;
        let mut places = Vec::new();
        for range in self.places_of(request).await? {
            let found = tx::scan(&*self.store, KeyRange::prefix(&range), usize::MAX).await?;
            places.extend(found.iter().filter_map(|(key, _)| run_place(key)));
        }
        places.sort_by(|a, b| b.cmp(a));
        let mut listed = Listed { found: Vec::new(), next: String::new(), total: 0 };
        let mut last = String::new();
        for place in &places {
            let is_behind = after.as_ref().is_none_or(|after| place < after);
            let is_shown = is_behind && listed.found.len() < size;
            // Without a filter nothing has to be read to be counted.
            if is_shown || !request.statuses.is_empty() || !grants.are_everything() {
                let record: Option<ExecutionRecord> = tx::read(&*self.store, &keys::execution(&place.1)).await?;
                let is_wanted = |record: &ExecutionRecord| {
                    let has_status = request.statuses.is_empty() || request.statuses.contains(&record.status);
                    has_status && TaskId::of_run(record).is_seen(grants)
                };
                let Some(record) = record.filter(is_wanted) else { continue };
                if is_shown {
                    listed.found.push(self.shown_execution(&record));
                    last = format!("{} {}", place.0, place.1);
                }
            }
            listed.total += 1;
            // Nobody is told of a further one that they may not see.
            if is_behind && !is_shown && listed.next.is_empty() {
                listed.next = token_of(&last);
            }
        }
        self.store.settled().await?;
        Ok(listed)
    }

    /// The ranges that have the runs of some tasks in the order of their times.
    async fn places_of(&self, request: &api::ListExecutionsRequest) -> Result<Vec<Key>, Error> {
        let tasks = match (&*request.project, &*request.repository, &*request.name) {
            ("", "", "") => return Ok(vec![Key::table(Table::ReplicaExecutionTime)]),
            ("", _, _) => return Err(Error::Missing("project")),
            (project, "", "") => keys::tasks_of_project(project),
            (_, "", _) => return Err(Error::Missing("repository")),
            (project, repository, "") => keys::tasks_of(project, repository),
            (project, repository, name) => keys::task(project, repository, name),
        };
        let mut ranges = Vec::new();
        for (key, value) in tx::scan(&*self.store, KeyRange::prefix(&tasks), usize::MAX).await? {
            let task: ReplicaTaskRecord = tx::decode(&key, &value)?;
            ranges.push(keys::executions_of(&task.key));
        }
        Ok(ranges)
    }

    /// What the artifacts of a run came to.
    pub(super) async fn list_results(
        &self,
        request: &api::ListArtifactResultsRequest,
    ) -> Result<Listed<api::ArtifactResult>, Error> {
        let record = read_run(self, &request.execution_id).await?;
        let wanted = |found: &ArtifactResultRecord| {
            request.outcomes.is_empty() || request.outcomes.contains(&outcome(found).into())
        };
        let counted = request.outcomes.is_empty().then_some(record.results);
        let range = keys::results_of(&record.id);
        self.list_numbered(&range, request.page_size, &request.page_token, counted, wanted, result).await
    }

    /// The log of a run.
    pub(super) async fn list_log(&self, request: &api::ListLogLinesRequest) -> Result<Listed<api::LogLine>, Error> {
        let record = read_run(self, &request.execution_id).await?;
        let range = keys::log_of(&record.id);
        let counted = Some(record.log_lines);
        self.list_numbered(&range, request.page_size, &request.page_token, counted, |_| true, line).await
    }

    /// Records of a run in the order of their numbers. If `counted` says how many there are, they need not be counted.
    async fn list_numbered<R: prost::Message + Default, T>(
        &self,
        prefix: &Key,
        wanted_size: i32,
        token: &str,
        counted: Option<u64>,
        is_wanted: impl Fn(&R) -> bool,
        convert: impl Fn(u64, R) -> T,
    ) -> Result<Listed<T>, Error> {
        let size = page_size(wanted_size)?;
        let after = place_of(token, |place| place.parse::<u64>().ok())?.unwrap_or(0);
        let mut range = KeyRange::prefix(prefix);
        if counted.is_some() {
            range = range.after(&Key::from_bytes([prefix.as_bytes(), &after.to_be_bytes()].concat()));
        }
        let mut listed = Listed { found: Vec::new(), next: String::new(), total: 0 };
        let mut last_sequence = 0;
        'all: loop {
            let page = self.store.scan(range.clone(), DEFAULT_PAGE).await?;
            for (key, value) in &page.records {
                let found: R = tx::decode(key, &value.value)?;
                if !is_wanted(&found) {
                    continue;
                }
                listed.total += 1;
                let sequence = sequence_of(key);
                if sequence <= after {
                    continue;
                }
                if listed.found.len() == size {
                    if listed.next.is_empty() {
                        listed.next = token_of(&last_sequence.to_string());
                    }
                    if counted.is_some() {
                        break 'all;
                    }
                    continue;
                }
                last_sequence = sequence;
                listed.found.push(convert(sequence, found));
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { break };
            range = range.after(&last);
        }
        if let Some(counted) = counted {
            listed.total = usize::try_from(counted).unwrap_or(usize::MAX);
        }
        self.store.settled().await?;
        Ok(listed)
    }
}

/// The number of a result or line, from its key.
pub(super) fn sequence_of(key: &Key) -> u64 {
    let mut reader = KeyReader::new(key);
    reader.text().and_then(|_| reader.number()).unwrap_or(0)
}

/// A number as the protocol has it.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as the protocol has it; nothing: it is not known.
fn time(us: u64) -> Option<Timestamp> {
    if us == 0 {
        return None;
    }
    let nanos = i32::try_from(us % 1_000_000 * 1_000).unwrap_or(0);
    Some(Timestamp { seconds: number(us / 1_000_000), nanos })
}

/// A run as its record has it.
pub(super) fn execution(record: &ExecutionRecord) -> api::Execution {
    api::Execution {
        id: record.id.clone(),
        task_key: record.task_key.clone(),
        task_name: format!("{}/{}/{}", record.project, record.repository, record.name),
        status: status(record).into(),
        start_time: time(record.start_us),
        end_time: time(record.end_us),
        error_reason: record.error_reason.clone(),
        replicated_bytes: number(record.replicated_bytes),
        total_bytes: record.total_bytes.map_or(-1, number),
        sent_bytes: number(record.sent_bytes),
        overview: Some(api::Overview {
            success: number(record.success),
            failed: number(record.failed),
            conflict: number(record.conflict),
            file_success: number(record.file_success),
            file_failed: number(record.file_failed),
        }),
        attempt: record.attempt,
        trigger: record.trigger.clone(),
    }
}

/// What an artifact came to.
pub(super) fn result(sequence: u64, record: ArtifactResultRecord) -> api::ArtifactResult {
    api::ArtifactResult {
        sequence: number(sequence),
        outcome: outcome(&record).into(),
        artifact: record.artifact,
        version: record.version,
        digest: record.digest,
        size: number(record.size),
        sent: number(record.sent),
        resumed_from: number(record.resumed_from),
        mounted: i32::try_from(record.mounted).unwrap_or(i32::MAX),
        error: record.error,
        end_time: time(record.end_us),
        target_versions: record.target_versions,
    }
}

/// A line of the log.
pub(super) fn line(sequence: u64, record: ExecutionLogRecord) -> api::LogLine {
    api::LogLine { sequence: number(sequence), time: time(record.time_us), level: record.level, text: record.text }
}

#[cfg(test)]
#[path = "executions_test.rs"]
mod tests;
