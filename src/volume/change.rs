//! Changes volumes and directories: where they are, how long they are, and what is written on them.

use std::collections::HashMap;

use steward_proto::store::v1::VolumeRecord;

use super::catalog::Catalog;
use super::create::exists;
use super::error::Error;
use super::keys;
use super::lookup::ShownVolume;
use super::namespace::{CLONE_ID, Found, ROOT_ID, TRASH_ID, User, Which};
use super::path::{MAX_DEPTH, MAX_PATH_BYTES, VolumePath};
use super::users::{Charge, signed};
use crate::store::key::KeyReader;
use crate::store::tx::{self, Tx};
use crate::store::{KeyRange, Revision};

/// How many entries a directory may have below it that is moved.
const MAX_MOVED: usize = 100_000;

/// What to change about a volume or directory; what is not set stays.
#[derive(Clone, Debug, Default)]
pub struct VolumeChange {
    /// Its labels.
    pub labels: Option<HashMap<String, String>>,
    /// To whom it belongs. Its snapshots stay with whom they belong to.
    pub owner: Option<String>,
    /// Whether it can be deleted.
    pub protected: Option<bool>,
    /// The policies that it follows, each once.
    pub policies: Option<Vec<String>>,
}

impl Catalog {
    /// Moves a volume or directory to another path.
    pub async fn rename_volume(&self, user: &User, which: &Which, to: &VolumePath) -> Result<ShownVolume, Error> {
        let found = Tx::new(&*self.store).find(which, user).await?;
        found.check(user)?;
        if found.record.is_directory {
            self.check_depth(&found, to).await?;
        }
        let decided = self.decide(which, |mut tx| async move {
            let found = tx.find(which, user).await?;
            found.check(user)?;
            found.check_movable()?;
            let id = found.record.id;
            if found.path != *to {
                self.put_at(&mut tx, user, found.record, to).await?;
            }
            Ok(tx.answer(id))
        });
        let (id, _) = decided.await?;
        self.show_volume(id).await
    }

    /// Takes a record out of its directory and puts it at a path.
    pub(super) async fn put_at(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        mut record: VolumeRecord,
        to: &VolumePath,
    ) -> Result<(), Error> {
        let (parent, name) = self.place(tx, user, to).await?;
        if tx.entry(parent.id, &name).await?.is_some() {
            return Err(exists(to));
        }
        if record.is_directory && tx.is_within(&parent, record.id).await? {
            return Err(Error::BadState(format!("{to} is within the directory that is to be moved there")));
        }
        tx.remove_entry(&record).await?;
        record.parent_id = parent.id;
        record.name = name;
        tx.add_entry(&record).await?;
        tx.put_volume(&record);
        Ok(())
    }

    /// Refuses to move a directory to where a path below it would be too long.
    async fn check_depth(&self, found: &Found, to: &VolumePath) -> Result<(), Error> {
        let mut seen = 0;
        let mut directories = vec![(found.record.id, to.as_str().len(), to.segments().count())];
        while let Some((directory, length, depth)) = directories.pop() {
            let range = KeyRange::prefix(&keys::entries(directory));
            for (key, value) in tx::scan(&*self.store, range, MAX_MOVED + 1 - seen).await? {
                seen += 1;
                let name = KeyReader::new(&key).rest().len().saturating_sub(KEY_AROUND_NAME);
                let (length, depth) = (length + 1 + name, depth + 1);
                if length > MAX_PATH_BYTES || depth > MAX_DEPTH {
                    return Err(Error::BadState(format!("below {to} a path would be too long or too deep")));
                }
                if seen > MAX_MOVED {
                    return Err(Error::BadState(format!("{} has more than {MAX_MOVED} entries below it", found.path)));
                }
                let id = value.as_ref().try_into().map(u64::from_be_bytes).unwrap_or_default();
                if self.volume_record(id).await?.is_some_and(|(record, _)| record.is_directory) {
                    directories.push((id, length, depth));
                }
            }
        }
        Ok(())
    }

    /// Makes a volume longer. Who has it open sees it.
    pub async fn resize_volume(&self, user: &User, which: &Which, size_bytes: u64) -> Result<ShownVolume, Error> {
        let (catalog, user, which) = (self.clone(), user.clone(), which.clone());
        self.to_the_end(async move { catalog.resize(&user, &which, size_bytes).await }).await
    }

