//! Where the files of a repository are: restic's local layout, and beside it a directory of Steward's own.
//!
//! ```text
//! <repository>/config
//! <repository>/data/ab/<64 digits that begin with ab>
//! <repository>/{index,keys,locks,snapshots}/<64 digits>
//! <repository>/.steward/repository.toml           its owner and its quota
//! <repository>/.steward/index                     the index, so that a start need not read the directories
//! <repository>/.steward/vanished                  objects that somebody else removed, for the next verification
//! <repository>/.steward/deleted/<type>/<name>-<deleted>-<swept>-<user>
//! <repository>/.steward/damaged/<type>-<name>     what a repair moved aside
//! <repository>/.steward/temporary/                uploads, on file systems without unnamed files
//! ```

use std::path::{Path, PathBuf};

use super::bucket::BucketId;
use super::name::{Kind, OWN_PREFIX, ObjectName, RepositoryPath};

/// The paths of one repository.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// Of the repository at `path` below `root`. A [`RepositoryPath`] never leads out of `root`.
    pub(super) fn new(root: &Path, path: &RepositoryPath) -> Self {
        Layout { directory: if path.is_root() { root.to_owned() } else { root.join(path.as_str()) } }
    }

    /// The repository itself.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of an object.
    pub(super) fn object(&self, name: ObjectName) -> PathBuf {
        match name {
            ObjectName::Config => self.directory.join("config"),
            ObjectName::Blob(kind, id) => self.bucket(BucketId::of(kind, id)).join(id.hex()),
        }
    }

    /// The directory that has the file of an object.
    pub(super) fn directory_of(&self, name: ObjectName) -> PathBuf {
        match name {
            ObjectName::Config => self.directory.clone(),
            ObjectName::Blob(kind, id) => self.bucket(BucketId::of(kind, id)),
        }
    }

    /// The directory of a kind.
    pub(super) fn kind(&self, kind: Kind) -> PathBuf {
        self.directory.join(kind.directory())
    }

    /// The directory of a bucket.
    pub(super) fn bucket(&self, bucket: BucketId) -> PathBuf {
        let kind = self.kind(bucket.kind());
        match bucket.fan_out() {
            Some(byte) => kind.join(format!("{byte:02x}")),
            None => kind,
        }
    }

    fn own(&self) -> PathBuf {
        self.directory.join(OWN_PREFIX)
    }

    /// The owner and the quota.
    pub(super) fn settings(&self) -> PathBuf {
        self.own().join("repository.toml")
    }

    /// The saved index.
    pub(super) fn index(&self) -> PathBuf {
        self.own().join("index")
    }

    /// What somebody else removed.
    pub(super) fn vanished(&self) -> PathBuf {
        self.own().join("vanished")
    }

    /// Where uploads are kept that need a name.
    pub(super) fn temporary(&self) -> PathBuf {
        self.own().join("temporary")
    }

    /// What a repair moved aside.
    pub(super) fn damaged(&self) -> PathBuf {
        self.own().join("damaged")
    }

    /// The deleted objects of a type.
    pub(super) fn deleted(&self, type_directory: &str) -> PathBuf {
        self.own().join("deleted").join(type_directory)
    }
}
