//! Reads objects: a part at a time, never more than a piece in memory.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};

use super::error::Error;
use super::files::{self, blocking};
use super::ledger;
use super::measure::{self, Action};
use super::name::{ObjectName, RepositoryPath};
use super::range::{Extent, Range};
use super::repositories::Repositories;
use super::repository::Repository;
use crate::clock::Timestamp;
use crate::config::Access;

/// How many bytes are read at a time.
const PIECE_BYTES: u64 = 256 * 1024;

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
        let opened = blocking(move || Opened::open(&repository, object, range)).await?;
        let Opened { file, size, arrive_time, extent, first } = opened;
        measure::count(Action::Read, user, path, object, extent.length);
        let rest = Extent { first: extent.first + first.len() as u64, length: extent.length - first.len() as u64 };
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        let pieces = if rest.length == 0 { first.boxed() } else { first.chain(rest_of(file, rest, object)).boxed() };
        Ok(Download { size, arrive_time, extent, pieces })
    }
}

/// An open object with its first piece.
struct Opened {
    file: File,
    size: u64,
    arrive_time: Timestamp,
    extent: Extent,
    first: Bytes,
}

impl Opened {
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
        let first = read_piece(&file, extent).map_err(io)?;
        Ok(Opened { file, size, arrive_time: files::modify_time(&metadata), extent, first })
    }
}

/// Reads the beginning of an extent. An object that is shorter than it was is an error.
fn read_piece(file: &File, extent: Extent) -> io::Result<Bytes> {
    let length = extent.length.min(PIECE_BYTES);
    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut piece, extent.first)?;
    Ok(piece.into())
}

/// The pieces of an extent; the next one is read while one is on its way.
fn rest_of(file: File, extent: Extent, object: ObjectName) -> impl stream::Stream<Item = Result<Bytes, Error>> + Send {
    let file = Arc::new(file);
    let read = move |extent: Extent| {
        let file = Arc::clone(&file);
        tokio::spawn(blocking(move || {
            read_piece(&file, extent).map_err(|error| Error::io(format!("{object} cannot be read further"), error))
        }))
    };
    let begun = read(extent);
    stream::unfold((Some((begun, extent)), read), |(state, read)| async move {
        let (piece, extent) = state?;
        let piece = piece.await.unwrap_or_else(|error| Err(Error::io("a piece was not read", io::Error::other(error))));
        let length = extent.length.min(PIECE_BYTES);
        let rest = Extent { first: extent.first + length, length: extent.length - length };
        let next = (piece.is_ok() && rest.length > 0).then(|| (read(rest), rest));
        Some((piece, (next, read)))
    })
}
