//! Writes files that nobody had before.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that is to be.
pub(super) struct File {
    path: PathBuf,
    kind: Kind,
    text: String,
}

/// Whom a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everybody.
    Public,
    /// Its owner.
    Secret,
}

impl File {
    pub(super) fn new(path: impl Into<PathBuf>, kind: Kind, text: String) -> Self {
        File { path: path.into(), kind, text }
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let path = directory.join(&self.path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        let mode = if self.kind == Kind::Secret { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(self.text.as_bytes())?;
        file.sync_all()
    }
}

/// Writes all of them into a directory, or none where one of them is there already.
pub(super) fn write(directory: &Path, files: &[File]) -> Result<(), String> {
    let paths = files.iter().map(|file| directory.join(&file.path));
    if let Some(path) = paths.into_iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        return Err(format!("{} is there already; nothing was written", path.display()));
    }
    for file in files {
        let failed = |error| format!("cannot write {}: {error}", directory.join(&file.path).display());
        file.write(directory).map_err(failed)?;
    }
    Ok(())
}
