//! Finds and lists volumes.

use std::collections::HashMap;
use std::vec;

use bytes::Bytes;
use steward_proto::store::v1::VolumeRecord;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::{Found, ROOT_ID, TRASH_ID, User, Which, path_of};
use super::operation;
use super::path::{MAX_NAME_BYTES, VolumePath};
use super::progress;
use super::reach::Reach;
use super::usage::Space;
use crate::auth::rights::Right;
use crate::store::key::KeyReader;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Record, Revision};

/// A volume or directory, and what is told about it.
#[derive(Clone, Debug)]
pub struct ShownVolume {
    /// Its record.
    pub record: VolumeRecord,
    /// The revision of its last change.
    pub revision: Revision,
    /// Where it is.
    pub path: VolumePath,
    /// How much of what it needs of its parent it has by itself.
    pub progress_percent: u32,
    /// How many clients have it open.
    pub open_sessions: u32,
    /// How much space it takes, if that was asked for.
    pub space: Option<Space>,
}

impl ShownVolume {
    /// Whether an operation gives it bytes.
    pub fn is_flattening(&self) -> bool {
        !self.record.operation.is_empty()
    }
}

/// Whether to find out how much space something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithSpace {
    /// It is asked for.
    Yes,
    /// It is not.
    No,
}

/// Which volumes a list has.
#[derive(Clone, Debug, Default)]
pub struct VolumeFilter {
    /// Those that carry all of these labels.
    pub labels: HashMap<String, String>,
    /// Those of this owner.
    pub owner: Option<String>,
    /// Also what is in the directories below; volumes alone.
    pub recursive: bool,
    /// Those that the caller may know of.
    pub reach: Reach,
}

impl VolumeFilter {
    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.owner.is_none() && !self.recursive && self.reach.is_everything()
    }

    fn matches(&self, record: &VolumeRecord, path: &VolumePath) -> bool {
        !(self.recursive && record.is_directory)
            && self.reach.sees(record, path)
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.labels.iter().all(|(label, value)| record.labels.get(label) == Some(value))
    }
}

/// Where a page of a list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Behind so many.
    Skip(u64),
    /// Behind this one: its path, counted from the directory that is listed.
    After(String),
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct VolumePage {
    /// The volumes.
    pub volumes: Vec<ShownVolume>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<String>,
    /// How many there are altogether.
    pub total: u64,
}

impl Catalog {
    /// Reads a volume or directory.
    pub async fn get_volume(&self, user: &User, which: &Which, space: WithSpace) -> Result<ShownVolume, Error> {
        let found = Tx::new(&*self.store).find(which, user).await;
        self.store.settled().await?;
        let found = found?;
        // Everybody may see the root; what is in the trash is its owner's, though the trash is not.
        if found.is_trashed() {
            user.check(&found.record.owner, which)?;
        } else if found.record.id != ROOT_ID {
            found.check(user)?;
        }
        let shown = self.show_volume(found.record.id).await?;
        self.with_space(shown, space).await
    }

    /// Lists the entries of a directory by name, or the volumes below it by path.
    pub async fn list_volumes(
        &self,
        user: &User,
        directory: &VolumePath,
        filter: &VolumeFilter,
        begin: Begin,
        limit: usize,
        space: WithSpace,
    ) -> Result<VolumePage, Error> {
        let found = Tx::new(&*self.store).find(&Which::Path(directory.clone()), user).await;
        let directory = match found.and_then(Found::directory) {
            // Nor is it told what else is there.
            Err(Error::NotADirectory(_)) if !filter.reach.has(Right::Read, directory.as_str()) => {
                return Err(Error::NotFound(directory.to_string()));
            }
            found => found?,
        };
        let mut walk = match &begin {
            // Who counts nothing need not look at what comes before.
            Begin::After(last) if filter.is_empty() => Walk::behind(self, &directory, last).await?,
            Begin::Skip(_) | Begin::After(_) => Walk::from_the_start(self, &directory).await?,
        };
        let (mut volumes, mut last, mut next, mut seen) = (Vec::new(), String::new(), None, 0);
        while let Some(entry) = walk.next()? {
            let Some((record, revision)) = self.volume_record(entry.id).await? else { continue };
            if filter.recursive && record.is_directory && record.id != TRASH_ID {
                // What is deleted is not among what there is, unless it is asked for.
                walk.go_into(&entry).await?;
            }
            if !filter.matches(&record, &entry.path) {
                continue;
            }
            seen += 1;
            let is_before = match &begin {
                Begin::Skip(skip) => seen <= *skip,
                Begin::After(last) => !is_after(&entry.below, last),
            };
            if is_before {
                continue;
            }
            if volumes.len() < limit {
                let shown = self.show(record, revision, entry.path).await?;
                volumes.push(self.with_space(shown, space).await?);
                last = entry.below;
            } else {
                next.get_or_insert_with(|| last.clone());
                if filter.is_empty() {
                    break;
                }
            }
        }
        self.store.settled().await?;
        // Who sees nothing of a directory does not see that it is there.
        let is_known = directory.record.id == ROOT_ID || directory.record.id == TRASH_ID;
        if seen == 0 && !is_known && !filter.reach.sees(&directory.record, &directory.path) {
            return Err(Error::NotFound(directory.path.to_string()));
        }
        let total = if filter.is_empty() { directory.record.entry_count } else { seen };
        Ok(VolumePage { volumes, next, total })
    }

