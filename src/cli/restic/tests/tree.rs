//! A tree of restic's in a temporary directory.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::restic::fake::name_of;

#[derive(Debug)]
pub(super) struct Files {
    directory: TempDir,
}

impl Files {
    pub(super) fn new() -> Self {
        Files { directory: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn word(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// A repository with one object of each type, whose bytes are the names of their folders.
    pub(super) fn repository(&self, path: &str) {
        self.write(&format!("{path}/config"), format!("config of {path}").as_bytes());
        for folder in ["keys", "index", "snapshots", "locks"] {
            self.write(&format!("{path}/{folder}/{}", name_of(folder.as_bytes())), folder.as_bytes());
        }
        self.pack(path, b"data");
    }

    /// A pack with these bytes. Returns its name.
    pub(super) fn pack(&self, path: &str, bytes: &[u8]) -> String {
        let name = name_of(bytes);
        self.write(&format!("{path}/data/{}/{name}", &name[..2]), bytes);
        name
    }

    pub(super) fn write(&self, file: &str, bytes: &[u8]) -> PathBuf {
        // Of the root repository the path is empty, and an absolute one would lead out of the directory.
        let file = self.path().join(file.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
        file
    }
}
