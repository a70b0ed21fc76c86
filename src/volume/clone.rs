//! Makes volumes that start as a snapshot: one empty layer on the snapshot's, and no copy.

use std::collections::HashMap;

use steward_proto::store::v1::{
    CloneRequestRecord, LayerRecord, VolumeOperationRecord, VolumeRecord, VolumeSnapshotRecord,
};
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::LayerSpec;
use super::error::Error;
use super::namespace::{User, Which};
use super::operation::{State, Type, uuid_of};
use super::path::VolumePath;
use super::snapshot_create::{CreateSnapshot, hidden_name};
use super::snapshots::WhichSnapshot;
use super::users::Charge;
use crate::store::tx::Tx;

/// What to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A snapshot. It has to belong to the user.
    Snapshot(WhichSnapshot),
    /// A volume as it is now. It need not belong to the user.
    Volume(Which),
}

/// What to make of it.
#[derive(Clone, Debug)]
pub struct CloneVolume {
    /// Where the new volume is to be.
    pub destination: VolumePath,
    /// It refuses writes.
    pub read_only: bool,
    /// Give it all the bytes right away, in the background.
    pub full_copy: bool,
    /// The pool, which has to be that of the source; empty: the same.
    pub pool: String,
    /// What to write on it.
    pub labels: HashMap<String, String>,
    /// How long it is to be, in bytes; 0: as long as the source.
    pub size_bytes: u64,
}

/// A clone that was made, or was there.
#[derive(Clone, Debug)]
pub struct MadeClone {
    /// The operation that made it.
    pub operation: VolumeOperationRecord,
    /// The volume.
    pub volume: VolumeRecord,
    /// It was not there before.
    pub created: bool,
}

/// Everything that is settled before the records are looked at.
struct Plan<'a> {
    user: &'a User,
    what: &'a CloneVolume,
    snapshot: Uuid,
    /// The path that was asked for, where that was a volume.
    source: Option<String>,
    operation: Uuid,
    top: LayerSpec,
}

impl Catalog {
    /// Makes a volume that reads as its source does. The same request again is answered with what it made.
    pub async fn clone_volume(&self, user: &User, source: Source, what: CloneVolume) -> Result<MadeClone, Error> {
        let (catalog, user) = (self.clone(), user.clone());
        self.to_the_end(async move { catalog.make_clone(&user, &source, &what).await }).await
    }

    async fn make_clone(&self, user: &User, source: &Source, what: &CloneVolume) -> Result<MadeClone, Error> {
        if let Some(existing) = self.existing_clone(user, source, what).await? {
            return Ok(existing);
        }
        self.room_for_operation().await?;
        match source {
            Source::Snapshot(which) => {
                let snapshot = Tx::new(&*self.store).find_snapshot(which, user).await?;
                self.clone_of(user, &snapshot, None, what).await
            }
            Source::Volume(which) => {
                let snapshot = self.hidden_snapshot(which, "clone").await?;
                let made = self.clone_of(user, &snapshot, Some(which.to_string()), what).await;
                if made.is_err() {
                    self.drop_hidden(&snapshot).await?;
                }
                made
            }
        }
    }

    /// A snapshot that nobody sees of a volume as it is now.
    pub(super) async fn hidden_snapshot(&self, volume: &Which, purpose: &str) -> Result<VolumeSnapshotRecord, Error> {
        let what = CreateSnapshot { name: hidden_name(purpose), hidden: true, ..CreateSnapshot::default() };
        let root = User(super::namespace::ROOT_USER.to_owned());
        let made = self.create_snapshot(&root, volume.clone(), what).await?;
        let made = made.snapshots.into_iter().next();
        Ok(made.ok_or_else(|| Error::Internal("a snapshot was made and not told".to_owned()))?.record)
    }

