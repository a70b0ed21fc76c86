//! The tree of directories and volumes: what a path names, and who may change it.

use std::fmt;

use steward_proto::store::v1::VolumeRecord;

use super::error::Error;
use super::keys;
use super::path::VolumePath;
use crate::store::Store;
use crate::store::tx::{self, Tx};

/// The directory of everything.
pub(super) const ROOT_ID: u64 = 1;
/// Where volumes go that are deleted.
pub(super) const TRASH_ID: u64 = 2;
/// A directory that older clients expect to find.
pub(super) const CLONE_ID: u64 = 3;
/// The first id that is given out.
pub(super) const FIRST_ID: u64 = 16;
/// The user to whom everything is open.
pub(super) const ROOT_USER: &str = "root";
/// The name of the trash, a directory in `/`.
pub(super) const TRASH_NAME: &str = "RecycleBin";

/// On whose behalf something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(pub String);

impl User {
    /// Whether everything is open to it.
    pub fn is_root(&self) -> bool {
        self.0 == ROOT_USER
    }

    /// Whether it may change what belongs to `owner`.
    pub fn may_change(&self, owner: &str) -> bool {
        self.is_root() || self.0 == owner
    }

    /// Refuses what belongs to somebody else.
    pub(super) fn check(&self, owner: &str, what: impl fmt::Display) -> Result<(), Error> {
        if self.may_change(owner) {
            return Ok(());
        }
        Err(Error::InvalidUser { what: what.to_string(), user: self.0.clone() })
    }
}

/// Which volume or directory a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one at this path.
    Path(VolumePath),
    /// The one with this id.
    Id(u64),
    /// The one with this id, which has to be at this path.
    Both(u64, VolumePath),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Path(path) | Which::Both(_, path) => path.fmt(f),
            Which::Id(id) => write!(f, "volume {id}"),
        }
    }
}

/// A volume or directory that was found, and where.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) record: VolumeRecord,
    pub(super) path: VolumePath,
    /// The first directory on the way that does not belong to the user, if there is any.
    pub(super) foreign_directory: Option<VolumePath>,
}

impl Found {
    /// Refuses a user who may not change it: its owner may, below directories of its own, and `root` everything.
    pub(super) fn check(&self, user: &User) -> Result<(), Error> {
        self.check_way(user)?;
        user.check(&self.record.owner, &self.path)
    }

