//! Files that are read again when they change.

use std::fmt::Display;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Tells two versions of a file apart. Whether it may be read changes with the time of its inode alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Stamp {
    /// That of a file, if there is one.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
    }

    /// That of a file of which this is known.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What files were when they were last read, and why they could not be read since.
#[derive(Debug)]
pub(crate) struct LastRead<S> {
    stamps: S,
    problem: Option<String>,
}

impl<S: PartialEq> LastRead<S> {
    /// They were looked at before they were read: what is written meanwhile is read again.
    pub(crate) fn new(stamps: S) -> Self {
        LastRead { stamps, problem: None }
    }

    /// Reads files that are not as they were, until that succeeds. A failure is returned once: as long as it stays the
    /// same, there is nothing new.
    pub(crate) fn again<T, E: Display>(
        &mut self,
        stamps: S,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        if self.stamps == stamps {
            self.problem = None;
            return None;
        }
        match read() {
            Ok(content) => {
                *self = LastRead::new(stamps);
                Some(Ok(content))
            }
            Err(error) => {
                let problem = Some(error.to_string());
                let is_new = self.problem != problem;
                self.problem = problem;
                is_new.then_some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_failure_is_told_once_and_tried_again_until_it_is_over() {
        let mut last = LastRead::new(1);
        assert_eq!(last.again(1, || Ok::<_, &str>("same")), None);
        assert_eq!(last.again(2, || Err::<&str, _>("no file handles")), Some(Err("no file handles")));
        assert_eq!(last.again(2, || Err::<&str, _>("no file handles")), None);
        assert_eq!(last.again(2, || Err::<&str, _>("no right")), Some(Err("no right")));
        assert_eq!(last.again(2, || Ok::<_, &str>("new")), Some(Ok("new")), "nothing but its luck has changed");
        assert_eq!(last.again(2, || Ok::<_, &str>("same")), None);
        assert_eq!(last.again(3, || Err::<&str, _>("no right")), Some(Err("no right")));
    }

    #[test]
    fn a_file_that_may_be_read_again_is_another_than_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        set_permissions(file.path(), Permissions::from_mode(0o000)).unwrap();
        let before = Stamp::at(file.path()).unwrap();
        // The time of an inode is as fine as the ticks of the kernel.
        while Stamp::at(file.path()).unwrap() == before {
            set_permissions(file.path(), Permissions::from_mode(0o600)).unwrap();
        }
    }
}
