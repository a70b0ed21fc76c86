//! Takes the bytes of objects: they come in pieces, and only all of them make an object.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::create::Missing;
use super::error::Error;
use super::files::blocking;
use super::ledger::Reservation;
use super::measure::{self, Action};
use super::name::{Kind, ObjectName, RepositoryPath};
use super::publish::{Publication, Stored};
use super::repositories::Repositories;
use crate::blob::{Gathered, Staged};

/// The most bytes of a lock: restic's have a few hundred, and whoever may read may add some.
const MAX_LOCK_BYTES: u64 = 64 * 1024;

/// An upload that has begun. Dropped, it leaves nothing.
#[derive(Debug)]
pub(super) struct Upload {
    repositories: Repositories,
    publication: Publication,
    user: Option<String>,
    /// How many bytes are to come, if that is known.
    expected: Option<u64>,
    received: u64,
    /// Promised by the quotas for what is expected or was received.
    reservation: Option<Reservation>,
    sink: Sink,
    gathered: Gathered,
}

/// Where the bytes go.
#[derive(Debug)]
enum Sink {
    /// Nowhere yet.
    Unopened,
    /// To a file, which a thread is writing.
    Writing(JoinHandle<io::Result<Staged>>),
    /// Nowhere: there is an object of that name, and all that is wanted is whether it is the same.
    Comparing(Box<Sha256>),
}

impl Repositories {
    /// Begins an upload of `size` bytes, if that is known. Refused before any bytes come: who may not, what is too
    /// large, and what a quota has no room for.
    pub(super) async fn begin_upload(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        object: ObjectName,
        size: Option<u64>,
        missing: Missing,
    ) -> Result<Upload, Error> {
        self.require_access(user, path, object.access_to_add())?;
        let repository = self.find_or_create(user, path, missing).await?;
        // What the index does not know is tried: the file system says whether the name is taken.
        let may_exist = object == ObjectName::Config || repository.known(object).is_some();
        let existing = if may_exist {
            let repository = Arc::clone(&repository);
            blocking(move || repository.look(object)).await?
        } else {
            None
        };
        // One of another size is damaged, unless this one is: both have to be looked at.
        let is_taken = existing
            .is_some_and(|(existing, _)| object == ObjectName::Config || size.is_none_or(|size| size == existing));
        let verify = self.0.limits.verify_uploads && object != ObjectName::Config;
        let mut upload = Upload {
            repositories: self.clone(),
            publication: Publication { repository, object, verify },
            user: user.map(str::to_owned),
            expected: size,
            received: 0,
            reservation: None,
            sink: if is_taken { Sink::Comparing(Box::default()) } else { Sink::Unopened },
            gathered: Gathered::default(),
        };
        upload.check_size(size.unwrap_or(0))?;
        self.counted_for_quotas(&upload.publication.repository).await;
        upload.reserve(size.unwrap_or(0))?;
        Ok(upload)
    }
}

impl Upload {
    /// Takes the next bytes.
    pub(super) async fn accept(&mut self, chunk: Bytes) -> Result<(), Error> {
        let length = chunk.len() as u64;
        self.received = self.received.saturating_add(length);
        self.check_size(self.received)?;
        match self.expected {
            Some(expected) if self.received > expected => {
                return Err(self.broken_off(format!("it has more than the {expected} bytes that were announced")));
            }
            Some(_) => {}
            None => self.reserve(length)?,
        }
        self.gathered.push(chunk);
        if self.gathered.is_full() { self.write().await } else { Ok(()) }
    }

