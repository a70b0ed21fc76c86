//! Finding and showing snapshots, and what ties clones to them.

use std::fmt;

use steward_proto::store::v1::{LayerRecord, VolumeRecord, VolumeSnapshotRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::{Found, User, Which, path_of, record_of};
use super::operation::uuid_of;
use super::path::VolumePath;
use super::reach::Reach;
use crate::auth::rights::Right;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// Which snapshot a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichSnapshot {
    /// The one with this UUID.
    Uuid(Uuid),
    /// The one with this UUID, which has to be of the volume at this path.
    UuidOf(Uuid, VolumePath),
    /// The one of this name of the volume at this path.
    Named(VolumePath, String),
}

impl fmt::Display for WhichSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhichSnapshot::Uuid(uuid) | WhichSnapshot::UuidOf(uuid, _) => write!(f, "snapshot {uuid}"),
            WhichSnapshot::Named(path, name) => write!(f, "{path}@{name}"),
        }
    }
}

/// A snapshot, and what is told about it.
#[derive(Clone, Debug)]
pub struct ShownSnapshot {
    /// Its record.
    pub record: VolumeSnapshotRecord,
    /// The path of its volume now.
    pub path: VolumePath,
    /// The pool of its volume.
    pub pool: String,
    /// How far its deletion is, in percent.
    pub deleted_percent: u32,
    /// Bytes of disk that only it needs, if that was asked for.
    pub unique_bytes: Option<u64>,
}

/// Which snapshots a list has.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    /// Those of this volume; one that does not exist has none.
    pub volume: Option<Which>,
    /// Those of this owner.
    pub owner: Option<String>,
    /// The one with this UUID.
    pub uuid: Option<Uuid>,
    /// The one of this name.
    pub name: Option<String>,
    /// Those that are being deleted, or those that are not.
    pub is_deleting: Option<bool>,
    /// Those of this group.
    pub group: Option<String>,
    /// Also those that nobody named.
    pub with_hidden: bool,
    /// Those of volumes that the caller may know of.
    pub reach: Reach,
}

impl SnapshotFilter {
    fn matches(&self, record: &VolumeSnapshotRecord) -> bool {
        (self.with_hidden || !record.hidden)
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.uuid.is_none_or(|uuid| uuid.to_string() == record.uuid)
            && self.name.as_ref().is_none_or(|name| *name == record.name)
            && self.is_deleting.is_none_or(|is_deleting| is_deleting == record.is_deleting)
            && self.group.as_ref().is_none_or(|group| *group == record.group)
    }
}

impl Tx<'_> {
    /// The record of a snapshot.
    pub(super) async fn snapshot(&mut self, uuid: Uuid) -> Result<Option<VolumeSnapshotRecord>, Error> {
        Ok(self.get(&keys::snapshot(uuid)).await?)
    }

    /// Puts the record of a snapshot.
    pub(super) fn put_snapshot(&mut self, record: &VolumeSnapshotRecord) -> Result<(), Error> {
        self.put(keys::snapshot(uuid_of(&record.uuid)?), record);
        Ok(())
    }

    /// The snapshot of a volume by its name.
    pub(super) async fn snapshot_named(
        &mut self,
        volume: u64,
        name: &str,
    ) -> Result<Option<VolumeSnapshotRecord>, Error> {
        let Some(uuid) = self.bytes(&keys::snapshot_name(volume, name)).await? else { return Ok(None) };
        let uuid =
            Uuid::from_slice(&uuid).map_err(|error| Error::Internal(format!("a name of a snapshot: {error}")))?;
        self.snapshot(uuid).await
    }

    /// Finds the snapshot that a request means, and refuses a user to whom it does not belong. Nobody can mean a hidden
    /// one.
    pub(super) async fn find_snapshot(
        &mut self,
        which: &WhichSnapshot,
        user: &User,
    ) -> Result<VolumeSnapshotRecord, Error> {
        let missing = || Error::NotFound(which.to_string());
        match which {
            WhichSnapshot::Named(path, name) => {
                let found = self.find(&Which::Path(path.clone()), user).await?.volume()?;
                let record = self.snapshot_named(found.record.id, name).await?;
                let record = record.filter(|record| !record.hidden).ok_or_else(missing)?;
                user.check(&record.owner, which)?;
                Ok(record)
            }
            WhichSnapshot::Uuid(uuid) | WhichSnapshot::UuidOf(uuid, _) => {
                let record = self.snapshot(*uuid).await?.filter(|record| !record.hidden).ok_or_else(missing)?;
                user.check(&record.owner, which)?;
                if let WhichSnapshot::UuidOf(_, path) = which {
                    self.check_volume(&record, path, user).await?;
                }
                Ok(record)
            }
        }
    }

    async fn check_volume(
        &mut self,
        record: &VolumeSnapshotRecord,
        path: &VolumePath,
        user: &User,
    ) -> Result<(), Error> {
        match self.find(&Which::Path(path.clone()), user).await {
            Ok(Found { record: volume, .. }) if volume.id == record.volume_id => Ok(()),
            Ok(_) | Err(Error::NotFound(_) | Error::NotADirectory(_)) => {
                Err(Error::NameMismatch(format!("snapshot {} is not one of {path}", record.uuid)))
            }
            Err(error) => Err(error),
        }
    }

    /// Ties a clone to the snapshot that it needs.
    pub(super) fn join_parent(&mut self, snapshot: &mut VolumeSnapshotRecord, clone: u64) -> Result<(), Error> {
        snapshot.child_count += 1;
        self.put_bytes(keys::clone(uuid_of(&snapshot.uuid)?, clone), Vec::new());
        self.put_snapshot(snapshot)
    }

    /// Says that a clone needs its parent snapshot no more, or not while it is in the trash. The last one lets a snapshot
    /// go that waits to be deleted, or that was made for clones alone. The volume's own record is the caller's; whoever
    /// commits this wakes the tidy engine.
    pub(super) async fn leave_parent(&mut self, volume: &VolumeRecord) -> Result<(), Error> {
        let snapshot = uuid_of(&volume.parent_snapshot)?;
        self.delete(keys::clone(snapshot, volume.id));
        let Some(mut record) = self.snapshot(snapshot).await? else { return Ok(()) };
        record.child_count = record.child_count.saturating_sub(1);
        if record.child_count == 0 && (record.is_deleting || record.hidden) {
            self.let_go(&mut record).await?;
        }
        self.put_snapshot(&record)
    }

    /// Takes the name of a snapshot from its layer, so that the tidy engine takes care of it. The record of the snapshot
    /// stays until that is done; the caller puts it.
    pub(super) async fn let_go(&mut self, record: &mut VolumeSnapshotRecord) -> Result<(), Error> {
        record.is_deleting = true;
        if record.expire_us != 0 {
            self.delete(keys::expiry(record.expire_us, uuid_of(&record.uuid)?));
        }
        let mut layer: LayerRecord = self.layer(record.layer).await?;
        layer.snapshot.clear();
        layer.deleted_snapshot.clone_from(&record.uuid);
        layer.is_trimmed = false;
        self.put_layer(&layer);
        Ok(())
    }
}

