//! Passwords of tasks and clusters, sealed anew with another key.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use steward_proto::replication::v1::{Config, target};
use steward_proto::store::v1::{ClusterRecord, ReplicaTaskRecord};

use super::clusters::secret_key_context;
use super::error::Error;
use super::parts::Replication;
use super::passwords::Owner;
use super::queue::TaskId;
use super::url::TargetUrl;
use crate::error::Failure;
use crate::secrets::{Holder, SealedAnew};
use crate::store::{Key, KeyRange, Table};

/// How many records are read at a time.
const PAGE: usize = 256;
/// How many are changed at a time: they share the flushes of the store.
const AT_A_TIME: usize = 32;
/// How often a task is looked at that is changed all the while.
const ATTEMPTS: u32 = 20;

/// What became of the secrets of a record.
enum Outcome {
    /// It has so many, and all are sealed with the present key.
    Sealed(u64),
    /// One of them can be opened with no key.
    Unreadable(String),
    /// What belongs to the record was changed meanwhile.
    Changed,
}

#[async_trait]
impl Holder for Replication {
    async fn seal_anew(&self) -> Result<SealedAnew, Failure> {
        let mut anew = SealedAnew::default();
        for table in [Table::ReplicaTask, Table::Cluster] {
            let mut range = KeyRange::prefix(&Key::table(table));
            loop {
                let page = self.store.scan(range.clone(), PAGE).await?;
                let Some((last, _)) = page.records.last() else { break };
                range = range.after(last);
                let keys = page.records.into_iter().map(|(key, _)| key);
                let sealing = stream::iter(keys.map(|key| self.seal_record(table, key))).buffer_unordered(AT_A_TIME);
                let outcomes: Vec<_> = sealing.try_collect().await?;
                for outcome in outcomes {
                    note(&mut anew, outcome);
                }
                if !page.has_more {
                    break;
                }
            }
        }
        self.store.settled().await?;
        Ok(anew)
    }
}

fn note(anew: &mut SealedAnew, outcome: Outcome) {
    match outcome {
        Outcome::Sealed(count) => anew.sealed += count,
        Outcome::Unreadable(whose) => anew.note_unreadable(whose),
        Outcome::Changed => {}
    }
}

impl Replication {
    async fn seal_record(&self, table: Table, key: Key) -> Result<Outcome, Error> {
        for _ in 0..ATTEMPTS {
            let outcome = match table {
                Table::Cluster => self.seal_cluster(&key).await?,
                _ => self.seal_task(&key).await?,
            };
            if !matches!(outcome, Outcome::Changed) {
                return Ok(outcome);
            }
        }
        Err(Error::Internal("what a task is to do cannot be read".to_owned()))
    }

    async fn seal_task(&self, key: &Key) -> Result<Outcome, Error> {
        let decided = self.decide("a task", |mut tx| async move {
            let Some(mut record) = tx.get::<ReplicaTaskRecord>(key).await? else {
                return Ok(tx.answer(Outcome::Sealed(0)));
            };
            if record.sealed_password.is_empty() || self.secrets.is_current(&record.sealed_password) {
                return Ok(tx.answer(Outcome::Sealed(u64::from(!record.sealed_password.is_empty()))));
            }
            let Some(config) = self.config_of(&record).await? else { return Ok(tx.answer(Outcome::Changed)) };
            let place = registry_of(&config).and_then(TargetUrl::place_of);
            let context = place.map(|place| Owner::Task(&record.key).context_at(&place));
            let Some(anew) = self.anew(context.as_deref(), &record.sealed_password)? else {
                return Ok(tx.answer(Outcome::Unreadable(format!("task {}", TaskId::of(&record)))));
            };
            record.sealed_password = anew;
            tx.put(key.clone(), &record);
            Ok::<_, Error>(tx.answer(Outcome::Sealed(1)))
        });
        Ok(decided.await?.0)
    }

    async fn seal_cluster(&self, key: &Key) -> Result<Outcome, Error> {
        let decided = self.decide("a cluster", |mut tx| async move {
            let Some(mut record) = tx.get::<ClusterRecord>(key).await? else {
                return Ok(tx.answer(Outcome::Sealed(0)));
            };
            let place = TargetUrl::place_of(&record.url);
            let password = place.map(|place| Owner::Cluster(&record.id).context_at(&place));
            let secret_key = Some(secret_key_context(&record.id));
            let (mut count, mut is_changed) = (0, false);
            let secrets = [(password, &mut record.sealed_password), (secret_key, &mut record.sealed_secret_key)];
            for (context, sealed) in secrets {
                if sealed.is_empty() {
                    continue;
                }
                count += 1;
                if self.secrets.is_current(sealed) {
                    continue;
                }
                let Some(anew) = self.anew(context.as_deref(), sealed)? else {
                    return Ok(tx.answer(Outcome::Unreadable(format!("cluster {}", record.name))));
                };
                (*sealed, is_changed) = (anew, true);
            }
            if is_changed {
                tx.put(key.clone(), &record);
            }
            Ok::<_, Error>(tx.answer(Outcome::Sealed(count)))
        });
        Ok(decided.await?.0)
    }

    /// The same secret under the present key; `None`: it cannot be opened.
    fn anew(&self, context: Option<&str>, sealed: &[u8]) -> Result<Option<Bytes>, Error> {
        let opened = context.and_then(|context| Some((context, self.secrets.open_sealed(context, sealed).ok()?)));
        let Some((context, secret)) = opened else { return Ok(None) };
        let anew = self.secrets.seal(context, &secret);
        let anew = anew.map_err(|error| Error::Internal(format!("a secret cannot be encrypted: {error}")))?;
        Ok(Some(anew.into()))
    }
}

fn registry_of(config: &Config) -> Option<&str> {
    match config.target.as_ref()?.target.as_ref()? {
        target::Target::Registry(registry) => Some(&registry.registry),
        target::Target::Cluster(_) => None,
    }
}