    fn check_size(&self, size: u64) -> Result<(), Error> {
        let limit = match self.publication.object {
            ObjectName::Blob(Kind::Lock, _) => self.repositories.0.limits.max_object_bytes.min(MAX_LOCK_BYTES),
            ObjectName::Blob(..) | ObjectName::Config => self.repositories.0.limits.max_object_bytes,
        };
        if size > limit { Err(self.refused(Error::TooLarge { limit })) } else { Ok(()) }
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Error> {
        if matches!(self.sink, Sink::Comparing(_)) {
            return Ok(());
        }
        let (rules, repository) = (&self.repositories.0.rules, &self.publication.repository);
        let reserved = repository.around.ledger.reserve(&repository.path, bytes, |owner| rules.max_bytes(owner));
        let reserved = reserved.map_err(|error| self.refused(error))?;
        match &mut self.reservation {
            Some(reservation) => reservation.join(reserved),
            None => self.reservation = Some(reserved),
        }
        Ok(())
    }

    /// Counts what was refused, and why; a failure of the server is no refusal.
    fn refused(&self, error: Error) -> Error {
        let reason = match error {
            Error::TooLarge { .. } => "size",
            Error::QuotaExceeded { .. } | Error::TooManyLocks { .. } => "quota",
            Error::DiskFull => "disk",
            Error::ContentMismatch { .. } | Error::BrokenOff { .. } => "content",
            Error::Exists { .. } => "exists",
            _ => return error,
        };
        measure::refused(&self.publication.repository.path, reason);
        error
    }

    /// Why an upload is refused whose end never came.
    pub(super) fn without_end(&self) -> Error {
        self.broken_off(format!("it ended after {} bytes without `finish`", self.received))
    }

    fn broken_off(&self, problem: String) -> Error {
        self.refused(Error::BrokenOff { object: self.publication.object, problem })
    }

    /// Hands what was gathered to a thread, when that is done with what it got before.
    async fn write(&mut self) -> Result<(), Error> {
        let chunks = self.gathered.take();
        self.sink = match std::mem::replace(&mut self.sink, Sink::Unopened) {
            Sink::Comparing(mut hash) => {
                let hashed = blocking(move || {
                    for chunk in &chunks {
                        hash.update(chunk);
                    }
                    Ok(hash)
                });
                Sink::Comparing(hashed.await?)
            }
            sink => {
                let staged = self.staged(sink).await?;
                let publication = self.publication.clone();
                Sink::Writing(tokio::task::spawn_blocking(move || {
                    let mut staged = staged.map_or_else(|| publication.begin(), Ok)?;
                    staged.write(&chunks)?;
                    Ok(staged)
                }))
            }
        };
        Ok(())
    }

    async fn staged(&self, sink: Sink) -> Result<Option<Staged>, Error> {
        let Sink::Writing(task) = sink else { return Ok(None) };
        let staged = task.await.map_err(io::Error::other).and_then(|staged| staged);
        let Publication { repository, object, .. } = &self.publication;
        staged.map(Some).map_err(|error| {
            self.refused(Error::io(format!("{object} cannot be written to repository {}", repository.path), error))
        })
    }

    /// Ends the upload, which had `size` bytes. Returns when the object survives a power loss.
    pub(super) async fn finish(mut self, size: u64) -> Result<Stored, Error> {
        if size != self.received || self.expected.is_some_and(|expected| expected != size) {
            let announced = self.expected.unwrap_or(size);
            return Err(self.broken_off(format!("{} of {announced} bytes came", self.received)));
        }
        let (chunks, publication) = (self.gathered.take(), self.publication.clone());
        let stored = match std::mem::replace(&mut self.sink, Sink::Unopened) {
            Sink::Comparing(hash) => blocking(move || publication.compare_whole(*hash, &chunks, size)).await,
            sink => {
                let staged = self.staged(sink).await?;
                // It goes with the file: whoever waits here may go away, and the file is published all the same.
                let reservation = self.reservation.take();
                blocking(move || publication.store(staged, &chunks, reservation)).await
            }
        };
        let stored = stored.map_err(|error| self.refused(error))?;
        if !stored.already_existed {
            let Publication { repository, object, .. } = &self.publication;
            measure::count(Action::Write, self.user.as_deref(), &repository.path, *object, size);
        }
        Ok(stored)
    }
}
