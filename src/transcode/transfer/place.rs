//! A result takes the place of its original.
//!
//! At every moment, also after a power loss, the library has the one or the other, and the original is either in its
//! place or in `<library>/.steward/trash/<date>/<its path>`.

use std::os::fd::OwnedFd;

use jiff::civil::Date;
use rustix::fs::{
    AtFlags, FileType, Mode, RenameFlags, Stat, fchmod, linkat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::path::RelativePath;
use super::root::{self, Root};
use super::staging::{Received, Staging};
use super::{Error, failed};

// Of one file on one day.
const MOST_COPIES: u32 = 1000;

/// Puts a result into the place of `original`, with the ending `extension` if it has another one. The original goes to
/// the trash of the day `today`. Returns the path of the result, once all of that survives a power loss.
///
/// When it fails before that, the original is in its place and the result still among those that came in; it can be tried
/// again.
pub(crate) fn place(
    root: &Root,
    staging: &Staging,
    received: &Received,
    original: &RelativePath,
    extension: Option<&str>,
    today: Date,
) -> Result<RelativePath, Error> {
    let target = match extension {
        Some(extension) => original.with_extension(extension)?,
        None => original.clone(),
    };
    let directory = root.open_directory_of(original)?;
    let found = look(&directory, original.name())?;
    // Whoever could read the original can read the result. The mode has no other bits in it than those of a mode.
    fchmod(&received.file, Mode::from_raw_mode(found.st_mode)).map_err(failed("cannot set the mode of the result"))?;
    keep(root, &directory, original, &found, today)?;
    if !is_same(&look(&directory, original.name())?, &found) {
        return Err(Error::Changed);
    }
    if target == *original {
        renameat(staging.directory(), &*received.name, &directory, target.name())
            .map_err(failed("cannot put the result into its place"))?;
        root::sync(&directory)?;
    } else {
        rename_beside(staging, received, &directory, target.name())?;
        root::sync(&directory)?;
        remove(&directory, original.name(), &found)?;
        root::sync(&directory)?;
    }
    staging.sync()?;
    Ok(target)
}

/// Gives the original a second name in the trash. One that it has there already, of an attempt before, is as good.
fn keep(root: &Root, directory: &OwnedFd, original: &RelativePath, found: &Stat, today: Date) -> Result<(), Error> {
    let day = today.to_string();
    let trash = root.own_directory(["trash", &day].into_iter().chain(original.directories()))?;
    for copy in 0..MOST_COPIES {
        let name = match copy {
            0 => original.name().to_owned(),
            copy => format!("{}~{copy}", original.name()),
        };
        match linkat(directory, original.name(), &trash, &*name, AtFlags::empty()) {
            Ok(()) => return root::sync(&trash),
            Err(Errno::EXIST) => {
                let there = statat(&trash, &*name, AtFlags::SYMLINK_NOFOLLOW);
                if is_same(&there.map_err(failed("cannot look into the trash"))?, found) {
                    return root::sync(&trash);
                }
            }
            // Without hard links the original would be without a name for a moment.
            Err(error) => return Err(failed("cannot link the original into the trash")(error)),
        }
    }
    Err(Error::Taken)
}

/// Gives the result a name that no other file has.
fn rename_beside(staging: &Staging, received: &Received, directory: &OwnedFd, name: &str) -> Result<(), Error> {
    let from = staging.directory();
    let renamed = match renameat_with(from, &*received.name, directory, name, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => renameat(from, &*received.name, directory, name),
            Ok(_) => Err(Errno::EXIST),
            Err(error) => Err(error),
        },
        renamed => renamed,
    };
    renamed.map_err(|error| match error {
        Errno::EXIST => Error::Taken,
        error => failed("cannot put the result into its place")(error),
    })
}

/// Removes the first name of the original, unless another file has it by now.
fn remove(directory: &OwnedFd, name: &str, found: &Stat) -> Result<(), Error> {
    match look(directory, name) {
        Ok(there) if is_same(&there, found) => {
            unlinkat(directory, name, AtFlags::empty()).map_err(failed("cannot remove the original"))
        }
        Ok(_) | Err(Error::NotThere | Error::NotAFile) => Ok(()),
        Err(error) => Err(error),
    }
}

