//! Reads objects: a part at a time, never more than a piece in memory.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};

use super::error::Error;
use super::files::{self, blocking};
use super::ledger;
use super::measure::{self, Action};
use super::name::{ObjectName, RepositoryPath};
use super::range::Range;
use super::repositories::Repositories;
use super::repository::Repository;
use crate::blob::{self, Extent, Reader};
use crate::clock::Timestamp;
use crate::config::Access;

/// An object that is being read.
pub(super) struct Download {
    /// How long the whole object is, in bytes.
    pub(super) size: u64,
    pub(super) arrive_time: Timestamp,
    /// Which part is read.
    pub(super) extent: Extent,
    /// Its bytes: exactly as many as the extent has, or an error.
    pub(super) pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl Repositories {
    /// Opens an object and reads the first piece of the wanted part.
    pub(super) async fn read(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        object: ObjectName,
        range: Range,
    ) -> Result<Download, Error> {
        self.require_access(user, path, Access::Read)?;
        let repository = self.find(path).await?.ok_or_else(|| Error::no_object(path, object))?;
        let unreadable = {
            let path = path.clone();
            move |error| Error::io(format!("{object} of repository {path} cannot be read"), error)
        };
        let (file, metadata) = if let Some(opened) = open_cached(&repository, object) {
            opened
        } else {
            let repository = Arc::clone(&repository);
            blocking(move || open(&repository, object)).await?
        };
        let size = metadata.len();
        let extent = range.of(size)?;
        let mut reader = Reader::new(file, extent);
        // Before anything is answered: what cannot be read at all is better told.
        let first = reader.next().await.transpose().map_err(&unreadable)?;
        if reader.knows_cache() {
            repository.knows_cache.store(true, Ordering::Relaxed);
        }
        measure::count(Action::Read, user, path, object, extent.length);
        let rest = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        let rest = rest.map(move |piece| piece.map_err(&unreadable));
        let pieces = stream::iter(first.map(Ok)).chain(rest).boxed();
        Ok(Download { size, arrive_time: files::modify_time(&metadata), extent, pieces })
    }
}

/// Opens an object unless that takes waiting. `None` says nothing.
fn open_cached(repository: &Repository, object: ObjectName) -> Option<(File, Metadata)> {
    // On a file system behind a network, opening takes waiting even where the name is known.
    if !repository.knows_cache.load(Ordering::Relaxed) {
        return None;
    }
    blob::open_cached(&repository.layout.object(object))
}

/// Opens an object. Blocks.
fn open(repository: &Repository, object: ObjectName) -> Result<(File, Metadata), Error> {
    let io = |error| Error::io(format!("{object} of repository {} cannot be read", repository.path), error);
    match File::open(repository.layout.object(object)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            // Somebody else has removed it, or is just about to replace it.
            let flight = repository.take_off(object);
            if repository.known(object).is_some() && repository.look(object)?.is_none() {
                flight.forget(ledger::Entry::default());
            }
            Err(Error::no_object(&repository.path, object))
        }
        result => {
            let file = result.map_err(io)?;
            let metadata = file.metadata().map_err(io)?;
            Ok((file, metadata))
        }
    }
}
