//! The directory of a library, as a handle: what is opened below it is in it, whatever links others make meanwhile.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

use super::path::{OWN_DIRECTORY, RelativePath};
use super::{Error, failed};
use crate::transcode::library::Roots;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
const DIRECTORY_MODE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// The root of a library.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Opens the directory of a library, if libraries may be where it is.
    pub(crate) fn open(path: &Path, roots: &Roots) -> Result<Self, Error> {
        let opened = openat(CWD, path, DIRECTORY, Mode::empty()).map_err(failed("cannot open the library"))?;
        // Asked of what is open: a link may lead elsewhere in the next moment.
        let open = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let place = std::fs::read_link(open).or_else(|_| path.canonicalize());
        let place = place.map_err(failed("cannot tell where the library is"))?;
        roots.check_place(&place).map_err(Error::Misplaced)?;
        Ok(Root(opened))
    }

    /// Opens a file for reading. Links are followed as long as they stay in the library.
    pub(crate) fn open_file(&self, path: &RelativePath) -> Result<File, Error> {
        // Without NONBLOCK a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(self.open_below(path.as_str(), flags)?);
        let metadata = file.metadata().map_err(failed("cannot look at the file"))?;
        if metadata.is_file() { Ok(file) } else { Err(Error::NotAFile) }
    }

    /// Opens the directory that a file is in.
    pub(super) fn open_directory_of(&self, path: &RelativePath) -> Result<OwnedFd, Error> {
        match path.as_str().rsplit_once('/') {
            Some((directories, _)) => self.open_below(directories, DIRECTORY),
            None => self.open_below(".", DIRECTORY),
        }
    }

    /// Opens a directory of the server's own, and makes it when it is not there. Links are not followed.
    pub(super) fn own_directory<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<OwnedFd, Error> {
        let mut directory = self.0.try_clone().map_err(failed("cannot open the library"))?;
        for name in [OWN_DIRECTORY].into_iter().chain(names) {
            match mkdirat(&directory, name, DIRECTORY_MODE) {
                Ok(()) => sync(&directory)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("cannot make a directory in .steward")(error)),
            }
            directory = openat(&directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
                .map_err(failed("cannot open a directory in .steward"))?;
        }
        Ok(directory)
    }

    fn open_below(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = match openat2(&self.0, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path, flags),
            opened => opened,
        };
        opened.map_err(|error| match error {
            Errno::XDEV | Errno::LOOP => Error::Escapes,
            Errno::NOTDIR => Error::NotThere,
            error => failed("cannot open the file")(error),
        })
    }

    /// Where the kernel cannot tell where links lead to, none is followed.
    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut directory = None::<OwnedFd>;
        for name in directories.split('/').filter(|name| !name.is_empty()) {
            let at = directory.as_ref().map_or(self.0.as_fd(), |directory| directory.as_fd());
            directory = Some(openat(at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
        }
        let at = directory.as_ref().map_or(self.0.as_fd(), |directory| directory.as_fd());
        openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty())
    }
}

/// Returns once the names in a directory survive a power loss.
pub(super) fn sync(directory: &OwnedFd) -> Result<(), Error> {
    match rustix::fs::fsync(directory) {
        // Some file systems behind a network do not know it for directories.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(failed("cannot sync a directory")(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::try_from(text).unwrap()
    }

    #[test]
    fn a_link_out_of_the_library_is_refused() {
        let (library, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink(outside.path(), library.path().join("directory")).unwrap();
        symlink(outside.path().join("secret"), library.path().join("file")).unwrap();
        symlink("../secret", library.path().join("above")).unwrap();
        let root = Root::open(library.path(), &Roots::default()).unwrap();
        for name in ["directory/secret", "file", "above"] {
            assert!(matches!(root.open_file(&path(name)), Err(Error::Escapes)), "{name}");
        }
        assert!(matches!(root.open_directory_of(&path("directory/new")), Err(Error::Escapes)));
    }

    #[test]
    fn links_are_not_followed_where_nobody_knows_where_they_lead() {
        let library = tempfile::tempdir().unwrap();
        fs::create_dir(library.path().join("a")).unwrap();
        fs::write(library.path().join("a/file"), "x").unwrap();
        symlink("a", library.path().join("link")).unwrap();
        let root = Root::open(library.path(), &Roots::default()).unwrap();
        assert!(root.walk("a/file", OFlags::RDONLY).is_ok());
        assert!(root.walk("link/file", OFlags::RDONLY).is_err());
        assert!(root.open_file(&path("link/file")).is_ok(), "it stays in the library");
    }

    #[test]
    fn a_library_that_is_where_none_may_be_is_not_opened() {
        let (roots, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let library = roots.path().join("library");
        fs::create_dir(&library).unwrap();
        let allowed = Roots { within: vec![roots.path().to_owned()], kept: Vec::new() };
        assert!(Root::open(&library, &allowed).is_ok());
        fs::remove_dir(&library).unwrap();
        symlink(outside.path(), &library).unwrap();
        assert!(matches!(Root::open(&library, &allowed), Err(Error::Misplaced(_))));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let library = tempfile::tempdir().unwrap();
        fs::create_dir(library.path().join("a")).unwrap();
        let root = Root::open(library.path(), &Roots::default()).unwrap();
        assert!(matches!(root.open_file(&path("a")), Err(Error::NotAFile)));
        assert!(matches!(root.open_file(&path("b")), Err(Error::NotThere)));
        assert!(matches!(root.open_file(&path("a/b/c")), Err(Error::NotThere)));
    }

    #[test]
    fn its_own_directory_is_no_link() {
        let (library, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), library.path().join(OWN_DIRECTORY)).unwrap();
        let root = Root::open(library.path(), &Roots::default()).unwrap();
        assert!(root.own_directory(["incoming"]).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
