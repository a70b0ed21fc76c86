//! Deletes and changes snapshots.
//!
//! A deletion takes the name off the layer at once; the space is given back by the tidy engine, which removes the
//! records when that is done.

use std::collections::HashMap;

use steward_proto::store::v1::{VolumeOperationRecord, VolumeSnapshotRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::{ROOT_USER, User, Which};
use super::open::Target;
use super::operation::{State, Type, uuid_of};
use super::reach::Reach;
use super::snapshots::{ShownSnapshot, WhichSnapshot};
use crate::auth::rights::Right;
use crate::store::tx::Tx;

/// What to do when clones need a snapshot that is to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// Refuse.
    #[default]
    Fail,
    /// Delete it as soon as the last of them needs it no more.
    Defer,
    /// Flatten them, then delete it.
    Flatten,
}

/// What to change about a snapshot; what is not set stays.
#[derive(Clone, Debug, Default)]
pub struct SnapshotChange {
    /// Whether it can be deleted.
    pub protected: Option<bool>,
    /// Until when nobody can delete it, in microseconds since the epoch; never earlier than before.
    pub locked_until_us: Option<u64>,
    /// When it is deleted by itself, in microseconds since the epoch; 0: never.
    pub expire_us: Option<u64>,
    /// Its labels.
    pub labels: Option<HashMap<String, String>>,
}

impl Catalog {
    /// Deletes a snapshot. One that is being deleted already is answered with that operation.
    pub async fn delete_snapshot(
        &self,
        user: &User,
        which: &WhichSnapshot,
        children: Children,
    ) -> Result<VolumeOperationRecord, Error> {
        self.delete_snapshot_within(&Reach::default(), user, which, children).await
    }

    /// The same for a caller who reaches no further: other clones are not flattened, and the snapshot waits for them.
    pub async fn delete_snapshot_within(
        &self,
        reach: &Reach,
        user: &User,
        which: &WhichSnapshot,
        children: Children,
    ) -> Result<VolumeOperationRecord, Error> {
        let (catalog, user, which, reach) = (self.clone(), user.clone(), which.clone(), reach.clone());
        self.to_the_end(async move {
            let answer = catalog.begin_to_delete(&user, &which, children).await?;
            let flattened = match children {
                Children::Flatten => catalog.flatten_children(uuid_of(&answer.snapshot)?, &reach).await,
                Children::Fail | Children::Defer => Ok(()),
            };
            catalog.tidy.notify_one();
            flattened.map(|()| answer)
        })
        .await
    }

    /// Begins to flatten what needs a snapshot, whoever owns it, as far as the caller reaches. Where that cannot be
    /// begun, the snapshot waits until it is needed no more.
    async fn flatten_children(&self, snapshot: Uuid, reach: &Reach) -> Result<(), Error> {
        let root = User(ROOT_USER.to_owned());
        for child in self.children_of_snapshot(snapshot, usize::MAX).await? {
            // Since the snapshot is being deleted nobody clones it any more: this is true of all clones that there are.
            if !reach.has(Right::Write, &self.place_of_id(child.id).await?) {
                continue;
            }
            let begun = self.begin_to_flatten(&root, &User(child.owner), &Which::Id(child.id), 0).await;
            if let Err(error) = begun {
                tracing::warn!(%snapshot, volume = child.id, %error, "a clone of a snapshot to delete is not flattened");
            }
        }
        Ok(())
    }

    async fn begin_to_delete(
        &self,
        user: &User,
        which: &WhichSnapshot,
        children: Children,
    ) -> Result<VolumeOperationRecord, Error> {
        let operation = Uuid::new_v4();
        let found = Tx::new(&*self.store).find_snapshot(which, user).await?;
        // Nobody opens it from the look at who has it open until it is being deleted.
        let _lock = self.volume_locks.one(found.volume_id).await;
        self.close_idle_locked(Target::Snapshot(uuid_of(&found.uuid)?), found.volume_id).await;
        let found = &found;
        let decided = self.decide(which, |mut tx| async move {
            let record = tx.find_snapshot(which, user).await?;
            if record.uuid != found.uuid {
                return Err(Error::BadState(format!("{which} was replaced by another snapshot in the meantime")));
            }
            let answer = self.begin_deletion(&mut tx, user, record, operation, children).await?;
            Ok::<_, Error>(tx.answer(answer))
        });
        Ok(decided.await?.0)
    }