    /// Lets a snapshot go that nobody sees and nothing needs.
    pub(super) async fn drop_hidden(&self, snapshot: &VolumeSnapshotRecord) -> Result<(), Error> {
        let uuid = uuid_of(&snapshot.uuid)?;
        let decided = self.decide("a hidden snapshot", |mut tx| async move {
            if let Some(mut record) = tx.snapshot(uuid).await?.filter(|record| record.child_count == 0) {
                tx.let_go(&mut record).await?;
                tx.put_snapshot(&record)?;
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        self.tidy.notify_one();
        Ok(())
    }

    /// What is at the destination already, if it is what is asked for.
    async fn existing_clone(
        &self,
        user: &User,
        source: &Source,
        what: &CloneVolume,
    ) -> Result<Option<MadeClone>, Error> {
        let mut tx = Tx::new(&*self.store);
        let volume = match tx.find(&Which::Path(what.destination.clone()), user).await {
            Ok(found) => found.record,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let exists = || Error::AlreadyExists(what.destination.to_string());
        if volume.is_directory || volume.owner != user.0 || volume.cloned_from.is_empty() {
            return Err(exists());
        }
        let operation = tx.named_operation(&volume.clone_operation).await?.unwrap_or_else(|| long_done(&volume));
        let is_same = match source {
            Source::Snapshot(which) => match tx.find_snapshot(which, user).await {
                Ok(snapshot) => snapshot.uuid == volume.cloned_from && !operation.source_is_volume,
                Err(Error::NotFound(_)) => false,
                Err(error) => return Err(error),
            },
            Source::Volume(which) => operation.source_is_volume && operation.source == which.to_string(),
        };
        if !is_same || operation.lazy == what.full_copy || volume.read_only != what.read_only {
            return Err(exists());
        }
        self.store.settled().await?;
        Ok(Some(MadeClone { operation, volume, created: false }))
    }

    async fn clone_of(
        &self,
        user: &User,
        snapshot: &VolumeSnapshotRecord,
        source: Option<String>,
        what: &CloneVolume,
    ) -> Result<MadeClone, Error> {
        let (_, below) = self.snapshot_and_layer(uuid_of(&snapshot.uuid)?).await?;
        let size = self.clone_size(snapshot, what.size_bytes)?;
        let top = LayerSpec { id: self.next_layer(), size, checksums: below.checksums };
        self.blocking(move |driver| driver.create_layer(top)).await?;
        let plan = Plan { user, what, snapshot: uuid_of(&snapshot.uuid)?, source, operation: Uuid::new_v4(), top };
        let plan = &plan;
        let decided = self.decide(&what.destination, |mut tx| async move {
            let made = self.record_clone(&mut tx, plan).await?;
            Ok::<_, Error>(tx.answer(made))
        });
        let (made, _) = self.or_without_layers(&[top.id], decided.await).await?;
        self.operations.notify_one();
        Ok(made)
    }

    fn clone_size(&self, snapshot: &VolumeSnapshotRecord, asked: u64) -> Result<u64, Error> {
        let size = if asked == 0 { snapshot.size_bytes } else { asked };
        if size < snapshot.size_bytes
            || size > self.settings.max_size
            || !size.is_multiple_of(super::device::BLOCK_BYTES)
        {
            let (least, most) = (snapshot.size_bytes, self.settings.max_size);
            let problem = format!("{size} bytes: a clone has {least} to {most}, in whole blocks of 4096");
            return Err(Error::SizeOutOfRange(problem));
        }
        Ok(size)
    }

    async fn record_clone(&self, tx: &mut Tx<'_>, plan: &Plan<'_>) -> Result<MadeClone, Error> {
        let Plan { user, what, .. } = plan;
        let gone = || Error::NotFound(format!("snapshot {}", plan.snapshot));
        let mut snapshot = tx.snapshot(plan.snapshot).await?.ok_or_else(gone)?;
        if snapshot.is_deleting {
            return Err(Error::BadState(format!("snapshot {} is being deleted", plan.snapshot)));
        }
        let parent = tx.volume(snapshot.volume_id).await?.ok_or_else(gone)?;
        if !what.pool.is_empty() && what.pool != parent.pool {
            return Err(Error::PoolMismatch(format!("the snapshot is in pool {:?}, not {:?}", parent.pool, what.pool)));
        }
        let (directory, name) = self.place(tx, user, &what.destination).await?;
        if tx.entry(directory.id, &name).await?.is_some() {
            return Err(Error::AlreadyExists(what.destination.to_string()));
        }
        tx.check_depth(snapshot.layer).await?;
        let id = tx.next_id().await?;
        let mut volume = VolumeRecord {
            id,
            parent_id: directory.id,
            name,
            owner: user.0.clone(),
            size_bytes: plan.top.size,
            stripe_unit: parent.stripe_unit,
            stripe_count: parent.stripe_count,
            pool: parent.pool,
            read_only: what.read_only,
            seq: 1,
            create_us: self.now_us(),
            labels: what.labels.clone(),
            checksums: plan.top.checksums,
            top_layer: plan.top.id.0,
            parent_snapshot: snapshot.uuid.clone(),
            base_layer: plan.top.id.0,
            cloned_from: snapshot.uuid.clone(),
            clone_operation: plan.operation.to_string(),
            clone_request: Some(CloneRequestRecord {
                lazy: !what.full_copy,
                source_path: plan.source.clone().unwrap_or_default(),
            }),
            ..VolumeRecord::default()
        };
        let operation = self.clone_operation(plan, &mut volume);
        tx.charge(&user.0, Charge::volume(volume.size_bytes)).await?;
        tx.add_entry(&volume).await?;
        tx.put_volume(&volume);
        tx.join_parent(&mut snapshot, id)?;
        tx.add_layer(&LayerRecord {
            id: plan.top.id.0,
            parent: snapshot.layer,
            size_bytes: plan.top.size,
            checksums: plan.top.checksums,
            volume_id: id,
            base_of: id,
            ..LayerRecord::default()
        })
        .await?;
        if operation.into_layer != 0 {
            tx.add_flat_layer(&volume, &operation).await?;
        }
        tx.add_operation(&operation)?;
        Ok(MadeClone { operation, volume, created: true })
    }

    /// The operation of a clone. One that copies everything gets the layer for it, and is the volume's.
    fn clone_operation(&self, plan: &Plan<'_>, volume: &mut VolumeRecord) -> VolumeOperationRecord {
        let full_copy = plan.what.full_copy;
        if full_copy {
            volume.operation = plan.operation.to_string();
        }
        VolumeOperationRecord {
            uuid: plan.operation.to_string(),
            r#type: Type::Clone.into(),
            state: if full_copy { State::Queued } else { State::MetaInstalled }.into(),
            owner: plan.user.0.clone(),
            source: plan.source.clone().unwrap_or_else(|| plan.snapshot.to_string()),
            source_is_volume: plan.source.is_some(),
            snapshot: plan.snapshot.to_string(),
            target: plan.what.destination.to_string(),
            target_id: volume.id,
            lazy: !full_copy,
            into_layer: if full_copy { self.next_layer().0 } else { 0 },
            create_us: self.now_us(),
            read_only: plan.what.read_only,
            ..VolumeOperationRecord::default()
        }
    }
}

/// The operation of a clone whose own has been forgotten since: that it is done, and what was asked for.
fn long_done(volume: &VolumeRecord) -> VolumeOperationRecord {
    let asked = volume.clone_request.clone().unwrap_or(CloneRequestRecord { lazy: true, source_path: String::new() });
    let source_is_volume = !asked.source_path.is_empty();
    VolumeOperationRecord {
        uuid: volume.clone_operation.clone(),
        r#type: Type::Clone.into(),
        state: State::Succeeded.into(),
        owner: volume.owner.clone(),
        source: if source_is_volume { asked.source_path } else { volume.cloned_from.clone() },
        source_is_volume,
        snapshot: volume.cloned_from.clone(),
        target_id: volume.id,
        lazy: asked.lazy,
        read_only: volume.read_only,
        create_us: volume.create_us,
        end_us: volume.create_us,
        ..VolumeOperationRecord::default()
    }
}
