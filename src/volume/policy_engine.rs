//! The loops that make the snapshots of policies, delete those that no rule keeps, and delete those whose time is over.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::{SnapshotPolicyRecord, VolumeSnapshotRecord};
use uuid::Uuid;

use super::catalog::{Catalog, micros};
use super::cron::{self, Schedule};
use super::error::Error;
use super::keys;
use super::namespace::{ROOT_USER, User, Which};
use super::retention::Retention;
use super::snapshot_create::CreateSnapshot;
use super::snapshot_delete::Children;
use super::snapshots::WhichSnapshot;
use super::trash::time_of;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How long a snapshot waits that cannot be deleted although its time is over.
const DELETE_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How many snapshots that are due are read at a time.
const AT_A_TIME: usize = 256;
/// The longest that is told of what went wrong, in bytes.
const MAX_ERROR_BYTES: usize = 512;

fn root() -> User {
    User(ROOT_USER.to_owned())
}

/// Makes and deletes the snapshots of policies.
pub struct PolicyEngine {
    catalog: Catalog,
}

impl PolicyEngine {
    /// For this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        PolicyEngine { catalog }
    }
}

#[async_trait]
impl Engine for PolicyEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "volume_policies"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::VolumePolicy)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now_us = self.catalog.now_us();
        let mut next: Option<u64> = None;
        for mut policy in self.catalog.list_policies().await? {
            if policy.paused {
                continue;
            }
            if policy.next_us != 0 && policy.next_us <= now_us {
                policy.next_us = self.catalog.tick(&policy).await?;
            }
            if policy.next_us != 0 {
                next = Some(next.map_or(policy.next_us, |next| next.min(policy.next_us)));
            }
        }
        Ok(next.map(time_of))
    }
}

impl Catalog {
    /// Does what a policy is due for, and says when it is due next; 0: not any more.
    ///
    /// The snapshots have the name of the tick, so that whoever does it again after a crash, or at the same moment, makes
    /// no others. Ticks that were missed are made up for by one.
    async fn tick(&self, policy: &SnapshotPolicyRecord) -> Result<u64, Error> {
        let mut problem = String::new();
        for id in self.members_of(&policy.name).await? {
            for result in [self.snapshot_for(policy, id).await, self.thin_out(policy, id).await] {
                if let Err(error) = result {
                    tracing::warn!(policy = %policy.name, volume = id, %error, "a policy could not do all of its work");
                    problem = format!("volume {id}: {error}");
                }
            }
        }
        problem.truncate(problem.floor_char_boundary(MAX_ERROR_BYTES));
        let (tick, problem) = (policy.next_us, &problem);
        let decided = self.decide("a policy", |mut tx| async move {
            let Some(mut record) = tx.policy(&policy.name).await? else { return Ok(tx.answer(0)) };
            if record.paused || record.next_us != tick {
                // Somebody else was quicker, or it was changed: the next look finds out.
                return Ok(tx.answer(record.next_us));
            }
            let now = self.now_us();
            let schedule = Schedule::parse(&record.schedule, &record.time_zone, now);
            record.next_us = schedule.ok().and_then(|schedule| schedule.next(now)).unwrap_or(0);
            record.last_us = now;
            record.last_error.clone_from(problem);
            tx.put(keys::policy(&record.name), &record);
            Ok::<_, Error>(tx.answer(record.next_us))
        });
        Ok(decided.await?.0)
    }

    async fn snapshot_for(&self, policy: &SnapshotPolicyRecord, volume: u64) -> Result<(), Error> {
        if self.volume_record(volume).await?.is_none_or(|(record, _)| record.trash.is_some()) {
            return Ok(());
        }
        let what = CreateSnapshot {
            name: snapshot_name(&policy.name, policy.next_us),
            policy: policy.name.clone(),
            ..CreateSnapshot::default()
        };
        self.create_snapshot(&root(), Which::Id(volume), what).await.map(|_| ())
    }

    /// Deletes the snapshots of a policy that no rule keeps, as far as they can be deleted.
    async fn thin_out(&self, policy: &SnapshotPolicyRecord, volume: u64) -> Result<(), Error> {
        let retention = Retention::of(policy);
        if !retention.has_rules() {
            return Ok(());
        }
        let zone = cron::time_zone(&policy.time_zone)?;
        let mut snapshots = Vec::new();
        for record in self.snapshots_by(policy, volume).await? {
            snapshots.extend(cron::instant(record.create_us).map(|time| (time, record.uuid)));
        }
        for uuid in retention.expired(snapshots, &zone) {
            let Ok(uuid) = Uuid::parse_str(&uuid) else { continue };
            self.delete_if_possible(uuid).await?;
        }
        Ok(())
    }

    async fn snapshots_by(
        &self,
        policy: &SnapshotPolicyRecord,
        volume: u64,
    ) -> Result<Vec<VolumeSnapshotRecord>, Error> {
        let mut snapshots = Vec::new();
        for (_, uuid) in tx::scan(&*self.store, KeyRange::prefix(&keys::snapshots_of(volume)), usize::MAX).await? {
            let Ok(uuid) = Uuid::from_slice(&uuid) else { continue };
            let record: Option<VolumeSnapshotRecord> = tx::read(&*self.store, &keys::snapshot(uuid)).await?;
            snapshots.extend(record.filter(|record| record.policy == policy.name && !record.is_deleting));
        }
        Ok(snapshots)
    }

    /// Deletes a snapshot, if nobody needs it and nothing protects it. Says whether it is on its way.
    async fn delete_if_possible(&self, uuid: Uuid) -> Result<bool, Error> {
        match self.delete_snapshot(&root(), &WhichSnapshot::Uuid(uuid), Children::Fail).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(true),
            Err(Error::SnapshotInUse(_) | Error::Protected(_) | Error::BadState(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The name of what a policy makes at a tick.
fn snapshot_name(policy: &str, tick_us: u64) -> String {
    let time = cron::instant(tick_us).unwrap_or_default();
    format!("{policy}-{}", time.strftime("%Y%m%d-%H%M%SZ"))
}

/// Deletes snapshots whose time is over.
pub struct ExpiryEngine {
    catalog: Catalog,
}

impl ExpiryEngine {
    /// For this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        ExpiryEngine { catalog }
    }
}

#[async_trait]
impl Engine for ExpiryEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "volume_snapshot_expiry"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::VolumeSnapshotExpiry)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.catalog.clock.now();
        let mut range = KeyRange::prefix(&Key::table(Table::VolumeSnapshotExpiry));
        let mut again = None;
        loop {
            let due = tx::scan(&*self.catalog.store, range.clone(), AT_A_TIME).await?;
            let Some((last, _)) = due.last() else { return Ok(again) };
            range = range.after(last);
            for (key, _) in due {
                let (Some(expire_us), Some(uuid)) = (keys::first_number(&key), keys::timed_uuid(&key)) else {
                    continue;
                };
                if expire_us > micros(now) {
                    let next = time_of(expire_us);
                    return Ok(Some(again.map_or(next, |again: Timestamp| again.min(next))));
                }
                if !self.catalog.delete_if_possible(uuid).await? {
                    again = Some(now.plus(DELETE_AGAIN_AFTER));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_named_after_its_policy_and_its_tick() {
        assert_eq!(snapshot_name("daily", 1_696_761_378_914_477), "daily-20231008-103618Z");
    }
}