    /// Refuses a user to whom a directory on the way does not belong.
    pub(super) fn check_way(&self, user: &User) -> Result<(), Error> {
        match &self.foreign_directory {
            Some(directory) if !user.is_root() => {
                Err(Error::InvalidUser { what: directory.to_string(), user: user.0.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a directory.
    pub(super) fn volume(self) -> Result<Self, Error> {
        if self.record.is_directory { Err(Error::IsDirectory(self.path.to_string())) } else { Ok(self) }
    }

    /// Refuses what is no directory.
    pub(super) fn directory(self) -> Result<Self, Error> {
        if self.record.is_directory { Ok(self) } else { Err(Error::NotADirectory(self.path.to_string())) }
    }

    /// Whether it is in the trash.
    pub(super) fn is_trashed(&self) -> bool {
        self.record.trash.is_some()
    }
}

impl Tx<'_> {
    /// The record of a volume or directory.
    pub(super) async fn volume(&mut self, id: u64) -> Result<Option<VolumeRecord>, Error> {
        Ok(self.get(&keys::volume(id)).await?)
    }

    /// Puts the record of a volume or directory.
    pub(super) fn put_volume(&mut self, record: &VolumeRecord) {
        self.put(keys::volume(record.id), record);
    }

    /// Finds what a request means. `user` decides which directories on the way are its own.
    pub(super) async fn find(&mut self, which: &Which, user: &User) -> Result<Found, Error> {
        let found = match which {
            Which::Path(path) | Which::Both(_, path) => self.find_path(path, user).await?,
            Which::Id(id) => self.find_id(*id, user).await?,
        };
        match which {
            Which::Both(id, path) if found.record.id != *id => {
                Err(Error::NameMismatch(format!("{path} is volume {}, not {id}", found.record.id)))
            }
            Which::Path(_) | Which::Id(_) | Which::Both(..) => Ok(found),
        }
    }

    async fn find_path(&mut self, path: &VolumePath, user: &User) -> Result<Found, Error> {
        let missing = || Error::NotFound(path.to_string());
        let mut record = self.volume(ROOT_ID).await?.ok_or_else(missing)?;
        let (mut at, mut foreign_directory) = (VolumePath::root(), None);
        for name in path.segments() {
            if !record.is_directory {
                return Err(Error::NotADirectory(at.to_string()));
            }
            if record.id != ROOT_ID && !user.may_change(&record.owner) {
                foreign_directory.get_or_insert_with(|| at.clone());
            }
            let id = self.entry(record.id, name).await?.ok_or_else(missing)?;
            record = self.volume(id).await?.ok_or_else(missing)?;
            at = at.join(name);
        }
        Ok(Found { record, path: at, foreign_directory })
    }

    async fn find_id(&mut self, id: u64, user: &User) -> Result<Found, Error> {
        let missing = || Error::NotFound(format!("volume {id}"));
        let record = self.volume(id).await?.ok_or_else(missing)?;
        let (path, owners) = self.way_to(&record).await?;
        let foreign_directory = owners.into_iter().find(|(_, owner)| !user.may_change(owner)).map(|(path, _)| path);
        Ok(Found { record, path, foreign_directory })
    }

    /// The path of a record, and the directories on the way with their owners, without the root.
    async fn way_to(&mut self, record: &VolumeRecord) -> Result<(VolumePath, Vec<(VolumePath, String)>), Error> {
        let mut names = vec![record.name.clone()];
        let mut owners = Vec::new();
        let mut parent = record.parent_id;
        while parent > ROOT_ID {
            let directory = self
                .volume(parent)
                .await?
                .ok_or_else(|| Error::Internal(format!("directory {parent} of volume {} has no record", record.id)))?;
            names.push(directory.name);
            owners.push(directory.owner);
            parent = directory.parent_id;
        }
        if record.id == ROOT_ID {
            return Ok((VolumePath::root(), Vec::new()));
        }
        let mut path = VolumePath::root();
        let mut way = Vec::new();
        owners.reverse();
        for (index, name) in names.iter().rev().enumerate() {
            path = path.join(name);
            if let Some(owner) = owners.get(index) {
                way.push((path.clone(), owner.clone()));
            }
        }
        Ok((path, way))
    }

    /// The id of an entry of a directory.
    pub(super) async fn entry(&mut self, directory: u64, name: &str) -> Result<Option<u64>, Error> {
        let key = keys::entry(directory, name);
        let Some(value) = self.bytes(&key).await? else { return Ok(None) };
        let id: [u8; 8] = value.as_ref().try_into().map_err(|_| Error::Internal(format!("entry {key} is damaged")))?;
        Ok(Some(u64::from_be_bytes(id)))
    }

    /// Adds an entry for `record` to the directory that it names. Nothing of that name may be there.
    pub(super) async fn add_entry(&mut self, record: &VolumeRecord) -> Result<(), Error> {
        self.count_entries(record.parent_id, 1).await?;
        self.put_bytes(keys::entry(record.parent_id, &record.name), record.id.to_be_bytes().to_vec());
        Ok(())
    }

    /// Removes the entry of `record`.
    pub(super) async fn remove_entry(&mut self, record: &VolumeRecord) -> Result<(), Error> {
        self.count_entries(record.parent_id, -1).await?;
        self.delete(keys::entry(record.parent_id, &record.name));
        Ok(())
    }

    async fn count_entries(&mut self, directory: u64, change: i64) -> Result<(), Error> {
        let Some(mut record) = self.volume(directory).await? else {
            return Err(Error::NotFound(format!("directory {directory}")));
        };
        record.entry_count = record.entry_count.saturating_add_signed(change);
        self.put_volume(&record);
        Ok(())
    }

    /// The id for a new volume or directory. Ids are never given out twice.
    pub(super) async fn next_id(&mut self) -> Result<u64, Error> {
        let highest = self.bytes(&keys::sequence()).await?;
        let highest = highest.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes);
        let id = FIRST_ID.max(highest + 1);
        self.put_bytes(keys::sequence(), id.to_be_bytes().to_vec());
        Ok(id)
    }
}

/// Makes the directories that are always there.
pub(super) async fn found(store: &dyn Store, now_us: u64) -> Result<(), Error> {
    crate::store::update(store, "the root directory", || async {
        let mut tx = Tx::new(store);
        if tx.volume(ROOT_ID).await?.is_some() {
            return Ok(tx.answer(()));
        }
        let directory = |id, parent_id, name: &str, entry_count| VolumeRecord {
            id,
            parent_id,
            name: name.to_owned(),
            is_directory: true,
            owner: ROOT_USER.to_owned(),
            create_us: now_us,
            entry_count,
            ..VolumeRecord::default()
        };
        tx.put_volume(&directory(ROOT_ID, 0, "", 2));
        for (id, name) in [(TRASH_ID, TRASH_NAME), (CLONE_ID, "clone")] {
            tx.put_volume(&directory(id, ROOT_ID, name, 0));
            tx.put_bytes(keys::entry(ROOT_ID, name), id.to_be_bytes().to_vec());
        }
        Ok::<_, Error>(tx.answer(()))
    })
    .await
    .map(|_| ())
}

/// The path of a volume as it is now, for what is told about it.
pub(super) async fn path_of(store: &dyn Store, record: &VolumeRecord) -> Result<VolumePath, Error> {
    let mut tx = Tx::new(store);
    Ok(tx.way_to(record).await?.0)
}

/// The record of a volume as it is now.
pub(super) async fn record_of(store: &dyn Store, id: u64) -> Result<Option<VolumeRecord>, Error> {
    Ok(tx::read(store, &keys::volume(id)).await?)
}
