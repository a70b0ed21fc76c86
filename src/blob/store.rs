//! The files of the blobs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store of blobs in a directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    directory: PathBuf,
}

impl Blobs {
    /// The blobs in a directory, which is made if it is not there. Blocks.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Blobs(Arc::new(Parts { directory: directory.to_owned() })))
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }
}
