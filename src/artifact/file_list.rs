//! Lists of files. Folders are found by the paths of what is in them.
//!
//! In lists, a folder counts as if a slash ended its path: so it comes right before what is in it.

use std::collections::VecDeque;

use bytes::Bytes;
use steward_proto::store::v1::FileRecord;

use super::artifacts::Artifacts;
use super::error::Error;
use super::file_path::{FilePath, below};
use super::files::{Place, is_live};
use super::keys;
use super::paging::{Gather, Page, Part};
use super::sight::View;
use crate::glob::Glob;
use crate::store::tx;
use crate::store::{Key, KeyRange, Store};

/// How many records are read at a time.
const AT_A_TIME: usize = 512;

/// How far a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is in the folder itself.
    Folder,
    /// Also what is in folders in it.
    All,
}

/// Which files.
#[derive(Clone, Debug)]
pub(super) struct WhichFiles {
    /// Those below this folder.
    pub(super) place: Place,
    pub(super) depth: Depth,
    /// Folders too.
    pub(super) include_folders: bool,
    /// Only those whose path below the folder this stands for.
    pub(super) pattern: Option<Glob>,
}

/// One thing of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) path: String,
    /// Its record; a folder has none.
    pub(super) file: Option<FileRecord>,
}

impl Artifacts {
    /// Lists the files below a folder that may be seen.
    pub(super) async fn list_files(&self, which: &WhichFiles, page: &Page, view: &View) -> Result<Part<Listed>, Error> {
        let Place { project, repository, path } = &which.place;
        let repository = self.file_repository(project, repository).await?;
        let start = path.below();
        let after = page.after.as_ref().map(|place| place.last.as_str());
        if after.is_some_and(|after| !after.starts_with(&start)) {
            return Err(Error::invalid("page_token", "is not one that this list gave"));
        }
        if !path.is_root() && page.after.is_none() && !self.is_seen_in_use(repository, path, view).await? {
            return Err(Error::FileNotFound(path.to_string()));
        }
        let mut walk = Walk::new(self, repository, &start, which.depth, after).seen_by(view);
        let mut gather = Gather::new(page);
        while let Some(found) = walk.next().await? {
            let is_folder = found.file.is_none();
            let relative = found.path.get(start.len()..).unwrap_or_default();
            let is_wanted = which.pattern.as_ref().is_none_or(|pattern| pattern.matches(relative));
            if !is_wanted || (is_folder && !which.include_folders) {
                continue;
            }
            let place = if is_folder { below(&found.path) } else { found.path.clone() };
            if !gather.take(&place, || found) {
                break;
            }
        }
        self.store.settled().await?;
        Ok(gather.part())
    }

    /// Whether a file is in a folder, or in one in it.
    pub(super) async fn is_in_use(&self, repository: u64, folder: &FilePath) -> Result<bool, Error> {
        let start = folder.below();
        let mut walk = Walk::new(self, repository, &start, Depth::All, None);
        Ok(walk.next().await?.is_some())
    }

    /// Whether a file that may be seen is there.
    async fn is_seen_in_use(&self, repository: u64, folder: &FilePath, view: &View) -> Result<bool, Error> {
        let start = folder.below();
        let mut walk = Walk::new(self, repository, &start, Depth::All, None).seen_by(view);
        Ok(walk.next().await?.is_some())
    }

    async fn file_repository(&self, project: &str, repository: &str) -> Result<u64, Error> {
        let decided = self.decide("a repository", |mut tx| async move {
            let id = tx.file_repository(project, repository).await?.id;
            Ok(tx.answer(id))
        });
        Ok(decided.await?.0)
    }
}

/// Goes over the files and folders below a folder, in order.
struct Walk<'a> {
    store: &'a dyn Store,
    repository: u64,
    now_us: u64,
    /// What the paths start with.
    start: &'a str,
    depth: Depth,
    /// Files that it does not have are not there, nor folders of such files alone; `None`: all are.
    view: Option<&'a View>,
    /// What is not read yet.
    range: KeyRange,
    read: VecDeque<(Key, Bytes)>,
    is_at_end: bool,
    /// What was found last, with a slash behind it if it is a folder.
    last: String,
    /// Found with one look, and to be told next.
    found: VecDeque<Listed>,
}

impl<'a> Walk<'a> {
    /// A walk behind a place in the list.
    fn new(artifacts: &'a Artifacts, repository: u64, start: &'a str, depth: Depth, after: Option<&str>) -> Self {
        let all = KeyRange::prefix(&keys::files_below(repository, start));
        let range = match after {
            Some(folder) if folder.ends_with('/') => {
                let inside = KeyRange::prefix(&keys::files_below(repository, folder));
                let start = if depth == Depth::All { Some(inside.start) } else { inside.end };
                KeyRange { start: start.unwrap_or_else(|| all.start.clone()), end: all.end }
            }
            Some(file) => all.after(&keys::file(repository, file)),
            None => all,
        };
        Walk {
            store: &*artifacts.store,
            repository,
            now_us: artifacts.now_us(),
            start,
            depth,
            view: None,
            range,
            read: VecDeque::new(),
            is_at_end: false,
            last: after.unwrap_or_default().to_owned(),
            found: VecDeque::new(),
        }
    }

    fn seen_by(self, view: &'a View) -> Self {
        Walk { view: Some(view), ..self }
    }

    async fn next(&mut self) -> Result<Option<Listed>, Error> {
        while self.found.is_empty() {
            let Some((key, value)) = self.read_one().await? else { return Ok(None) };
            let Some(path) = keys::path_of(&key) else { continue };
            if self.depth == Depth::Folder && self.is_in_last_folder(&path) {
                continue;
            }
            if self.view.is_some_and(|view| !view.has(&path)) {
                continue;
            }
            let file: FileRecord = tx::decode(&key, &value)?;
            if is_live(&file, self.now_us) {
                self.look(path, file);
            }
        }
        Ok(self.found.pop_front())
    }

    fn is_in_last_folder(&self, path: &str) -> bool {
        self.last.ends_with('/') && path.starts_with(&self.last)
    }

    /// Finds a file and the folders that begin with it.
    fn look(&mut self, path: String, file: FileRecord) {
        let mut from = self.start.len();
        while let Some(slash) = path.get(from..).and_then(|rest| rest.find('/')) {
            let end = from + slash;
            let folder = &path[..=end];
            if !self.last.starts_with(folder) {
                self.found.push_back(Listed { path: path[..end].to_owned(), file: None });
            }
            if self.depth == Depth::Folder {
                folder.clone_into(&mut self.last);
                return;
            }
            from = end + 1;
        }
        self.last.clone_from(&path);
        self.found.push_back(Listed { path, file: Some(file) });
    }

    async fn read_one(&mut self) -> Result<Option<(Key, Bytes)>, Error> {
        if self.read.is_empty() && !self.is_at_end {
            self.skip_folder();
            let found = tx::scan(self.store, self.range.clone(), AT_A_TIME).await?;
            self.is_at_end = found.len() < AT_A_TIME;
            if let Some((last, _)) = found.last() {
                self.range = self.range.clone().after(last);
            }
            self.read = found.into();
        }
        Ok(self.read.pop_front())
    }

    /// Leaves out the rest of a folder that was told already and into which the list does not go.
    fn skip_folder(&mut self) {
        if self.depth == Depth::Folder && self.last.ends_with('/') {
            let inside = KeyRange::prefix(&keys::files_below(self.repository, &self.last));
            if let Some(end) = inside.end {
                self.range.start = self.range.start.clone().max(end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
