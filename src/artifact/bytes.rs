//! Bytes of artifacts: received, kept, and read.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use steward_proto::store::v1::BlobRecord;
use tokio::task::JoinHandle;

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use crate::blob::{Algorithm, Blobs, Digest, Extent, Gathered, Hasher, Reader, Staged, read_through};
use crate::store::tx;

/// The most bytes that are read into memory at once: a little more than a manifest may have.
const MAX_SMALL_BYTES: u64 = 8 << 20;

/// Bytes that are being received and have no name yet. Nothing is left of them when this is dropped.
pub(super) struct Receiving {
    artifacts: Artifacts,
    what: String,
    size: u64,
    gathered: Gathered,
    writing: Option<JoinHandle<io::Result<Staged>>>,
}

/// Bytes that are kept: in the store of blobs, with a record. A sweep leaves them alone for long enough that somebody can refer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Their SHA-256.
    pub(super) digest: Digest,
    /// How many they are.
    pub(super) size: u64,
    /// Their MD5 in hexadecimal digits.
    pub(super) md5: String,
    /// Their CRC-64/XZ in decimal digits.
    pub(super) crc64ecma: String,
}

/// Which part of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte; negative: counted from the end. `None`: all bytes.
    pub(super) offset: Option<i64>,
    /// How many at most; `None`: to the end.
    pub(super) length: Option<u64>,
}

/// Bytes that are being read.
pub(super) struct Reading {
    /// How long the whole is.
    pub(super) size: u64,
    /// The first byte.
    pub(super) offset: u64,
    /// How many follow.
    pub(super) length: u64,
    /// They.
    pub(super) pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl Receiving {
    /// Takes some bytes. Refused when they are more than may be.
    pub(super) async fn accept(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.size = self.size.saturating_add(chunk.len() as u64);
        self.artifacts.check_size(&self.what, self.size)?;
        self.gathered.push(chunk);
        if !self.gathered.is_full() {
            return Ok(());
        }
        let staged = self.staged().await?;
        let (blobs, chunks) = (self.artifacts.blobs.clone(), self.gathered.take());
        self.writing = Some(tokio::task::spawn_blocking(move || write(&blobs, staged, &chunks)));
        Ok(())
    }

    /// How many have come.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Makes them last, under their SHA-256, unless they are refused.
    pub(super) async fn keep(
        mut self,
        check: impl FnOnce(&Kept) -> Result<(), Error> + Send + 'static,
    ) -> Result<Kept, Error> {
        let staged = self.staged().await?;
        let (artifacts, chunks, size) = (self.artifacts.clone(), self.gathered.take(), self.size);
        self.artifacts
            .to_the_end(async move {
                let blobs = artifacts.blobs.clone();
                let staged = blocking(move || write(&blobs, staged, &chunks)).await?;
                let (Some(sha256), Some(checksums)) = (staged.hasher().sha256(), staged.hasher().checksums()) else {
                    return Err(Error::Internal("the bytes of an artifact were not hashed".to_owned()));
                };
                let digest = Digest::sha256(sha256);
                let kept = Kept { digest, size, md5: checksums.md5, crc64ecma: checksums.crc64ecma };
                check(&kept)?;
                let published = kept.digest.clone();
                artifacts.keep_blob(&kept.digest, size, move |blobs| blobs.publish(&staged, &published)).await?;
                Ok(kept)
            })
            .await
    }

    /// The file so far, when its thread is done with what it got before.
    async fn staged(&mut self) -> Result<Option<Staged>, Error> {
        let Some(writing) = self.writing.take() else { return Ok(None) };
        Ok(Some(writing.await.map_err(io::Error::other)??))
    }
}

fn write(blobs: &Blobs, staged: Option<Staged>, chunks: &[Bytes]) -> io::Result<Staged> {
    let begin = || blobs.begin(Hasher::digest_of(Algorithm::Sha256).with_checksums());
    let mut staged = staged.map_or_else(begin, Ok)?;
    staged.write(chunks)?;
    Ok(staged)
}

impl Part {
    /// The part of `size` bytes that is meant. A beginning behind the end is not satisfiable, and neither is a part of
    /// nothing (RFC 9110, 14.1.2).
    fn of(self, size: u64) -> Result<Extent, Error> {
        if self.length == Some(0) {
            return Err(Error::InvalidRange("the range has no bytes".to_owned()));
        }
        let first = match self.offset {
            None if self.length.is_none() => return Ok(Extent { first: 0, length: size }),
            None => 0,
            Some(offset) => u64::try_from(offset).unwrap_or_else(|_| size.saturating_sub(offset.unsigned_abs())),
        };
        if first >= size {
            return Err(Error::RangeNotSatisfiable { size });
        }
        Ok(Extent { first, length: self.length.unwrap_or(u64::MAX).min(size - first) })
    }
}

impl Artifacts {
    /// Begins to receive bytes. `what` names them in errors.
    pub(super) fn receive(&self, what: &str) -> Receiving {
        Receiving {
            artifacts: self.clone(),
            what: what.to_owned(),
            size: 0,
            gathered: Gathered::default(),
            writing: None,
        }
    }

    pub(super) fn check_size(&self, what: &str, size: u64) -> Result<(), Error> {
        let limit = self.settings.max_blob_bytes;
        if size > limit { Err(Error::TooLarge { what: what.to_owned(), limit }) } else { Ok(()) }
    }

