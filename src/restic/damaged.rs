//! Objects whose bytes are not what their names promise: found by reading them, and moved aside.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::files;
use super::ledger;
use super::name::{ObjectId, ObjectName};
use super::repository::{Flight, Repository};

/// How many bytes are read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// The SHA-256 of a file, and its size in bytes.
pub(super) fn hash(path: &Path) -> io::Result<(ObjectId, u64)> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut hash, mut size) = (Sha256::new(), 0);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok((ObjectId(hash.finalize().into()), size));
        }
        hash.update(&piece[..length]);
        size += length as u64;
    }
}

/// Moves an object aside that is still damaged: nobody has replaced it since that was found. Returns whether it was.
/// A config has no digest for a name; it is damaged when it is empty.
pub(super) fn set_aside(repository: &Repository, object: ObjectName, flight: &Flight<'_>) -> Result<bool, Error> {
    let io = |error| Error::io(format!("{object} of repository {} cannot be moved aside", repository.path), error);
    let path = repository.layout.object(object);
    let Some((id, size)) = files::optional(hash(&path)).map_err(io)? else { return Ok(false) };
    let is_damaged = match object {
        ObjectName::Config => size == 0,
        ObjectName::Blob(_, wanted) => wanted != id,
    };
    if !is_damaged {
        return Ok(false);
    }
    let directory = repository.layout.damaged();
    repository.around.sharing.create_directory(&directory).map_err(io)?;
    let name = object.to_string().replace('/', "-");
    std::fs::rename(&path, free_name(&directory, &name)).map_err(io)?;
    files::sync_directory(&repository.layout.directory_of(object)).map_err(io)?;
    flight.forget(ledger::Entry::default());
    tracing::warn!(repository = %repository.path, %object, "a damaged object was moved aside");
    Ok(true)
}

fn free_name(directory: &Path, name: &str) -> PathBuf {
    let mut path = directory.join(name);
    let mut number = 1;
    while path.exists() {
        path = directory.join(format!("{name}-{number}"));
        number += 1;
    }
    path
}
