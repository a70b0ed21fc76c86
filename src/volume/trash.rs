//! The trash: where volumes go that are deleted, how they come back, and how they go for good.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::{TrashRecord, VolumeRecord};
use uuid::Uuid;

use super::catalog::{Catalog, micros};
use super::error::Error;
use super::keys;
use super::lookup::ShownVolume;
use super::namespace::{Found, TRASH_ID, User, Which};
use super::open::Target;
use super::operation::uuid_of;
use super::path::{MAX_NAME_BYTES, VolumePath};
use super::users::Charge;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many volumes one look at the trash purges.
const AT_A_TIME: usize = 64;
/// How long one waits that cannot be purged yet.
const PURGE_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Catalog {
    /// Moves a volume into the trash, or removes an empty directory, of which nothing is left to tell.
    pub async fn delete_volume(&self, user: &User, which: &Which) -> Result<Option<ShownVolume>, Error> {
        let id = Tx::new(&*self.store).find(which, user).await?.record.id;
        // Nobody opens it meanwhile.
        let _lock = self.volume_locks.one(id).await;
        self.close_idle_locked(Target::Volume(id), id).await;
        let decided = self.decide(which, |mut tx| async move {
            let found = tx.find(which, user).await?;
            if found.record.id != id {
                return Err(Error::BadState(format!("{which} was replaced by another volume in the meantime")));
            }
            found.check(user)?;
            found.check_movable()?;
            let is_directory = found.record.is_directory;
            if is_directory {
                tx.remove_directory(&found).await?;
            } else {
                self.check_unneeded(&mut tx, &found).await?;
                self.put_in_trash(&mut tx, found).await?;
            }
            Ok(tx.answer(is_directory))
        });
        if decided.await?.0 {
            return Ok(None);
        }
        self.tidy.notify_one();
        self.show_volume(id).await.map(Some)
    }

    /// Refuses to delete what is needed: first for its snapshots, then for those who use it.
    async fn check_unneeded(&self, tx: &mut Tx<'_>, found: &Found) -> Result<(), Error> {
        let Found { record, path, .. } = found;
        if record.snapshot_count > 0 {
            tx.check_snapshots(found).await?;
        }
        if !record.operation.is_empty() {
            return Err(Error::VolumeInUse(format!("{path} is being flattened")));
        }
        if self.open.is_used(record.id) {
            return Err(Error::VolumeInUse(format!("{path} is open")));
        }
        if record.protected { Err(Error::Protected(path.to_string())) } else { Ok(()) }
    }

    async fn put_in_trash(&self, tx: &mut Tx<'_>, found: Found) -> Result<(), Error> {
        let Found { mut record, path, .. } = found;
        if !record.parent_snapshot.is_empty() {
            // It may come back, and is in nobody's way until then.
            tx.leave_parent(&record).await?;
        }
        tx.remove_entry(&record).await?;
        let delete_us = self.now_us();
        let retention = u64::try_from(self.settings.trash_retention.as_micros()).unwrap_or(u64::MAX);
        let purge_us = if retention == 0 { 0 } else { delete_us.saturating_add(retention) };
        record.name = trash_name(&record.name, record.id);
        record.parent_id = TRASH_ID;
        record.trash = Some(TrashRecord { original_path: path.to_string(), delete_us, purge_us });
        tx.add_entry(&record).await?;
        if purge_us != 0 {
            tx.put_bytes(keys::trash(purge_us, record.id), Vec::new());
        }
        tx.put_volume(&record);
        Ok(())
    }

    /// Brings a volume back out of the trash, to where it was or elsewhere.
    pub async fn restore_volume(
        &self,
        user: &User,
        which: &Which,
        to: Option<&VolumePath>,
    ) -> Result<ShownVolume, Error> {
        let id = self.find_trashed(user, which).await?.id;
        let _lock = self.volume_locks.one(id).await;
        let decided = self.decide(which, |mut tx| async move {
            let missing = || Error::NotFound(format!("{which} in the trash"));
            let mut record = tx.volume(id).await?.ok_or_else(missing)?;
            user.check(&record.owner, which)?;
            let trash = record.trash.take().ok_or_else(missing)?;
            let original = VolumePath::parse("new_path", &trash.original_path)?;
            tx.delete(keys::trash(trash.purge_us, id));
            tx.return_to_parent(&mut record).await?;
            self.put_at(&mut tx, user, record, to.unwrap_or(&original)).await?;
            Ok(tx.answer(()))
        });
        decided.await?;
        self.show_volume(id).await
    }

    /// The volume in the trash that is meant by its id, its path there, or the path that it had.
    pub(super) async fn find_trashed(&self, user: &User, which: &Which) -> Result<VolumeRecord, Error> {
        let missing = || Error::NotFound(format!("{which} in the trash"));
        let path = match which {
            Which::Id(id) | Which::Both(id, _) => {
                let record = self.volume_record(*id).await?.map(|(record, _)| record);
                let record = record.filter(|record| record.trash.is_some()).ok_or_else(missing)?;
                user.check(&record.owner, which)?;
                return match which {
                    Which::Both(id, path) if !is_at(&record, path) => {
                        Err(Error::NameMismatch(format!("volume {id} was not {path}")))
                    }
                    Which::Path(_) | Which::Id(_) | Which::Both(..) => Ok(record),
                };
            }
            Which::Path(path) => path,
        };
        let mut found: Option<VolumeRecord> = None;
        let mut last = Vec::new();
        while let Some(records) = self.trashed_after(&mut last).await? {
            let here = records.into_iter().filter(|record| is_at(record, path));
            found =
                found.into_iter().chain(here).max_by_key(|record| (user.may_change(&record.owner), deleted(record)));
        }
        let record = found.ok_or_else(missing)?;
        user.check(&record.owner, which)?;
        Ok(record)
    }

    /// A part of what is in the trash, behind the last one that was told; nothing at the end.
    async fn trashed_after(&self, last: &mut Vec<Key>) -> Result<Option<Vec<VolumeRecord>>, Error> {
        const PART: usize = 256;
        let mut range = KeyRange::prefix(&keys::entries(TRASH_ID));
        if let Some(last) = last.pop() {
            range = range.after(&last);
        }
        let entries = tx::scan(&*self.store, range, PART).await?;
        let Some((key, _)) = entries.last() else { return Ok(None) };
        last.push(key.clone());
        let mut records = Vec::with_capacity(entries.len());
        for (_, id) in entries {
            let id = id.as_ref().try_into().map(u64::from_be_bytes).unwrap_or_default();
            records.extend(self.volume_record(id).await?.map(|(record, _)| record));
        }
        Ok(Some(records))
    }

    /// Removes a volume of the trash for good.
    pub async fn purge_volume(&self, user: &User, which: &Which) -> Result<(), Error> {
        let record = self.find_trashed(user, which).await?;
        self.purge(record.id).await?;
        Ok(())
    }

    /// Removes the user's volumes of the trash for good that have been there for so long; `root`'s are all. Returns how
    /// many.
    pub async fn purge_trash(&self, user: &User, older_than: Duration) -> Result<u64, Error> {
        let latest = self.now_us().saturating_sub(u64::try_from(older_than.as_micros()).unwrap_or(u64::MAX));
        let (mut purged, mut last) = (0, Vec::new());
        while let Some(records) = self.trashed_after(&mut last).await? {
            for record in records.into_iter().filter(|record| user.may_change(&record.owner)) {
                if deleted(&record) > latest {
                    continue;
                }
                match self.purge(record.id).await {
                    Ok(true) => purged += 1,
                    // Its time will come: the space of a snapshot is still being given back.
                    Ok(false) | Err(Error::BadState(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(purged)
    }

    /// Removes the records of a volume of the trash; its layers are then nobody's. Says whether it was there.
    async fn purge(&self, id: u64) -> Result<bool, Error> {
        let _lock = self.volume_locks.one(id).await;
        let decided = self.decide("a volume of the trash", |mut tx| async move {
            let Some(record) = tx.volume(id).await? else { return Ok(tx.answer(false)) };
            let Some(trash) = &record.trash else { return Ok(tx.answer(false)) };
            if record.snapshot_count > 0 || self.open.is_used(id) {
                return Err(Error::BadState(format!("volume {id} is still needed for a moment")));
            }
            tx.remove_entry(&record).await?;
            tx.delete(keys::trash(trash.purge_us, id));
            tx.delete(keys::volume(id));
            for policy in &record.policies {
                tx.delete(keys::policy_member(policy, id));
            }
            tx.charge(&record.owner, Charge::volume(record.size_bytes).back()).await?;
            tx.unname_layer(record.top_layer).await?;
            Ok::<_, Error>(tx.answer(true))
        });
        let (purged, _) = decided.await?;
        self.tidy.notify_one();
        Ok(purged)
    }
}

impl Tx<'_> {
    async fn remove_directory(&mut self, found: &Found) -> Result<(), Error> {
        if found.record.entry_count > 0 {
            return Err(Error::DirectoryNotEmpty(found.path.to_string()));
        }
        if found.record.protected {
            return Err(Error::Protected(found.path.to_string()));
        }
        self.remove_entry(&found.record).await?;
        self.delete(keys::volume(found.record.id));
        Ok(())
    }

    /// Refuses a volume with snapshots. Hidden ones mean that it is being cloned from; those that have been let go are in
    /// nobody's way.
    async fn check_snapshots(&mut self, found: &Found) -> Result<(), Error> {
        let mut is_cloned_from = false;
        // Whoever makes or removes a snapshot changes the record of the volume too.
        let range = KeyRange::prefix(&keys::snapshots_of(found.record.id));
        for (_, uuid) in self.scan(range, usize::MAX).await? {
            let Ok(uuid) = Uuid::from_slice(&uuid) else { continue };
            let Some(snapshot) = self.snapshot(uuid).await? else { continue };
            if !snapshot.hidden {
                return Err(Error::HasSnapshots(found.path.to_string()));
            }
            is_cloned_from |= !snapshot.is_deleting || snapshot.child_count > 0;
        }
        if is_cloned_from {
            return Err(Error::VolumeInUse(format!("{} is being cloned from", found.path)));
        }
        Ok(())
    }

    /// Ties a clone to its snapshot again. If that is gone or about to go, the clone stays on the layers that it has.
    async fn return_to_parent(&mut self, record: &mut VolumeRecord) -> Result<(), Error> {
        if record.parent_snapshot.is_empty() {
            return Ok(());
        }
        let snapshot = self.snapshot(uuid_of(&record.parent_snapshot)?).await?;
        if let Some(mut snapshot) = snapshot.filter(|snapshot| !snapshot.is_deleting) {
            return self.join_parent(&mut snapshot, record.id);
        }
        record.parent_snapshot.clear();
        record.base_layer = 0;
        Ok(())
    }
}

/// The name of a volume in the trash: what it was called and its id, cut to fit.
fn trash_name(name: &str, id: u64) -> String {
    let id = format!("-{id}");
    let mut end = name.len().min(MAX_NAME_BYTES - id.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{id}", &name[..end])
}

/// Whether a volume of the trash is at a path there, or was at it before.
fn is_at(record: &VolumeRecord, path: &VolumePath) -> bool {
    let is_here = || VolumePath::root().join(super::namespace::TRASH_NAME).join(&record.name) == *path;
    record.trash.as_ref().is_some_and(|trash| trash.original_path == path.as_str()) || is_here()
}

fn deleted(record: &VolumeRecord) -> u64 {
    record.trash.as_ref().map_or(0, |trash| trash.delete_us)
}

/// Removes volumes for good whose time in the trash is over.
pub struct TrashEngine {
    catalog: Catalog,
}

impl TrashEngine {
    /// For this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        TrashEngine { catalog }
    }
}

#[async_trait]
impl Engine for TrashEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "volume_trash"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::VolumeTrash)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.catalog.clock.now();
        let mut range = KeyRange::prefix(&Key::table(Table::VolumeTrash));
        let (mut purged, mut again) = (0, None);
        loop {
            let page = tx::scan(&*self.catalog.store, range.clone(), AT_A_TIME).await?;
            let Some((last, _)) = page.last() else { return Ok(again) };
            range = range.after(last);
            for (key, _) in page {
                let (Some(due), Some(id)) = (keys::first_number(&key), keys::second_number(&key)) else { continue };
                if due > micros(now) {
                    return Ok(Some(again.map_or(time_of(due), |again| time_of(due).min(again))));
                }
                if purged == AT_A_TIME {
                    return Ok(Some(now));
                }
                if let Err(error) = self.catalog.purge(id).await {
                    // It is found again, and is no reason to leave the others.
                    tracing::info!(volume = id, %error, "a volume stays in the trash for now");
                    again = Some(now.plus(PURGE_AGAIN_AFTER));
                } else {
                    tracing::info!(volume = id, "the time of a volume in the trash was over");
                    purged += 1;
                }
            }
        }
    }
}

/// A time of a record, for the clock.
pub(super) fn time_of(micros: u64) -> Timestamp {
    i64::try_from(micros).ok().and_then(|micros| micros.checked_mul(1000)).map_or(Timestamp::MAX, Timestamp::from_nanos)
}
