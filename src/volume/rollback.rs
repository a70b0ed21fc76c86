//! Makes a volume read as one of its snapshots does: a new top on the layer of the snapshot, whatever is in it.

use steward_proto::store::v1::{LayerRecord, VolumeOperationRecord, VolumeRecord, VolumeSnapshotRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::{LayerId, LayerSpec};
use super::error::Error;
use super::namespace::{User, Which};
use super::open::Target;
use super::operation::{State, Type, uuid_of};
use super::snapshot_create::CreateSnapshot;
use super::users::{Charge, signed};
use crate::store::tx::Tx;

impl Catalog {
    /// Makes a volume read as `snapshot`, a UUID or name, does. What it holds now is kept as the snapshot `keep_as`, or
    /// is lost.
    pub async fn rollback(
        &self,
        user: &User,
        volume: Which,
        snapshot: String,
        keep_as: String,
    ) -> Result<(VolumeOperationRecord, VolumeRecord), Error> {
        let (catalog, user) = (self.clone(), user.clone());
        self.to_the_end(async move { catalog.roll_back(&user, &volume, &snapshot, &keep_as).await }).await
    }

    async fn roll_back(
        &self,
        user: &User,
        which: &Which,
        snapshot: &str,
        keep_as: &str,
    ) -> Result<(VolumeOperationRecord, VolumeRecord), Error> {
        let mut tx = Tx::new(&*self.store);
        let id = tx.find(which, user).await?.volume()?.record.id;
        // Nobody writes between what is kept and what is gone back to.
        let _lock = self.volume_locks.one(id).await;
        self.close_idle_locked(Target::Volume(id), id).await;
        let uuid = uuid_of(&self.rollback_allowed(&mut tx, user, which, snapshot).await?.1.uuid)?;
        if !keep_as.is_empty() {
            self.keep(user, id, keep_as).await?;
        }
        let (target, layer) = self.snapshot_and_layer(uuid).await?;
        let top = LayerSpec { id: self.next_layer(), size: target.size_bytes, checksums: layer.checksums };
        self.blocking(move |driver| driver.create_layer(top)).await?;
        let operation = Uuid::new_v4();
        let decided = self.decide(which, |mut tx| async move {
            let (volume, target) = self.rollback_allowed(&mut tx, user, which, &uuid.to_string()).await?;
            let answer = self.record_rollback(&mut tx, user, which, volume, &target, top, operation).await?;
            Ok::<_, Error>(tx.answer(answer))
        });
        let decided = self.or_without_layers(&[top.id], decided.await).await;
        self.tidy.notify_one();
        Ok(decided?.0)
    }

    /// Makes a snapshot of what the volume holds now. Its lock is held.
    async fn keep(&self, user: &User, id: u64, name: &str) -> Result<(), Error> {
        let (what, which) = (CreateSnapshot { name: name.to_owned(), ..CreateSnapshot::default() }, Which::Id(id));
        let made = self.snapshot_locked(user, &[(id, &which)], &what, String::new()).await?;
        if made.created { Ok(()) } else { Err(Error::AlreadyExists(format!("snapshot {name:?} of the volume"))) }
    }

    async fn rollback_allowed(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        which: &Which,
        snapshot: &str,
    ) -> Result<(VolumeRecord, VolumeSnapshotRecord), Error> {
        let found = tx.find(which, user).await?.volume()?;
        found.check(user)?;
        let volume = found.record;
        let missing = || Error::NotFound(format!("{which}@{snapshot}"));
        let target = match Uuid::parse_str(snapshot) {
            Ok(uuid) => tx.snapshot(uuid).await?,
            Err(_) => tx.snapshot_named(volume.id, snapshot).await?,
        }
        .filter(|target| !target.hidden)
        .ok_or_else(missing)?;
        user.check(&target.owner, format!("snapshot {}", target.uuid))?;
        if target.volume_id != volume.id || target.is_deleting {
            return Err(Error::SnapshotInvalid(format!(
                "snapshot {} is not one of {which} to go back to",
                target.uuid
            )));
        }
        if volume.trash.is_some() || !volume.operation.is_empty() {
            return Err(Error::BadState(format!("{which} is in the trash, or being flattened")));
        }
        if self.open.is_used(volume.id) {
            return Err(Error::VolumeInUse(format!("{which} is open: its content cannot change under its readers")));
        }
        Ok((volume, target))
    }

    #[expect(clippy::too_many_arguments, reason = "what is settled before the records are looked at")]
    async fn record_rollback(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        which: &Which,
        mut volume: VolumeRecord,
        target: &VolumeSnapshotRecord,
        top: LayerSpec,
        operation: Uuid,
    ) -> Result<(VolumeOperationRecord, VolumeRecord), Error> {
        let old_top = LayerId(volume.top_layer);
        tx.unname_layer(old_top.0).await?;
        tx.add_layer(&LayerRecord {
            id: top.id.0,
            parent: target.layer,
            size_bytes: top.size,
            checksums: top.checksums,
            volume_id: volume.id,
            ..LayerRecord::default()
        })
        .await?;
        let change = signed(target.size_bytes) - signed(volume.size_bytes);
        tx.charge(&volume.owner, Charge { bytes: change, ..Charge::default() }).await?;
        volume.top_layer = top.id.0;
        volume.size_bytes = target.size_bytes;
        tx.put_volume(&volume);
        let now = self.now_us();
        let operation = VolumeOperationRecord {
            uuid: operation.to_string(),
            r#type: Type::Rollback.into(),
            state: State::Succeeded.into(),
            owner: user.0.clone(),
            source: target.uuid.clone(),
            snapshot: target.uuid.clone(),
            target: which.to_string(),
            target_id: volume.id,
            create_us: now,
            end_us: now,
            ..VolumeOperationRecord::default()
        };
        tx.add_operation(&operation)?;
        Ok((operation, volume))
    }
}