    async fn begin_deletion(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        mut record: VolumeSnapshotRecord,
        operation: Uuid,
        children: Children,
    ) -> Result<VolumeOperationRecord, Error> {
        if record.is_deleting {
            let running = tx.named_operation(&record.operation).await?;
            return running.ok_or_else(|| Error::NotFound(format!("snapshot {}", record.uuid)));
        }
        self.check_deletable(&record, children)?;
        let volume = tx.find(&Which::Id(record.volume_id), user).await?;
        let operation = VolumeOperationRecord {
            uuid: operation.to_string(),
            r#type: Type::DeleteSnapshot.into(),
            state: if record.child_count == 0 { State::Running } else { State::Queued }.into(),
            owner: user.0.clone(),
            source: record.uuid.clone(),
            snapshot: record.uuid.clone(),
            target: volume.path.to_string(),
            target_id: record.volume_id,
            create_us: self.now_us(),
            ..VolumeOperationRecord::default()
        };
        tx.add_operation(&operation)?;
        record.operation.clone_from(&operation.uuid);
        record.is_deleting = true;
        if record.child_count == 0 {
            tx.let_go(&mut record).await?;
        }
        tx.put_snapshot(&record)?;
        Ok(operation)
    }

    fn check_deletable(&self, record: &VolumeSnapshotRecord, children: Children) -> Result<(), Error> {
        let name = || format!("snapshot {} ({:?})", record.uuid, record.name);
        if record.protected || record.locked_until_us > self.now_us() {
            return Err(Error::Protected(name()));
        }
        if record.child_count > 0 && children == Children::Fail {
            let problem = format!("{} is needed by {} clones", name(), record.child_count);
            return Err(Error::SnapshotInUse(problem));
        }
        if self.open.is_snapshot_used(uuid_of(&record.uuid)?) {
            return Err(Error::SnapshotInUse(format!("somebody has {} open", name())));
        }
        Ok(())
    }

    /// Refuses to take back a snapshot: making one takes but a moment, so it is done by the time anybody asks.
    pub async fn cancel_snapshot(&self, user: &User, which: &WhichSnapshot) -> Result<(), Error> {
        match Tx::new(&*self.store).find_snapshot(which, user).await {
            Ok(_) | Err(Error::NotFound(_)) => Err(Error::NotCancellable(which.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Changes protection, labels, or the end of a snapshot.
    pub async fn update_snapshot(
        &self,
        user: &User,
        which: &WhichSnapshot,
        change: &SnapshotChange,
    ) -> Result<ShownSnapshot, Error> {
        let decided = self.decide(which, |mut tx| async move {
            let mut record = tx.find_snapshot(which, user).await?;
            if record.is_deleting {
                return Err(Error::BadState(format!("{which} is being deleted")));
            }
            apply(&mut tx, &mut record, change, which)?;
            tx.put_snapshot(&record)?;
            Ok(tx.answer(record))
        });
        let (record, _) = decided.await?;
        self.show_snapshot(record).await
    }

    /// Removes the records of a snapshot whose layer has been taken care of, and ends the operation that deleted it.
    pub(super) async fn forget_snapshot(&self, tx: &mut Tx<'_>, snapshot: &str) -> Result<(), Error> {
        let uuid = uuid_of(snapshot)?;
        let Some(record) = tx.snapshot(uuid).await? else { return Ok(()) };
        tx.delete(keys::snapshot(uuid));
        tx.delete(keys::snapshot_seq(record.volume_id, record.seq));
        tx.delete(keys::snapshot_name(record.volume_id, &record.name));
        if let Some(mut volume) = tx.volume(record.volume_id).await? {
            volume.snapshot_count = volume.snapshot_count.saturating_sub(1);
            tx.put_volume(&volume);
        }
        if !record.hidden {
            tx.charge(&record.owner, super::users::Charge { snapshots: -1, ..Default::default() }).await?;
        }
        if let Some(mut operation) = tx.named_operation(&record.operation).await? {
            if let Some((done, total)) = self.progress.of(&operation.uuid) {
                (operation.bytes_done, operation.bytes_total) = (done, total);
            }
            super::operation::end(&mut operation, State::Succeeded, self.now_us());
            tx.put_operation(&operation)?;
        }
        Ok(())
    }
}

fn apply(
    tx: &mut Tx<'_>,
    record: &mut VolumeSnapshotRecord,
    change: &SnapshotChange,
    which: &WhichSnapshot,
) -> Result<(), Error> {
    if let Some(protected) = change.protected {
        record.protected = protected;
    }
    if let Some(labels) = &change.labels {
        record.labels.clone_from(labels);
    }
    if let Some(until) = change.locked_until_us {
        if until < record.locked_until_us {
            return Err(Error::Protected(format!("{which}: a lock cannot be made shorter; it")));
        }
        record.locked_until_us = until;
    }
    if let Some(expire) = change.expire_us {
        let uuid = uuid_of(&record.uuid)?;
        if record.expire_us != 0 {
            tx.delete(keys::expiry(record.expire_us, uuid));
        }
        record.expire_us = expire;
        if expire != 0 {
            tx.put_bytes(keys::expiry(expire, uuid), Vec::new());
        }
    }
    Ok(())
}
