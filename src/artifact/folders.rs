//! Folders: a path is that of a file or that of a folder, never both.
//!
//! Folders are implied by the paths of files, and what is there to see is found by those. But two who put `/a` and
//! `/a/b` at the same time must not both win, so each folder has a record, which who puts something into it reads, and
//! which must not be there for who puts a file of its path. A folder has a record as long as one below it has.
//!
//! Records are not counters, as then all who put files into a folder would be in each other's way. One that is not
//! needed any more is first doomed, and removed only if it is still doomed after a look: who puts something into a doomed
//! folder takes the doom back, and who had read the record before that has to decide again.

use std::collections::BTreeSet;

use steward_proto::store::v1::{FileRecord, FolderRecord};

use super::artifacts::Artifacts;
use super::error::Error;
use super::file_path::{FilePath, below, parent};
use super::keys;
use crate::store::KeyRange;
use crate::store::tx::{self, Tx};

/// The folder of all.
pub(super) const ROOT: &str = "/";
/// How many records are removed in one transaction.
const AT_A_TIME: usize = 80;
/// How many records are cleared away below a folder; more are cleared by those who come later.
const MOST: usize = 100_000;

impl Tx<'_> {
    /// Makes sure that something can be put into a folder.
    pub(super) async fn enter_folder(&mut self, repository: u64, folder: &str) -> Result<(), Error> {
        let mut at = folder;
        loop {
            let key = keys::folder(repository, at);
            let found: Option<FolderRecord> = self.get(&key).await?;
            match found {
                Some(record) if !record.doomed => return Ok(()),
                // Those above are there as long as this is.
                Some(_) => {
                    self.put(key, &FolderRecord { doomed: false });
                    return Ok(());
                }
                None => self.put(key, &FolderRecord { doomed: false }),
            }
            let Some(above) = parent(at) else { return Ok(()) };
            let file: Option<FileRecord> = self.get(&keys::file(repository, at)).await?;
            if file.is_some() {
                return Err(Error::FileConflict(format!("{at:?} is a file, so nothing can be in it")));
            }
            at = above;
        }
    }

    /// Whether a path has the record of a folder.
    pub(super) async fn is_folder(&mut self, repository: u64, path: &str) -> Result<bool, Error> {
        let record: Option<FolderRecord> = self.get(&keys::folder(repository, path)).await?;
        Ok(record.is_some())
    }

    /// Whether a file is below a folder, whether it has ended or not.
    async fn has_files(&self, repository: u64, folder: &str) -> Result<bool, Error> {
        let range = KeyRange::prefix(&keys::files_below(repository, &below(folder)));
        Ok(!self.scan(range, 1).await?.is_empty())
    }
}

impl Artifacts {
    /// Removes the records of a folder and those below it that nothing is in. Says whether nothing is left of it.
    pub(super) async fn clear_folder(&self, repository: u64, folder: &FilePath) -> Result<bool, Error> {
        let tx = Tx::new(&*self.store);
        if tx.has_files(repository, folder.as_str()).await? {
            return Ok(false);
        }
        let range = KeyRange::prefix(&keys::folders_below(repository, &folder.below()));
        let found = tx::scan(&*self.store, range, MOST).await?;
        let mut folders = vec![folder.as_str().to_owned()];
        // The folder of all is below itself.
        let inner = found.iter().filter_map(|(key, _)| keys::path_of(key)).filter(|inner| inner != folder.as_str());
        folders.extend(inner);
        // Those in it before it.
        folders.reverse();
        let mut left = 0;
        for folders in folders.chunks(AT_A_TIME) {
            left += folders.len() - self.remove_folders(repository, folders).await?;
        }
        Ok(left == 0)
    }

    /// Removes the records of folders from one upwards, as far as nothing is in them. The folder of all keeps its own.
    pub(super) async fn leave_folder(&self, repository: u64, folder: &str) -> Result<(), Error> {
        let tx = Tx::new(&*self.store);
        let mut empty = Vec::new();
        let mut at = folder;
        while at != ROOT && !tx.has_files(repository, at).await? {
            empty.push(at.to_owned());
            let Some(above) = parent(at) else { break };
            at = above;
        }
        if !empty.is_empty() {
            self.remove_folders(repository, &empty).await?;
        }
        Ok(())
    }

    /// Removes records of folders that nothing is in. Those in others come first. Returns how many are gone.
    pub(super) async fn remove_folders(&self, repository: u64, folders: &[String]) -> Result<usize, Error> {
        let doom = self.decide("folders", |mut tx| async move {
            for folder in folders {
                let key = keys::folder(repository, folder);
                if tx.get::<FolderRecord>(&key).await?.is_some_and(|record| !record.doomed) {
                    tx.put(key, &FolderRecord { doomed: true });
                }
            }
            Ok::<_, Error>(tx.answer(()))
        });
        doom.await?;
        let remove = self.decide("folders", |mut tx| async move {
            let mut gone = BTreeSet::new();
            for folder in folders {
                let key = keys::folder(repository, folder);
                let record: Option<FolderRecord> = tx.get(&key).await?;
                if record.is_some_and(|record| !record.doomed) {
                    continue;
                }
                if record.is_some() {
                    if !is_empty(&tx, repository, folder, &gone).await? {
                        continue;
                    }
                    tx.delete(key);
                }
                gone.insert(folder.clone());
            }
            let count = gone.len();
            Ok::<_, Error>(tx.answer(count))
        });
        Ok(remove.await?.0)
    }
}

/// Whether nothing is in a folder but folders that go with it.
async fn is_empty(tx: &Tx<'_>, repository: u64, folder: &str, gone: &BTreeSet<String>) -> Result<bool, Error> {
    if tx.has_files(repository, folder).await? {
        return Ok(false);
    }
    let range = KeyRange::prefix(&keys::folders_below(repository, &below(folder)));
    let inner = tx.scan(range, gone.len() + 2).await?;
    let inner = inner.iter().filter_map(|(key, _)| keys::path_of(key)).filter(|inner| inner != folder);
    Ok(inner.into_iter().all(|inner| gone.contains(&inner)))
}
