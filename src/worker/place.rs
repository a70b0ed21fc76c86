//! Gives a result its place. All of it blocks.
//!
//! The original is linked into the trash before the result takes its name by one rename, so that at no time the place
//! is empty. Where the file system knows no links, the original is moved, and [`super::recovery`] puts it back if the
//! worker dies before the second rename.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::failure::Failure;
use super::library::{Located, OWN_DIRECTORY};
use super::recovery;
use super::report::Pulse;
use super::state::{End, Placing, Replacement, State, Traces, sync_parent};

const COPY_BYTES: usize = 1 << 20;

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

/// Makes a directory below `root`, and goes through no symbolic link: one could lead out of the library.
fn create_directory_below(root: &Path, path: &Path) -> io::Result<()> {
    let mut directory = root.to_owned();
    let below = path.strip_prefix(root).map_err(|_| io::Error::other("it is not in its library"))?;
    for name in below {
        directory.push(name);
        create_directory(&directory)?;
        if !directory.symlink_metadata()?.is_dir() {
            return Err(io::Error::other(format!("{} is a symbolic link", directory.display())));
        }
    }
    Ok(())
}

/// Gives a file another name, which is nobody's.
pub(super) fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // Not every file system can do that in one step.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            if to.symlink_metadata().is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        result => result,
    }
}

/// Brings a result that grew elsewhere beside its place, under its own name, and makes it last.
pub(super) fn stage(result: &Path, place: &Path, pulse: &Pulse, stop: &CancellationToken) -> Result<PathBuf, Failure> {
    let failure = |path: &Path| Failure::io(format!("cannot write the result to {}", path.display()));
    if result.parent() == place.parent() {
        File::open(result).and_then(|file| file.sync_all()).map_err(failure(result))?;
        return Ok(result.to_owned());
    }
    let staged = place.with_file_name(result.file_name().unwrap_or_default());
    if fs::rename(result, &staged).is_err() {
        copy(result, &staged, pulse, stop).map_err(failure(&staged))?;
    }
    if stop.is_cancelled() {
        return Err(Failure::Stopped);
    }
    File::open(&staged).and_then(|file| file.sync_all()).map_err(failure(&staged))?;
    Ok(staged)
}

/// Stops early when it is told to.
fn copy(from: &Path, to: &Path, pulse: &Pulse, stop: &CancellationToken) -> io::Result<()> {
    let (mut source, mut copy) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; COPY_BYTES];
    while !stop.is_cancelled() {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            return fs::remove_file(from);
        }
        copy.write_all(&buffer[..length])?;
        pulse.add(length);
    }
    Ok(())
}

/// Gives a result the name `place`, which has to be free. It lasts when this returns.
pub(super) fn put(state: &State, task_id: &str, result: &Path, place: &Path, end: &End) -> Result<(), Failure> {
    let failure = || format!("cannot put the result at {}", place.display());
    let result_inode = result.metadata().map_err(Failure::io("the result is gone"))?.ino();
    let placing = Placing { place: place.to_owned(), result_inode, end: end.clone() };
    let traces = Traces { temporary: vec![result.to_owned()], replacement: None, placing: Some(placing) };
    state.note(task_id, &traces).map_err(Failure::io("cannot write to the state directory"))?;
    rename_to_free(result, place).map_err(Failure::io(failure()))?;
    make_last(place);
    Ok(())
}

/// For what is there already: whoever reads it finds it, and to say that it failed would be wrong.
fn make_last(place: &Path) {
    if let Err(error) = sync_parent(place) {
        warn!(place = %place.display(), %error, "the result is in its place, but may not survive a power loss");
    }
}

/// How a file gets a second name: [`fs::hard_link`], or what a test has in its place.
pub(super) type Link = fn(&Path, &Path) -> io::Result<()>;

/// How a file gets another name, and takes it from the file that has it: [`fs::rename`], or what a test has in its place.
pub(super) type Rename = fn(&Path, &Path) -> io::Result<()>;

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
    /// The directory of the library.
    pub(super) root: &'a Path,
    /// What is to be said once the result has its place.
    pub(super) end: &'a End,
    pub(super) link: Link,
    pub(super) rename: Rename,
}

impl Exchange<'_> {
    /// Does it. When it fails, the original is where it was, or what is noted says how to bring it there.
    pub(super) fn carry_out(self, state: &State, task_id: &str) -> Result<(), Failure> {
        self.original.check()?;
        inherit(self.original, self.result).map_err(Failure::io("the result cannot get the mode of its original"))?;
        let parent = self.trash.parent().unwrap_or(Path::new("/"));
        let made = create_directory_below(self.root, parent);
        made.map_err(Failure::io(format!("cannot make the trash {}", parent.display())))?;
        let trash = free_name(self.trash);
        let (traces, replacement) = self.traces(&trash).map_err(Failure::io("the result is gone"))?;
        state.note(task_id, &traces).map_err(Failure::io("cannot write to the state directory"))?;
        let discarded = self.discard(&trash);
        discarded.map_err(Failure::io(format!("cannot put {} into the trash", self.original.path.display())))?;
        if let Err(error) = sync_parent(&trash).and_then(|()| self.take_place()) {
            // What failed may have happened all the same, as on a network: only what is there counts.
            let undone = recovery::settle(&replacement);
            if undone.is_ok() && recovery::has_inode(self.place, replacement.result_inode) {
                warn!(place = %self.place.display(), %error, "the result is in its place, though that was denied");
                return Ok(());
            }
            let undone =
                undone.err().map_or_else(String::new, |error| format!("; the original is in the trash: {error}"));
            return Err(Failure::worker(format!("cannot put the result at {}: {error}{undone}", self.place.display())));
        }
        // From here on there is nothing to undo: the result has its place.
        make_last(self.place);
        Ok(())
    }

    fn traces(&self, trash: &Path) -> io::Result<(Traces, Replacement)> {
        let result_inode = self.result.metadata()?.ino();
        let replacement = Replacement {
            original: self.original.path.clone(),
            trash: trash.to_owned(),
            place: self.place.to_owned(),
            result_inode,
        };
        let placing = Placing { place: self.place.to_owned(), result_inode, end: self.end.clone() };
        let temporary = vec![self.result.to_owned()];
        let traces = Traces { temporary, replacement: Some(replacement.clone()), placing: Some(placing) };
        Ok((traces, replacement))
    }

    /// Brings the original into the trash, by a link where that is possible.
    fn discard(&self, trash: &Path) -> io::Result<()> {
        match (self.link)(&self.original.path, trash) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) => rename_to_free(&self.original.path, trash),
            Ok(()) => Ok(()),
        }
    }

    /// When it fails, the result is where it was.
    fn take_place(&self) -> io::Result<()> {
        if self.place == self.original.path {
            return (self.rename)(self.result, self.place);
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
            Err(_) => rename_to_free(self.result, self.place),
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
