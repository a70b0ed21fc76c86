//! Snapshot policies: when to make snapshots, and which of them to keep.

use steward_proto::store::v1::SnapshotPolicyRecord;

use super::catalog::Catalog;
use super::cron::Schedule;
use super::error::Error;
use super::keys;
use super::namespace::User;
use super::retention::Retention;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many policies there may be.
pub(super) const MAX_POLICIES: usize = 1000;
/// How many volumes one commit takes a policy from.
const LEAVE_AT_A_TIME: usize = 30;

/// A policy that is wanted.
#[derive(Clone, Debug)]
pub struct SetPolicy {
    /// Its name.
    pub name: String,
    /// To whom it is to belong, for `root` to say; nothing: to the user, or to whom it belongs already.
    pub owner: Option<User>,
    /// When, as cron has it.
    pub schedule: String,
    /// The time zone of the schedule; empty: UTC.
    pub time_zone: String,
    /// Which snapshots to keep.
    pub retention: Retention,
    /// It does nothing for now.
    pub paused: bool,
}

impl Catalog {
    /// Makes or replaces a policy.
    pub async fn set_policy(&self, user: &User, what: &SetPolicy) -> Result<SnapshotPolicyRecord, Error> {
        let now = self.now_us();
        let schedule = Schedule::parse(&what.schedule, &what.time_zone, now)?;
        let next_us = if what.paused { 0 } else { schedule.next(now).unwrap_or(0) };
        let decided = self.decide("a policy", |mut tx| async move {
            let before = tx.policy(&what.name).await?;
            if before.is_none() && tx.scan(all_policies(), MAX_POLICIES).await?.len() >= MAX_POLICIES {
                let problem = format!("there are {MAX_POLICIES} policies, which is the limit");
                return Err(Error::BadState(problem));
            }
            let record = replaced(before, user, what, next_us)?;
            tx.put(keys::policy(&what.name), &record);
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// Reads a policy.
    pub async fn get_policy(&self, name: &str) -> Result<SnapshotPolicyRecord, Error> {
        let record = tx::read(&*self.store, &keys::policy(name)).await?;
        self.store.settled().await?;
        record.ok_or_else(|| missing(name))
    }

    /// All policies by name.
    pub async fn list_policies(&self) -> Result<Vec<SnapshotPolicyRecord>, Error> {
        let records = tx::scan(&*self.store, all_policies(), MAX_POLICIES).await?;
        self.store.settled().await?;
        records.iter().map(|(key, value)| Ok(tx::decode(key, value)?)).collect()
    }

    /// Removes a policy, and takes it from the volumes that follow it. Its snapshots stay.
    pub async fn delete_policy(&self, user: &User, name: &str) -> Result<(), Error> {
        loop {
            let decided = self.decide("a policy", |mut tx| async move {
                let Some(record) = tx.policy(name).await? else { return Ok(tx.answer(true)) };
                user.check(&record.owner, format_args!("policy {name:?}"))?;
                let members = tx.scan(KeyRange::prefix(&keys::policy_members(name)), LEAVE_AT_A_TIME).await?;
                for (key, _) in &members {
                    tx.leave_policy(name, key).await?;
                }
                let is_last = members.len() < LEAVE_AT_A_TIME;
                if is_last {
                    tx.delete(keys::policy(name));
                }
                Ok::<_, Error>(tx.answer(is_last))
            });
            if decided.await?.0 {
                return Ok(());
            }
        }
    }

    /// The volumes that follow a policy.
    pub(super) async fn members_of(&self, policy: &str) -> Result<Vec<u64>, Error> {
        let members = tx::scan(&*self.store, KeyRange::prefix(&keys::policy_members(policy)), usize::MAX).await?;
        Ok(members.iter().filter_map(|(key, _)| keys::member_id(key)).collect())
    }
}

fn all_policies() -> KeyRange {
    KeyRange::prefix(&Key::table(Table::VolumePolicy))
}

fn missing(name: &str) -> Error {
    Error::NotFound(format!("policy {name:?}"))
}

fn replaced(
    before: Option<SnapshotPolicyRecord>,
    user: &User,
    what: &SetPolicy,
    next_us: u64,
) -> Result<SnapshotPolicyRecord, Error> {
    let before = match before {
        Some(before) => {
            user.check(&before.owner, format_args!("policy {:?}", what.name))?;
            before
        }
        None => SnapshotPolicyRecord { owner: user.0.clone(), ..SnapshotPolicyRecord::default() },
    };
    let owner = match &what.owner {
        Some(owner) => {
            user.check(&owner.0, format_args!("a policy of {:?}", owner.0))?;
            owner.0.clone()
        }
        None => before.owner.clone(),
    };
    let is_same = before.schedule == what.schedule && before.time_zone == what.time_zone && !before.paused;
    Ok(SnapshotPolicyRecord {
        name: what.name.clone(),
        owner,
        schedule: what.schedule.clone(),
        time_zone: what.time_zone.clone(),
        keep_last: what.retention.last,
        keep_hourly: what.retention.hourly,
        keep_daily: what.retention.daily,
        keep_weekly: what.retention.weekly,
        keep_monthly: what.retention.monthly,
        paused: what.paused,
        // What is due already is not forgotten because the policy was said again.
        next_us: if is_same && !what.paused { before.next_us } else { next_us },
        last_us: before.last_us,
        last_error: before.last_error,
    })
}

impl Tx<'_> {
    /// The record of a policy.
    pub(super) async fn policy(&mut self, name: &str) -> Result<Option<SnapshotPolicyRecord>, Error> {
        Ok(self.get(&keys::policy(name)).await?)
    }

    /// Makes a volume one of those that follow a policy.
    pub(super) async fn join_policy(&mut self, name: &str, volume: u64) -> Result<(), Error> {
        let policy = self.policy(name).await?.ok_or_else(|| missing(name))?;
        // Written as it is: whoever removes the policy at this moment has to look at who follows it again.
        self.put(keys::policy(name), &policy);
        self.put_bytes(keys::policy_member(name, volume), Vec::new());
        Ok(())
    }

    async fn leave_policy(&mut self, name: &str, member: &Key) -> Result<(), Error> {
        self.delete(member.clone());
        let Some(id) = keys::member_id(member) else { return Ok(()) };
        if let Some(mut volume) = self.volume(id).await? {
            volume.policies.retain(|policy| policy != name);
            self.put_volume(&volume);
        }
        Ok(())
    }
}
