//! Empties the trash of a library, where workers put the originals that they replace.
//!
//! `<root>/.steward/trash/2026-11-21/…` or without the day. A file goes once its retention is over since it was put
//! there: since its inode last changed, as the file system says, and since the end of the day that its directory
//! names, whichever is later. Everything is done by handles of directories that are no symbolic links, so no link leads
//! out of the trash.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::clock::Timestamp;

/// How deep the trash is swept. What lies deeper stays.
const MAX_DEPTH: usize = 128;
/// An empty directory stays for so long at least: somebody may be about to put something there.
const MIN_DIRECTORY_AGE: Duration = Duration::from_hours(1);

/// Sweeps the trash of the library at `root`. Returns how many files went. Having none is no error.
pub(super) fn sweep(root: &Path, retention: Duration, now: Timestamp) -> io::Result<u64> {
    let root = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let Some(steward) = directory(root.as_fd(), c".steward")? else { return Ok(0) };
    let Some(trash) = directory(steward.as_fd(), c"trash")? else { return Ok(0) };
    let mut sweep = Sweep { retention, now, removed: 0 };
    sweep.directory(&trash, None, 0)?;
    Ok(sweep.removed)
}

/// Opens a directory in another one. `None` when there is none, or a link to one.
fn directory(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

struct Sweep {
    retention: Duration,
    now: Timestamp,
    removed: u64,
}

impl Sweep {
    /// Sweeps a directory. `put` is when its files were put there at the latest, if its name says so.
    fn directory(&mut self, directory: &OwnedFd, put: Option<Timestamp>, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match self.entry(directory, name, put, depth) {
                // Somebody else was faster, or put something there.
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(error) => {
                    tracing::debug!(name = ?name, %error, "something stays in the trash of a library");
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, parent: &OwnedFd, name: &CStr, put: Option<Timestamp>, depth: usize) -> rustix::io::Result<()> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let changed = time(stat.st_ctime, stat.st_ctime_nsec);
            if self.is_over(changed.max(put.unwrap_or(changed)), self.retention) {
                unlinkat(parent, name, AtFlags::empty())?;
                self.removed += 1;
            }
            return Ok(());
        }
        let put = if depth == 0 { end_of_day(name) } else { put };
        if depth < MAX_DEPTH
            && let Ok(Some(directory)) = directory(parent.as_fd(), name)
        {
            let _ = self.directory(&directory, put, depth + 1);
        }
        // As it was before anything was taken out of it.
        if self.is_over(time(stat.st_mtime, stat.st_mtime_nsec), self.retention.max(MIN_DIRECTORY_AGE)) {
            unlinkat(parent, name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    fn is_over(&self, since: Timestamp, retention: Duration) -> bool {
        since.plus(retention) <= self.now
    }
}

fn time(seconds: impl TryInto<i64>, nanos: impl TryInto<i64>) -> Timestamp {
    let seconds: i64 = seconds.try_into().unwrap_or(i64::MAX);
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos.try_into().unwrap_or(0)))
}

/// The end of the day that a name says, in UTC.
fn end_of_day(name: &CStr) -> Option<Timestamp> {
    let day: jiff::civil::Date = name.to_str().ok()?.parse().ok()?;
    let end = day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(i64::try_from(end.timestamp().as_nanosecond()).map_or(Timestamp::MAX, Timestamp::from_nanos))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    const DAY: Duration = Duration::from_hours(24);

    struct Library(tempfile::TempDir);

    impl Library {
        fn with(files: &[&str]) -> Self {
            let library = Library(tempfile::tempdir().unwrap());
            for file in files {
                let path = library.path(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, b"x").unwrap();
            }
            library
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn sweep(&self, days: u32) -> u64 {
            sweep(self.0.path(), DAY * 7, SystemClock::default().now().plus(DAY * days)).unwrap()
        }
    }

    #[test]
    fn what_was_thrown_away_long_enough_ago_goes_with_its_directories() {
        let library = Library::with(&[".steward/trash/a/b.mp4", ".steward/trash/c.mp4", ".steward/keep", "a.mp4"]);
        assert_eq!(library.sweep(6), 0);
        assert!(library.path(".steward/trash/a/b.mp4").exists());
        assert_eq!(library.sweep(8), 2);
        assert!(!library.path(".steward/trash/a").exists() && library.path(".steward/trash").exists());
        assert!(library.path(".steward/keep").exists() && library.path("a.mp4").exists());
    }

    #[test]
    fn a_day_in_the_name_can_only_make_it_later() {
        let library = Library::with(&[".steward/trash/1999-01-01/a.mp4", ".steward/trash/9000-01-01/x/a.mp4"]);
        assert_eq!((library.sweep(1), library.sweep(8), library.sweep(800)), (0, 1, 0));
        assert!(library.path(".steward/trash/9000-01-01/x/a.mp4").exists());
    }

    #[test]
    fn no_link_leads_out_of_the_trash() {
        let library = Library::with(&[".steward/trash/a.mp4", "other/b.mp4"]);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(library.path(to), library.path(name)).unwrap();
        link("other", ".steward/trash/other");
        assert_eq!(library.sweep(8), 2);
        assert!(library.path("other/b.mp4").exists());
        let library = Library::with(&["other/b.mp4", ".steward/x"]);
        std::os::unix::fs::symlink(library.path("other"), library.path(".steward/trash")).unwrap();
        assert_eq!(library.sweep(8), 0);
        assert!(library.path("other/b.mp4").exists());
    }

    #[test]
    fn a_library_without_trash_has_nothing_to_sweep() {
        assert_eq!(Library::with(&["a.mp4"]).sweep(8), 0);
        assert!(sweep(Path::new("/nowhere/at/all"), DAY, Timestamp::MAX).is_err());
    }
}
