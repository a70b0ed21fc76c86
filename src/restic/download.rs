//! Reads objects: a part at a time, never more than a piece in memory.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::error::Error;
use super::files::{self, blocking};
use super::ledger;
use super::measure::{self, Action};
use super::name::{ObjectName, RepositoryPath};
use super::pieces::Reader;
use super::range::{Extent, Range};
use super::repositories::Repositories;
use super::repository::Repository;
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
        let cached = Opened::from_cache(&repository, object, range);
        let opened = match cached {
            Some(opened) => opened,
            None => blocking(move || Opened::open(&repository, object, range)).await?,
        };
        let Opened { size, arrive_time, extent, first, reader } = opened;
        measure::count(Action::Read, user, path, object, extent.length);
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        let rest = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        let failed = move |error| Error::io(format!("{object} cannot be read further"), error);
        let pieces = first.chain(rest.map(move |piece| piece.map_err(failed))).boxed();
        Ok(Download { size, arrive_time, extent, pieces })
    }
}

/// An open object with its first piece.
struct Opened {
    size: u64,
    arrive_time: Timestamp,
    extent: Extent,
    first: Bytes,
    reader: Reader,
}

impl Opened {
    /// Opens an object if that takes no waiting: its name and its first bytes are in memory. `None` says nothing.
    fn from_cache(repository: &Repository, object: ObjectName, range: Range) -> Option<Self> {
        let path = repository.layout.object(object);
        let file = openat2(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let file = File::from(file);
        let metadata = file.metadata().ok()?;
        let extent = range.of(metadata.len()).ok()?;
        let mut reader = Reader::new(file, extent);
        let first = reader.read_cached()?;
        Some(Opened { size: metadata.len(), arrive_time: files::modify_time(&metadata), extent, first, reader })
    }

    fn open(repository: &Arc<Repository>, object: ObjectName, range: Range) -> Result<Self, Error> {
        let io = |error| Error::io(format!("{object} of repository {} cannot be read", repository.path), error);
        let file = match File::open(repository.layout.object(object)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                // Somebody else has removed it, or is just about to replace it.
                let flight = repository.take_off(object);
                if repository.known(object).is_some() && repository.look(object)?.is_none() {
                    flight.forget(ledger::Entry::default());
                }
                return Err(Error::no_object(&repository.path, object));
            }
            result => result.map_err(io)?,
        };
        let metadata = file.metadata().map_err(io)?;
        let size = metadata.len();
        let extent = range.of(size)?;
        let mut reader = Reader::new(file, extent);
        let first = reader.read().map_err(io)?;
        Ok(Opened { size, arrive_time: files::modify_time(&metadata), extent, first, reader })
    }
}
