//! Directories that go with the test.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

/// Memory that looks like a disk.
const MEMORY: &str = "/dev/shm";
/// It has to have so much free that no test fills it.
const ROOM: u64 = 4 * 1024 * 1024 * 1024;

/// A directory in memory where there is room: a disk takes half a second to make the directories of one repository
/// last, and a process that is killed tells no difference. `TMPDIR` names another place.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let has_room = rustix::fs::statvfs(MEMORY).is_ok_and(|disk| disk.f_bavail * disk.f_frsize >= ROOM);
    let is_told = std::env::var_os("TMPDIR").is_some();
    if has_room && !is_told { PathBuf::from(MEMORY) } else { std::env::temp_dir() }
});

/// A new directory.
pub(crate) fn directory() -> TempDir {
    directory_in(&PLACE)
}

/// A new directory in another one.
pub(crate) fn directory_in(place: &Path) -> TempDir {
    tempfile::Builder::new().prefix("steward-test-").tempdir_in(place).expect("a temporary directory")
}