    /// The volume with this id, with what is told about it.
    pub(super) async fn show_volume(&self, id: u64) -> Result<ShownVolume, Error> {
        let (record, revision) =
            self.volume_record(id).await?.ok_or_else(|| Error::NotFound(format!("volume {id}")))?;
        let path = path_of(&*self.store, &record).await?;
        self.show(record, revision, path).await
    }

    /// What is told about a record.
    pub(super) async fn show(
        &self,
        record: VolumeRecord,
        revision: Revision,
        path: VolumePath,
    ) -> Result<ShownVolume, Error> {
        let progress_percent = if !record.operation.is_empty() {
            self.percent(&record.operation).await?
        } else if record.parent_snapshot.is_empty() {
            100
        } else {
            0
        };
        let open_sessions = self.open.sessions(record.id);
        Ok(ShownVolume { record, revision, path, progress_percent, open_sessions, space: None })
    }

    /// How far an operation is: as it runs, or as it was last written.
    async fn percent(&self, name: &str) -> Result<u32, Error> {
        if let Some(percent) = self.progress.percent(name) {
            return Ok(percent);
        }
        let record = Tx::new(&*self.store).named_operation(name).await?;
        let active = record.filter(operation::is_active);
        Ok(active.map_or(0, |record| progress::percent(record.bytes_done, record.bytes_total)))
    }

    async fn with_space(&self, mut shown: ShownVolume, space: WithSpace) -> Result<ShownVolume, Error> {
        if space == WithSpace::Yes && !shown.record.is_directory {
            shown.space = Some(self.space_of(&shown.record).await?);
        }
        Ok(shown)
    }

    pub(super) async fn volume_record(&self, id: u64) -> Result<Option<(VolumeRecord, Revision)>, Error> {
        let key = keys::volume(id);
        let Some(Record { value, revision }) = self.store.get(&key).await? else { return Ok(None) };
        Ok(Some((tx::decode(&key, &value)?, revision)))
    }
}

/// Whether a path comes behind another, both without a slash in front: by the bytes of their names, a directory right
/// before what is in it.
fn is_after(path: &str, last: &str) -> bool {
    path.split('/').gt(last.split('/'))
}

/// An entry that a walk came to.
struct Entry {
    id: u64,
    path: VolumePath,
    /// Its path, counted from where the walk began.
    below: String,
}

/// Entries of a directory that are left, as they are stored.
type Entries = vec::IntoIter<(Key, Bytes)>;

/// Goes through the entries of a directory in order, and through those of directories below that it is sent into.
struct Walk<'a> {
    catalog: &'a Catalog,
    /// The directories on the way to where the walk is: the path of each, the same counted from where the walk began, and
    /// the entries that are left.
    stack: Vec<(VolumePath, String, Entries)>,
}

impl<'a> Walk<'a> {
    async fn from_the_start(catalog: &'a Catalog, directory: &Found) -> Result<Self, Error> {
        Self::over(catalog, directory, KeyRange::prefix(&keys::entries(directory.record.id))).await
    }

    async fn behind(catalog: &'a Catalog, directory: &Found, name: &str) -> Result<Self, Error> {
        // A name that is too long for a key cannot have come from a list.
        let name = name.get(..name.len().min(MAX_NAME_BYTES)).unwrap_or_default();
        let range = KeyRange::prefix(&keys::entries(directory.record.id));
        Self::over(catalog, directory, range.after(&keys::entry(directory.record.id, name))).await
    }

    async fn over(catalog: &'a Catalog, directory: &Found, range: KeyRange) -> Result<Self, Error> {
        let mut walk = Walk { catalog, stack: Vec::new() };
        walk.push(directory.path.clone(), String::new(), range).await?;
        Ok(walk)
    }

    fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            let Some((path, below, entries)) = self.stack.last_mut() else { return Ok(None) };
            let Some((key, value)) = entries.next() else {
                self.stack.pop();
                continue;
            };
            let (Some(name), Ok(id)) = (entry_name(&key), value.as_ref().try_into().map(u64::from_be_bytes)) else {
                return Err(Error::Internal(format!("entry {key} is damaged")));
            };
            let below = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            return Ok(Some(Entry { id, path: path.join(&name), below }));
        }
    }

    /// The entries of this directory come next.
    async fn go_into(&mut self, entry: &Entry) -> Result<(), Error> {
        let range = KeyRange::prefix(&keys::entries(entry.id));
        self.push(entry.path.clone(), entry.below.clone(), range).await
    }

    async fn push(&mut self, path: VolumePath, below: String, range: KeyRange) -> Result<(), Error> {
        let entries = tx::scan(&*self.catalog.store, range, usize::MAX).await?;
        self.stack.push((path, below, entries.into_iter()));
        Ok(())
    }
}

/// The name in the key of an entry.
fn entry_name(key: &Key) -> Option<String> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    reader.text()
}
