//! Files and directories: how they are made, opened and made to last.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Once;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};

/// Who may read and write what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The user of the server alone.
    Private,
    /// The group, too.
    Group,
}

impl Sharing {
    pub(crate) fn file_mode(self) -> u32 {
        match self {
            Sharing::Private => 0o600,
            Sharing::Group => 0o660,
        }
    }

    fn directory_mode(self) -> u32 {
        match self {
            Sharing::Private => 0o700,
            Sharing::Group => 0o770,
        }
    }

    /// Makes a directory and its parents, where they are missing.
    pub(crate) fn create_directory(self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(self.directory_mode()).create(path)
    }

    /// Gives a small file this content, all or none, so that it lasts.
    pub(crate) fn replace(self, path: &Path, content: &[u8]) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        self.create_directory(parent)?;
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(self.file_mode()).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_directory(parent)
    }
}

/// Makes the names in a directory last. A file system that cannot promise it is told of once.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    static WARNED: Once = Once::new();
    match File::open(path)?.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            WARNED.call_once(|| {
                tracing::warn!(directory = %path.display(), "the file system cannot sync directories: a power loss may lose objects");
            });
            Ok(())
        }
        result => result,
    }
}

/// Opens a file unless that takes waiting. `None` says nothing: the kernel looks only at the names that it has in
/// memory, and at none when it is too old.
pub(crate) fn open_cached(path: &Path) -> Option<(File, Metadata)> {
    // Without the last flag, something that is no file could make us wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?);
    let metadata = file.metadata().ok()?;
    Some((file, metadata))
}

/// Whether a file is in memory as a whole, as those of tmpfs are.
pub(crate) fn is_in_memory(file: &File) -> bool {
    /// Of `linux/magic.h`.
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    fstatfs(file).is_ok_and(|system| u64::try_from(system.f_type) == Ok(TMPFS_MAGIC))
}

/// `None` in the place of "not found".
pub(crate) fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
