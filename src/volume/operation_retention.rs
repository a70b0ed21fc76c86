//! The loop that forgets operations that ended long ago, and those of clones that are gone.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::VolumeOperationRecord;
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::record_of;
use super::operation::{State, has_ended, state};
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How often it looks.
const INTERVAL: Duration = Duration::from_mins(10);
/// How many operations one activation forgets; then others have their turn.
const BATCH: usize = 1000;

/// Forgets old operations.
pub struct OperationRetention {
    catalog: Catalog,
}

impl OperationRetention {
    /// For this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        OperationRetention { catalog }
    }
}

#[async_trait]
impl Engine for OperationRetention {
    type Error = Error;

    fn name(&self) -> &'static str {
        "volume_operation_retention"
    }

    // Nothing but time makes operations old, so it looks now and then.
    fn wakes_on(&self) -> Key {
        keys::operation(Uuid::nil())
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let forgotten = self.catalog.forget_operations().await?;
        let rest = if forgotten >= BATCH { Duration::ZERO } else { INTERVAL };
        Ok(Some(self.catalog.clock.now().plus(rest)))
    }
}

impl Catalog {
    /// Forgets operations that nobody asks for any more. Returns how many.
    pub(super) async fn forget_operations(&self) -> Result<usize, Error> {
        let retention = u64::try_from(self.settings.operation_retention.as_micros()).unwrap_or(u64::MAX);
        // Zero: they are kept for ever.
        let cutoff = if retention == 0 { 0 } else { self.now_us().saturating_sub(retention) };
        let range = KeyRange::prefix(&Key::table(Table::VolumeOperationTime));
        let mut forgotten = 0;
        for (key, _) in tx::scan(&*self.store, range, usize::MAX).await? {
            // What began after the time did not end before it.
            if forgotten >= BATCH || keys::first_number(&key).is_none_or(|create_us| create_us >= cutoff) {
                break;
            }
            let Some(uuid) = keys::timed_uuid(&key) else { continue };
            let record: Option<VolumeOperationRecord> = tx::read(&*self.store, &keys::operation(uuid)).await?;
            let Some(record) = record else { continue };
            if self.is_over(&record, cutoff).await? {
                self.decide(uuid, |mut tx| {
                    let record = &record;
                    async move {
                        if tx.operation(uuid).await?.as_ref() == Some(record) {
                            tx.remove_operation(record)?;
                        }
                        Ok(tx.answer(()))
                    }
                })
                .await?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    async fn is_over(&self, record: &VolumeOperationRecord, cutoff: u64) -> Result<bool, Error> {
        if state(record) == State::MetaInstalled {
            // It waits for a flatten that can come no more.
            return Ok(record_of(&*self.store, record.target_id).await?.is_none());
        }
        Ok(has_ended(record) && record.end_us < cutoff)
    }
}
