//! Deleting files and folders.

use steward_proto::store::v1::FileRecord;

use super::artifacts::Artifacts;
use super::error::Error;
use super::file_path::{FilePath, parent};
use super::files::{Place, is_live};
use super::folders::ROOT;
use super::keys;
use crate::store::KeyRange;
use crate::store::tx;

/// How many files of a folder are deleted in one transaction: each takes a few operations.
const AT_A_TIME: usize = 20;

/// Which files to delete.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub(super) place: Place,
    /// A folder may go too, with all that is in it.
    pub(super) folder: bool,
    /// Only a file with these bytes; empty: any.
    pub(super) only_if_sha256: String,
}

impl Artifacts {
    /// Deletes a file or a folder. Returns how many files are gone.
    pub(super) async fn delete_file(&self, deletion: Deletion) -> Result<u64, Error> {
        let artifacts = self.clone();
        self.to_the_end(async move { artifacts.delete_to_the_end(&deletion).await }).await
    }

    async fn delete_to_the_end(&self, deletion: &Deletion) -> Result<u64, Error> {
        let path = &deletion.place.path;
        let (repository, is_file) = self.delete_one(deletion).await?;
        if is_file {
            self.leave_folder(repository, parent(path.as_str()).unwrap_or(ROOT)).await?;
            return Ok(1);
        }
        let is_folder = path.is_root() || self.is_in_use(repository, path).await?;
        if !is_folder {
            return Err(Error::FileNotFound(path.to_string()));
        }
        if !deletion.folder || !deletion.only_if_sha256.is_empty() {
            return Err(Error::FileConflict(format!("{path} is a folder")));
        }
        let deleted = self.delete_below(repository, path).await?;
        self.clear_folder(repository, path).await?;
        self.leave_folder(repository, parent(path.as_str()).unwrap_or(ROOT)).await?;
        Ok(deleted)
    }

    /// Deletes the file of a path, if there is one. Returns its repository.
    async fn delete_one(&self, deletion: &Deletion) -> Result<(u64, bool), Error> {
        let stamp = &self.stamps.take(self.now_us());
        let decided = self.decide("a file", |mut tx| async move {
            let Place { project, repository, path } = &deletion.place;
            let repository = tx.file_repository(project, repository).await?.id;
            let there: Option<FileRecord> = tx.get(&keys::file(repository, path.as_str())).await?;
            let Some(there) = there.filter(|there| is_live(there, self.now_us())) else {
                return Ok(tx.answer((repository, false)));
            };
            if !deletion.only_if_sha256.is_empty() && deletion.only_if_sha256 != there.sha256 {
                return Err(Error::FileConflict(format!("{path} has other bytes than it was meant to have")));
            }
            tx.remove_file(repository, path.as_str(), &there, stamp)?;
            Ok(tx.answer((repository, true)))
        });
        Ok(decided.await?.0)
    }

    /// Deletes the files of a folder in the order of their paths. Those that come behind the place where it is are
    /// deleted too; those that come before it stay.
    async fn delete_below(&self, repository: u64, folder: &FilePath) -> Result<u64, Error> {
        let mut range = KeyRange::prefix(&keys::files_below(repository, &folder.below()));
        let mut deleted = 0;
        loop {
            if self.shutdown.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            let found = tx::scan(&*self.store, range.clone(), AT_A_TIME).await?;
            let Some((last, _)) = found.last() else { return Ok(deleted) };
            range = range.after(last);
            let paths: Vec<String> = found.iter().filter_map(|(key, _)| keys::path_of(key)).collect();
            deleted += self.delete_these(repository, &paths).await?;
        }
    }

    /// Deletes files that are still there. Returns how many were.
    async fn delete_these(&self, repository: u64, paths: &[String]) -> Result<u64, Error> {
        let stamps: Vec<_> = paths.iter().map(|_| self.stamps.take(self.now_us())).collect();
        let stamps = &stamps;
        let decided = self.decide("files", |mut tx| async move {
            let mut deleted = 0;
            for (path, stamp) in paths.iter().zip(stamps) {
                let there: Option<FileRecord> = tx.get(&keys::file(repository, path)).await?;
                let Some(there) = there else { continue };
                tx.remove_file(repository, path, &there, stamp)?;
                deleted += u64::from(is_live(&there, self.now_us()));
            }
            Ok::<_, Error>(tx.answer(deleted))
        });
        Ok(decided.await?.0)
    }
}