    /// Keeps a few bytes, such as those of a manifest, under this digest, which is theirs.
    pub(super) async fn keep_bytes(&self, digest: &Digest, content: Bytes) -> Result<(), Error> {
        let (artifacts, digest) = (self.clone(), digest.clone());
        self.to_the_end(async move {
            let published = digest.clone();
            let publish = move |blobs: &Blobs, content: Bytes| {
                let mut staged = blobs.begin(Hasher::default())?;
                staged.write(&[content])?;
                blobs.publish(&staged, &published)
            };
            let size = content.len() as u64;
            artifacts.keep_blob(&digest, size, move |blobs| publish(blobs, content)).await
        })
        .await
    }

    /// Gives bytes a file, by `publish`, and a record, if they have none, so that both last.
    async fn keep_blob(
        &self,
        digest: &Digest,
        size: u64,
        publish: impl FnOnce(&Blobs) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let _lock = self.blobs.lock(digest).await;
        self.have_file(digest, size, publish).await?;
        let kept = self.decide(digest, |mut tx| async move {
            tx.record_blob(digest, size, self.now_us(), self.settings.sweep_after).await?;
            Ok(tx.answer(()))
        });
        self.take_file_back_unless(digest, kept.await).await.map(|((), _)| ())
    }

    /// Makes sure that a blob has its file, by `publish`; the lock of its digest is held.
    pub(super) async fn have_file(
        &self,
        digest: &Digest,
        size: u64,
        publish: impl FnOnce(&Blobs) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let known: Option<BlobRecord> = tx::read(&*self.store, &keys::blob(digest)).await?;
        let (blobs, looked_for) = (self.blobs.clone(), digest.clone());
        blocking(move || {
            // With a record, the file lasts already.
            if known.is_some() && blobs.size(&looked_for)? == Some(size) { Ok(()) } else { publish(&blobs) }
        })
        .await
    }

    /// Takes the file of a blob away again whose record was refused; the lock of its digest is held.
    pub(super) async fn take_file_back_unless<T>(
        &self,
        digest: &Digest,
        recorded: Result<T, Error>,
    ) -> Result<T, Error> {
        // When the store failed, nobody knows whether the commit was made: the next start looks.
        if recorded.as_ref().is_err_and(|error| !matches!(error, Error::Store(_))) {
            self.remove_unrecorded(digest).await?;
        }
        recorded
    }

    /// Removes the file of a blob that has no record; the lock of its digest is held. Returns whether there was none.
    pub(super) async fn remove_unrecorded(&self, digest: &Digest) -> Result<bool, Error> {
        if self.store.get(&keys::blob(digest)).await?.is_some() {
            return Ok(false);
        }
        self.store.settled().await?;
        let (blobs, digest) = (self.blobs.clone(), digest.clone());
        blocking(move || blobs.remove(&digest)).await?;
        Ok(true)
    }

    /// Reads a part of a blob; whether the caller may is decided before.
    pub(super) async fn read_part(&self, digest: &Digest, part: Part) -> Result<Reading, Error> {
        let (file, metadata) = self.open_blob(digest).await?;
        let size = metadata.len();
        let extent = part.of(size)?;
        let mut reader = Reader::new(file, extent);
        // Before anything is answered: what cannot be read at all is better told.
        let first = reader.next().await.transpose().map_err(|error| damaged(digest, &error))?;
        if reader.knows_cache() {
            self.blobs.knows_cache();
        }
        let digest = digest.clone();
        let rest = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        let rest = rest.map(move |piece| piece.map_err(|error| damaged(&digest, &error)));
        let pieces = stream::iter(first.map(Ok)).chain(rest).boxed();
        Ok(Reading { size, offset: extent.first, length: extent.length, pieces })
    }

    async fn open_blob(&self, digest: &Digest) -> Result<(File, Metadata), Error> {
        if let Some(opened) = self.blobs.open_cached(digest) {
            return Ok(opened);
        }
        let (blobs, wanted) = (self.blobs.clone(), digest.clone());
        match tokio::task::spawn_blocking(move || blobs.open_file(&wanted)).await.map_err(io::Error::other)? {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let is_known = self.store.get(&keys::blob(digest)).await?.is_some();
                Err(if is_known { damaged(digest, &error) } else { Error::BlobNotFound(digest.to_string()) })
            }
            result => Ok(result?),
        }
    }

    /// Reads a few bytes, such as those of a manifest.
    pub(super) async fn read_bytes(&self, digest: &Digest) -> Result<Bytes, Error> {
        let mut reading = self.read_part(digest, Part::default()).await?;
        let capacity = usize::try_from(reading.length).ok().filter(|_| reading.length <= MAX_SMALL_BYTES);
        let Some(capacity) = capacity else {
            return Err(Error::TooLarge { what: digest.to_string(), limit: MAX_SMALL_BYTES });
        };
        let mut content = BytesMut::with_capacity(capacity);
        while let Some(piece) = reading.pieces.next().await {
            let piece = piece?;
            if piece.len() == capacity {
                return Ok(piece);
            }
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    /// The MD5 and CRC-64/XZ of a blob that is there: made while it came, or read from the disk.
    pub(super) async fn checksums(&self, digest: &Digest) -> Result<(String, String), Error> {
        if let Some(known) = self.uploads.checksums_of(digest) {
            return Ok((known.md5, known.crc64ecma));
        }
        let (file, metadata) = self.open_blob(digest).await?;
        let checksums = blocking(move || {
            let mut hasher = Hasher::default().with_checksums();
            read_through(&file, metadata.len(), |bytes| hasher.update(bytes))?;
            Ok(hasher.checksums())
        });
        let checksums = checksums.await?;
        let checksums = checksums.ok_or_else(|| Error::Internal("no checksums were made".to_owned()))?;
        Ok((checksums.md5, checksums.crc64ecma))
    }
}

fn damaged(digest: &Digest, error: &io::Error) -> Error {
    Error::DataDamaged(format!("blob {digest} cannot be read: {error}"))
}

/// Does `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}