fn look(directory: &OwnedFd, name: &str) -> Result<Stat, Error> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("cannot look at the original"))?;
    if FileType::from_raw_mode(found.st_mode).is_file() { Ok(found) } else { Err(Error::NotAFile) }
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    use sha2::{Digest as _, Sha256};
    use uuid::Uuid;

    use super::*;
    use crate::transcode::library::Roots;

    struct Library {
        directory: tempfile::TempDir,
        root: Root,
        staging: Staging,
    }

    impl Library {
        fn with(path: &str, content: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = Root::open(directory.path(), &Roots::default()).unwrap();
            let staging = Staging::open(&root).unwrap();
            let library = Library { directory, root, staging };
            library.write(path, content);
            library
        }

        fn at(&self, path: impl AsRef<Path>) -> PathBuf {
            self.directory.path().join(path)
        }

        fn write(&self, path: &str, content: &str) {
            fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            fs::write(self.at(path), content).unwrap();
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.at(path)).unwrap()
        }

        fn received(&self, content: &str) -> Received {
            let mut upload = self.staging.resume(Uuid::new_v4(), 1 << 20).unwrap();
            upload.append(0, content.as_bytes()).unwrap();
            upload.finish(&self.staging, &Sha256::digest(content)).unwrap()
        }

        fn place(&self, received: &Received, path: &str, extension: Option<&str>) -> Result<RelativePath, Error> {
            let original = RelativePath::try_from(path).unwrap();
            place(&self.root, &self.staging, received, &original, extension, jiff::civil::date(2026, 11, 21))
        }
    }

    #[test]
    fn a_result_takes_the_place_and_the_original_goes_to_the_trash() {
        let library = Library::with("a/b/film.mkv", "original");
        fs::set_permissions(library.at("a/b/film.mkv"), fs::Permissions::from_mode(0o640)).unwrap();
        let received = library.received("result");
        assert_eq!(library.place(&received, "a/b/film.mkv", None).unwrap().as_str(), "a/b/film.mkv");
        assert_eq!(library.read("a/b/film.mkv"), "result");
        assert_eq!(library.read(".steward/trash/2026-11-21/a/b/film.mkv"), "original");
        assert_eq!(fs::metadata(library.at("a/b/film.mkv")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!library.at(received.path()).exists());
    }

    #[test]
    fn a_result_with_another_ending_has_another_name() {
        let library = Library::with("film.avi", "original");
        let received = library.received("result");
        assert_eq!(library.place(&received, "film.avi", Some("mkv")).unwrap().as_str(), "film.mkv");
        assert_eq!(library.read("film.mkv"), "result");
        assert!(!library.at("film.avi").exists());
        assert_eq!(library.read(".steward/trash/2026-11-21/film.avi"), "original");
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let library = Library::with("film.avi", "original");
        library.write("film.mkv", "other");
        let received = library.received("result");
        assert!(matches!(library.place(&received, "film.avi", Some("mkv")), Err(Error::Taken)));
        assert_eq!((library.read("film.avi").as_str(), library.read("film.mkv").as_str()), ("original", "other"));
        assert_eq!(library.read(&received.path()), "result");
    }

    #[test]
    fn the_trash_overwrites_nothing() {
        let library = Library::with("film.mkv", "first");
        for content in ["second", "third", "fourth"] {
            library.place(&library.received(content), "film.mkv", None).unwrap();
        }
        let trash = |name| library.read(&format!(".steward/trash/2026-11-21/{name}"));
        assert_eq!([trash("film.mkv"), trash("film.mkv~1"), trash("film.mkv~2")], ["first", "second", "third"]);
    }

    #[test]
    fn an_attempt_after_one_that_failed_finds_the_original_in_the_trash() {
        let library = Library::with("film.avi", "original");
        library.write("film.mkv", "other");
        let received = library.received("result");
        for _ in 0..2 {
            assert!(library.place(&received, "film.avi", Some("mkv")).is_err());
        }
        fs::remove_file(library.at("film.mkv")).unwrap();
        library.place(&received, "film.avi", Some("mkv")).unwrap();
        assert_eq!(fs::read_dir(library.at(".steward/trash/2026-11-21")).unwrap().count(), 1);
    }

    #[test]
    fn an_original_that_is_gone_or_no_file_is_refused() {
        let library = Library::with("film.mkv", "original");
        symlink("film.mkv", library.at("link.mkv")).unwrap();
        fs::create_dir(library.at("directory.mkv")).unwrap();
        let received = library.received("result");
        assert!(matches!(library.place(&received, "gone.mkv", None), Err(Error::NotThere)));
        assert!(matches!(library.place(&received, "link.mkv", None), Err(Error::NotAFile)));
        assert!(matches!(library.place(&received, "directory.mkv", None), Err(Error::NotAFile)));
        assert_eq!(library.read(&received.path()), "result");
    }

    #[test]
    fn nothing_is_placed_outside_of_the_library() {
        let (library, outside) = (Library::with("film.mkv", "original"), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("film.mkv"), "other").unwrap();
        symlink(outside.path(), library.at("link")).unwrap();
        let received = library.received("result");
        assert!(matches!(library.place(&received, "link/film.mkv", None), Err(Error::Escapes)));
        assert!(matches!(library.place(&received, "film.mkv", Some("/../../x")), Err(Error::Path(_))));
        assert_eq!(fs::read_to_string(outside.path().join("film.mkv")).unwrap(), "other");
    }
}