impl Catalog {
    /// Reads a snapshot.
    pub async fn get_snapshot(&self, user: &User, which: &WhichSnapshot) -> Result<ShownSnapshot, Error> {
        let record = Tx::new(&*self.store).find_snapshot(which, user).await?;
        self.store.settled().await?;
        self.show_snapshot(record).await
    }

    /// A snapshot and its layer, which is another one when layers were brought together in the meantime.
    pub(super) async fn snapshot_and_layer(&self, uuid: Uuid) -> Result<(VolumeSnapshotRecord, LayerRecord), Error> {
        let _tree = self.tree.read().await;
        let mut tx = Tx::new(&*self.store);
        let record = tx.snapshot(uuid).await?.ok_or_else(|| Error::NotFound(format!("snapshot {uuid}")))?;
        let layer = tx.layer(record.layer).await?;
        Ok((record, layer))
    }

    /// A snapshot with what is told about it.
    pub(super) async fn show_snapshot(&self, record: VolumeSnapshotRecord) -> Result<ShownSnapshot, Error> {
        let (path, pool) = match record_of(&*self.store, record.volume_id).await? {
            Some(volume) => (path_of(&*self.store, &volume).await?, volume.pool),
            None => (VolumePath::root(), String::new()),
        };
        let deleted_percent = self.progress.percent(&record.operation).unwrap_or(0);
        Ok(ShownSnapshot { record, path, pool, deleted_percent, unique_bytes: None })
    }

    /// The snapshots that match, in the order of volumes and numbers, from `skip` on and at most `limit`; and how many
    /// there are. Users other than `root` see their own.
    pub async fn list_snapshots(
        &self,
        user: &User,
        filter: &SnapshotFilter,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<ShownSnapshot>, usize), Error> {
        let prefix = match &filter.volume {
            None => Key::table(Table::VolumeSnapshotSeq),
            Some(which) => match Tx::new(&*self.store).find(which, user).await {
                Ok(found) => keys::snapshots_of(found.record.id),
                Err(Error::NotFound(_) | Error::NotADirectory(_)) => return Ok((Vec::new(), 0)),
                Err(error) => return Err(error),
            },
        };
        let (mut page, mut total) = (Vec::new(), 0);
        for (_, uuid) in tx::scan(&*self.store, KeyRange::prefix(&prefix), usize::MAX).await? {
            let Some(record) = self.snapshot_of_index(&uuid).await? else { continue };
            if !user.may_change(&record.owner) || !filter.matches(&record) {
                continue;
            }
            if !filter.reach.is_everything()
                && !filter.reach.has(Right::Read, &self.place_of_id(record.volume_id).await?)
            {
                continue;
            }
            if total >= skip && page.len() < limit {
                page.push(self.show_snapshot(record).await?);
            }
            total += 1;
        }
        self.store.settled().await?;
        Ok((page, total))
    }

    async fn snapshot_of_index(&self, uuid: &[u8]) -> Result<Option<VolumeSnapshotRecord>, Error> {
        let uuid =
            Uuid::from_slice(uuid).map_err(|error| Error::Internal(format!("a number of a snapshot: {error}")))?;
        Ok(tx::read(&*self.store, &keys::snapshot(uuid)).await?)
    }

    /// The clones that need a snapshot, by id; at most `limit`.
    pub async fn children_of_snapshot(&self, snapshot: Uuid, limit: usize) -> Result<Vec<VolumeRecord>, Error> {
        let mut children = Vec::new();
        for (key, _) in tx::scan(&*self.store, KeyRange::prefix(&keys::clones_of(snapshot)), limit).await? {
            let Some(id) = keys::clone_id(&key) else { continue };
            children.extend(record_of(&*self.store, id).await?);
        }
        Ok(children)
    }

    /// The clones that need any snapshot of a volume, by snapshot and id; at most `limit`.
    pub async fn children_of_volume(&self, volume: u64, limit: usize) -> Result<Vec<VolumeRecord>, Error> {
        let mut children = Vec::new();
        for (_, uuid) in tx::scan(&*self.store, KeyRange::prefix(&keys::snapshots_of(volume)), usize::MAX).await? {
            let Ok(uuid) = Uuid::from_slice(&uuid) else { continue };
            children.extend(self.children_of_snapshot(uuid, limit - children.len()).await?);
        }
        Ok(children)
    }
}
