//! How far uploads of blobs to targets have come, in the store.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::BlobSessionRecord;

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::run_log::load_own;
use super::target::{Session, Sessions, TargetError};
use crate::store::key::Table;
use crate::store::tx;
use crate::store::{Key, KeyRange, Step};

/// How long an upload is kept that nothing was sent to.
const STALE_AFTER: Duration = Duration::from_hours(7 * 24);
/// How many records one commit removes.
const REMOVED_AT_ONCE: usize = 64;
/// The longest location that is kept, in bytes.
const MAX_LOCATION_BYTES: usize = 3_500;

/// The uploads of a run.
pub(super) struct StoreSessions {
    pub(super) replication: Replication,
    pub(super) task_key: String,
    pub(super) execution: String,
    pub(super) fence: String,
}

impl StoreSessions {
    /// Changes a record, if the run is still the one that works on the task.
    async fn change(&self, key: &Key, record: Option<&BlobSessionRecord>) -> Result<(), TargetError> {
        let change = self.replication.decide(&self.execution, |mut tx| async move {
            if load_own(&mut tx, &self.execution, &self.fence).await?.is_none() {
                return Ok(Step::Answer(false));
            }
            match record {
                Some(record) => tx.put(key.clone(), record),
                None => tx.delete(key.clone()),
            }
            Ok(tx.answer(true))
        });
        match change.await {
            Ok((true, _)) => Ok(()),
            Ok((false, _)) => Err(TargetError::Cancelled),
            Err(error) => Err(unstored(&error)),
        }
    }
}

fn unstored(error: &Error) -> TargetError {
    TargetError::Source(format!("how far an upload is cannot be recorded: {error}"))
}

#[async_trait]
impl Sessions for StoreSessions {
    async fn load(&self, place: &str, digest: &str) -> Result<Option<Session>, TargetError> {
        let key = keys::blob_session(&self.task_key, place, digest);
        let record: Option<BlobSessionRecord> =
            tx::read(&*self.replication.store, &key).await.map_err(|error| unstored(&error.into()))?;
        Ok(record.map(|record| Session { location: record.location, offset: record.offset }))
    }

    async fn save(&self, place: &str, digest: &str, session: &Session) -> Result<(), TargetError> {
        let key = keys::blob_session(&self.task_key, place, digest);
        if session.location.len() > MAX_LOCATION_BYTES {
            // Then a crash costs the whole blob, and nothing else.
            return self.change(&key, None).await;
        }
        let record = BlobSessionRecord {
            location: session.location.clone(),
            offset: session.offset,
            touch_us: self.replication.now_us(),
        };
        self.change(&key, Some(&record)).await
    }

    async fn clear(&self, place: &str, digest: &str) -> Result<(), TargetError> {
        self.change(&keys::blob_session(&self.task_key, place, digest), None).await
    }
}

impl Replication {
    /// Forgets the uploads of a task.
    pub(super) async fn clear_sessions(&self, task_key: &str) -> Result<(), Error> {
        loop {
            let range = KeyRange::prefix(&keys::blob_sessions_of(task_key));
            let found = tx::scan(&*self.store, range, REMOVED_AT_ONCE).await?;
            if found.is_empty() {
                return Ok(());
            }
            self.remove(found.into_iter().map(|(key, _)| key).collect()).await?;
        }
    }

    /// Forgets uploads that nothing was sent to for long.
    pub(super) async fn sweep_sessions(&self) -> Result<(), Error> {
        let stale = u64::try_from(STALE_AFTER.as_micros()).unwrap_or(u64::MAX);
        let before_us = self.now_us().saturating_sub(stale);
        let mut range = KeyRange::prefix(&Key::table(Table::ReplicaBlobSession));
        loop {
            let page = self.store.scan(range.clone(), REMOVED_AT_ONCE).await?;
            let mut old = Vec::new();
            for (key, record) in &page.records {
                if tx::decode::<BlobSessionRecord>(key, &record.value)?.touch_us < before_us {
                    old.push(key.clone());
                }
            }
            if !old.is_empty() {
                self.remove(old).await?;
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { return Ok(()) };
            range = range.after(&last);
        }
    }
}