    async fn resize(&self, user: &User, which: &Which, size_bytes: u64) -> Result<ShownVolume, Error> {
        let id = Tx::new(&*self.store).find(which, user).await?.record.id;
        let _lock = self.volume_locks.one(id).await;
        let view = self.open.view(id);
        if view.as_ref().is_some_and(|view| view.is_read_only()) {
            return Err(Error::BadState(format!("{which} is read-only and open: it grows when it is closed")));
        }
        // The record first: layers read as zeros beyond their end, and are opened as long as the record says, so what it
        // promises is there after a crash too. The other way round, a device could have bytes that no record knows.
        let decided = self.decide(which, |mut tx| async move {
            let mut record = self.longer(&mut tx, user, id, size_bytes).await?;
            if record.size_bytes < size_bytes {
                let mut top = tx.layer(record.top_layer).await?;
                record.size_bytes = size_bytes;
                top.size_bytes = size_bytes;
                tx.put_layer(&top);
                tx.put_volume(&record);
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        // Also where the record was so long already: the attempt that made it so may have failed here.
        if let Some(view) = view.filter(|view| view.size() < size_bytes) {
            self.blocking(move |_| view.grow(size_bytes)).await?;
        }
        self.show_volume(id).await
    }

    /// The record of a volume that may become so long; the difference is charged to its owner.
    async fn longer(&self, tx: &mut Tx<'_>, user: &User, id: u64, size_bytes: u64) -> Result<VolumeRecord, Error> {
        let found = tx.find(&Which::Id(id), user).await?.volume()?;
        found.check(user)?;
        let path = &found.path;
        if found.is_trashed() {
            return Err(Error::BadState(format!("{path} is in the trash")));
        }
        if !found.record.operation.is_empty() {
            return Err(Error::BadState(format!("{path} is being flattened")));
        }
        self.check_size(size_bytes)?;
        let has = found.record.size_bytes;
        if size_bytes < has {
            return Err(Error::SizeOutOfRange(format!("{path} has {has} bytes, and only grows")));
        }
        if size_bytes > has {
            tx.charge(&found.record.owner, Charge { bytes: signed(size_bytes - has), ..Charge::default() }).await?;
        }
        Ok(found.record)
    }

    /// Changes what is written on a volume or directory; with an etag only if that is still its own.
    pub async fn update_volume(
        &self,
        user: &User,
        which: &Which,
        change: &VolumeChange,
        etag: Option<Revision>,
    ) -> Result<ShownVolume, Error> {
        let decided = self.decide(which, |mut tx| async move {
            let id = apply(&mut tx, user, which, change, etag).await?;
            Ok(tx.answer(id))
        });
        let (id, _) = decided.await?;
        self.show_volume(id).await
    }
}

/// What is around a name in the key of an entry, in bytes: the number of the directory and the end of the text. Names have
/// no NUL, so none of their bytes is escaped.
const KEY_AROUND_NAME: usize = 10;

async fn apply(
    tx: &mut Tx<'_>,
    user: &User,
    which: &Which,
    change: &VolumeChange,
    etag: Option<Revision>,
) -> Result<u64, Error> {
    let found = tx.find(which, user).await?;
    found.check(user)?;
    let before = found.record;
    let revision = tx.revision(&keys::volume(before.id));
    if etag.is_some() && etag != revision {
        return Err(Error::EtagMismatch(which.to_string()));
    }
    if found.path.is_root() {
        return Err(always_there(&found.path));
    }
    let mut record = before.clone();
    if let Some(labels) = &change.labels {
        record.labels.clone_from(labels);
    }
    if let Some(protected) = change.protected {
        record.protected = protected;
    }
    if let Some(owner) = change.owner.as_ref().filter(|owner| **owner != record.owner) {
        give_to(tx, user, &mut record, owner).await?;
    }
    if let Some(policies) = &change.policies {
        follow(tx, &mut record, policies).await?;
    }
    if record != before {
        tx.put_volume(&record);
    }
    Ok(record.id)
}

/// Gives a volume or directory to another owner, who has to have room for it.
async fn give_to(tx: &mut Tx<'_>, user: &User, record: &mut VolumeRecord, owner: &str) -> Result<(), Error> {
    if !user.is_root() {
        let what = format!("the owner of volume {} is for root to change; it", record.id);
        return Err(Error::InvalidUser { what, user: user.0.clone() });
    }
    if !record.is_directory {
        let charge = Charge::volume(record.size_bytes);
        tx.charge(&record.owner, charge.back()).await?;
        tx.charge(owner, charge).await?;
    }
    owner.clone_into(&mut record.owner);
    Ok(())
}

/// Makes a volume follow these policies and no others.
async fn follow(tx: &mut Tx<'_>, record: &mut VolumeRecord, policies: &[String]) -> Result<(), Error> {
    if record.is_directory && !policies.is_empty() {
        return Err(Error::IsDirectory(format!("volume {}", record.id)));
    }
    for name in record.policies.iter().filter(|name| !policies.contains(name)) {
        tx.delete(keys::policy_member(name, record.id));
    }
    for name in policies.iter().filter(|name| !record.policies.contains(name)) {
        tx.join_policy(name, record.id).await?;
    }
    record.policies = policies.to_vec();
    Ok(())
}

/// What is said about a directory that cannot be changed.
pub(super) fn always_there(path: &VolumePath) -> Error {
    Error::Invalid { field: "volume", problem: format!("{path} is always there and stays as it is") }
}

impl Found {
    /// Refuses what cannot be moved or deleted: the directories that are always there, and what is in the trash.
    pub(super) fn check_movable(&self) -> Result<(), Error> {
        if [ROOT_ID, TRASH_ID, CLONE_ID].contains(&self.record.id) {
            return Err(always_there(&self.path));
        }
        if self.is_trashed() {
            return Err(Error::BadState(format!("{} is in the trash", self.path)));
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Whether a directory is another one, or somewhere below it.
    async fn is_within(&mut self, directory: &VolumeRecord, other: u64) -> Result<bool, Error> {
        let (mut id, mut parent) = (directory.id, directory.parent_id);
        while id != other {
            if id == ROOT_ID {
                return Ok(false);
            }
            id = parent;
            parent = self.volume(id).await?.map_or(0, |record| record.parent_id);
        }
        Ok(true)
    }
}
