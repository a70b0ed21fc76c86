//! Gives a result its place. All of it blocks.
//!
//! The original is linked into the trash before the result takes its name by one rename, so that at no time the place
//! is empty. Where the file system knows no links, the original is moved, and [`super::recovery`] puts it back if the
//! worker dies before the second rename.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::library::{Located, OWN_DIRECTORY};
use super::state::{Replacement, State, Traces, sync_parent};

/// A source as it was when its task began.
#[derive(Clone, Debug)]
pub(super) struct Original {
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

impl Original {
    pub(super) fn look(path: &Path) -> io::Result<Self> {
        // Opened, so that a file that cannot be read is noticed by its reason.
        Ok(Original { path: path.to_owned(), metadata: File::open(path)?.metadata()? })
    }

    /// Fails when somebody has changed it since.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let identity = |metadata: &Metadata| {
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
        };
        let is_same = self.path.metadata().is_ok_and(|now| identity(&now) == identity(&self.metadata));
        let message = || format!("{} was changed while it was transcoded", self.path.display());
        if is_same { Ok(()) } else { Err(Failure::Worker(message())) }
    }
}

/// The name under which a result grows in `directory`.
pub(super) fn temporary(directory: &Path, task_id: &str, extension: &str) -> PathBuf {
    directory.join(format!(".steward-{task_id}.tmp.{extension}"))
}

/// Where the original of `located` goes on `date`.
pub(super) fn trash_place(located: &Located, date: &str) -> PathBuf {
    // The file's true path, when the server's name for it goes through a link.
    let relative = located.path.strip_prefix(&located.root).unwrap_or(&located.relative);
    located.root.join(OWN_DIRECTORY).join("trash").join(date).join(relative)
}

/// Makes a directory with all its parents, so that they last.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path),
    }
}

/// Gives a result the name `place`, instead of whatever has it. It lasts when this returns.
pub(super) fn put(result: &Path, place: &Path) -> Result<(), Failure> {
    let put = || {
        File::open(result)?.sync_all()?;
        fs::rename(result, place)?;
        sync_parent(place)
    };
    put().map_err(Failure::io(format!("cannot put the result at {}", place.display())))
}

/// How a file gets a second name: [`fs::hard_link`], or what a test has in its place.
pub(super) type Link = fn(&Path, &Path) -> io::Result<()>;

/// A result and the original that it takes the place of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange<'a> {
    pub(super) original: &'a Original,
    /// In the directory of `place`.
    pub(super) result: &'a Path,
    /// That of the original, or beside it with another ending.
    pub(super) place: &'a Path,
    /// Where the original goes, or beside it with a number.
    pub(super) trash: &'a Path,
    pub(super) link: Link,
}

impl Exchange<'_> {
    /// Does it. When it fails, the original is where it was.
    pub(super) fn carry_out(self, state: &State, task_id: &str) -> Result<(), Failure> {
        self.original.check()?;
        let prepared = inherit(self.original, self.result).and_then(|()| File::open(self.result)?.sync_all());
        prepared.map_err(Failure::io("the result cannot be made to last"))?;
        let parent = self.trash.parent().unwrap_or(Path::new("/"));
        create_directory(parent).map_err(Failure::io(format!("cannot make the trash {}", parent.display())))?;
        let trash = free_name(self.trash);
        let traces = self.traces(&trash).map_err(Failure::io("the result is gone"))?;
        state.note(task_id, &traces).map_err(Failure::io("cannot write to the state directory"))?;
        let discarded = self.discard(&trash);
        let is_linked =
            discarded.map_err(Failure::io(format!("cannot put {} into the trash", self.original.path.display())))?;
        if let Err(error) = sync_parent(&trash).and_then(|()| self.take_place()) {
            let undone = if is_linked { fs::remove_file(&trash) } else { fs::rename(&trash, &self.original.path) };
            let undone =
                undone.err().map_or_else(String::new, |error| format!("; the original is in the trash: {error}"));
            return Err(Failure::worker(format!("cannot put the result at {}: {error}{undone}", self.place.display())));
        }
        // From here on there is nothing to undo: the result has its place.
        let lasting = sync_parent(self.place);
        lasting.map_err(Failure::io(format!("the result may not last at {}", self.place.display())))
    }

    fn traces(&self, trash: &Path) -> io::Result<Traces> {
        let replacement = Replacement {
            original: self.original.path.clone(),
            trash: trash.to_owned(),
            place: self.place.to_owned(),
            result_inode: self.result.metadata()?.ino(),
        };
        Ok(Traces { temporary: vec![self.result.to_owned()], replacement: Some(replacement) })
    }

    /// Brings the original into the trash. True when it has its place, too.
    fn discard(&self, trash: &Path) -> io::Result<bool> {
        match (self.link)(&self.original.path, trash) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) => fs::rename(&self.original.path, trash).map(|()| false),
        }
    }

    /// When it fails, the result is where it was.
    fn take_place(&self) -> io::Result<()> {
        if self.place == self.original.path {
            return fs::rename(self.result, self.place);
        }
        self.rename_to_free_place()?;
        match fs::remove_file(&self.original.path) {
            // It was moved, not linked.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                fs::rename(self.place, self.result)?;
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Never takes the name of another file.
    fn rename_to_free_place(&self) -> io::Result<()> {
        match (self.link)(self.result, self.place) {
            Ok(()) => {
                // Its first name is a temporary one, which goes at the end of the task anyway.
                let _ = fs::remove_file(self.result);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) if self.place.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(self.result, self.place),
        }
    }
}

/// Who may read the original may read the result.
fn inherit(original: &Original, result: &Path) -> io::Result<()> {
    let (uid, gid) = (original.metadata.uid(), original.metadata.gid());
    // Only root may give files away; for others the result stays theirs. The mode comes after: a change of the owner
    // takes bits of it.
    let _ = std::os::unix::fs::chown(result, Some(uid), Some(gid));
    let mode = Permissions::from_mode(original.metadata.mode() & 0o777);
    match fs::set_permissions(result, mode) {
        // Some network file systems have one mode for all.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// `path`, or with the first number behind it that makes it free.
fn free_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut free = path.to_owned();
    let mut number = 0_u32;
    while free.symlink_metadata().is_ok() {
        number += 1;
        free.set_file_name(format!("{name}.{number}"));
    }
    free
}

#[cfg(test)]
mod tests;
