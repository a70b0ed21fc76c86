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
        Ok(Original { path: path.to_owned(), metadata: path.metadata()? })
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

/// Puts a result where it belongs instead of its original. `result` is in the directory of `place`.
pub(super) fn replace(
    original: &Original,
    result: &Path,
    place: &Path,
    trash: &Path,
    state: &State,
    task_id: &str,
) -> Result<(), Failure> {
    original.check()?;
    let prepared = inherit(original, result).and_then(|()| File::open(result)?.sync_all());
    prepared.map_err(Failure::io("the result cannot be made to last"))?;
    let parent = trash.parent().unwrap_or(Path::new("/"));
    create_directory(parent).map_err(Failure::io(format!("cannot make the trash {}", parent.display())))?;
    let to_trash = || format!("cannot put {} into the trash", original.path.display());
    let trash = free_name(trash);
    let result_inode = result.metadata().map_err(Failure::io("the result is gone"))?.ino();
    let (from, to) = (original.path.clone(), place.to_owned());
    let replacement = Replacement { original: from, trash: trash.clone(), place: to, result_inode };
    let traces = Traces { temporary: vec![result.to_owned()], replacement: Some(replacement) };
    state.note(task_id, &traces).map_err(Failure::io("cannot write to the state directory"))?;
    let is_linked = match fs::hard_link(&original.path, &trash) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Failure::io(to_trash())(error)),
        Err(_) => {
            fs::rename(&original.path, &trash).map_err(Failure::io(to_trash()))?;
            false
        }
    };
    let done = sync_parent(&trash).and_then(|()| take_place(original, result, place));
    if let Err(error) = done {
        let undone = if is_linked { fs::remove_file(&trash) } else { fs::rename(&trash, &original.path) };
        let undone = undone.err().map_or_else(String::new, |error| format!("; the original is in the trash: {error}"));
        return Err(Failure::worker(format!("cannot put the result at {}: {error}{undone}", place.display())));
    }
    Ok(())
}

fn take_place(original: &Original, result: &Path, place: &Path) -> io::Result<()> {
    if place == original.path {
        fs::rename(result, place)?;
        return sync_parent(place);
    }
    rename_to_free(result, place)?;
    sync_parent(place)?;
    match fs::remove_file(&original.path) {
        // It was moved, not linked.
        Err(error) if error.kind() != ErrorKind::NotFound => {
            fs::rename(place, result)?;
            Err(error)
        }
        _ => sync_parent(&original.path),
    }
}

/// Never takes the name of another file.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) if to.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
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
