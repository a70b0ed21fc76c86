//! Stores objects: bytes come in pieces, and are published when all of them are there and right.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::error::Error;
use super::files::{self, blocking};
use super::ledger::{self, Reservation};
use super::measure::{self, Action};
use super::name::{ObjectId, ObjectName, RepositoryPath};
use super::repositories::Repositories;
use super::repository::Repository;
use super::staged::{Published, Staged};
use crate::clock::Timestamp;

/// Bytes are gathered up to this before they are written: few trips to a thread that may block, and little memory.
const BATCH_BYTES: usize = 256 * 1024;

/// An upload that has begun. Dropped, it leaves nothing.
#[derive(Debug)]
pub(super) struct Upload {
    repositories: Repositories,
    repository: Arc<Repository>,
    user: Option<String>,
    object: ObjectName,
    /// How many bytes are to come, if that is known.
    expected: Option<u64>,
    received: u64,
    /// Promised by the quotas for what is expected or was received.
    reservation: Option<Reservation>,
    sink: Sink,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
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

/// What an upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) arrive_time: Timestamp,
    /// It was there before.
    pub(super) already_existed: bool,
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
    ) -> Result<Upload, Error> {
        self.require_access(user, path, object.access_to_add())?;
        let repository = self.find_or_create(user, path).await?;
        // What the index does not know is tried: the file system says whether the name is taken.
        let may_exist = object == ObjectName::Config || repository.known(object).is_some();
        let exists = may_exist && {
            let repository = Arc::clone(&repository);
            blocking(move || repository.look(object)).await?.is_some()
        };
        let sink = if exists { Sink::Comparing(Box::default()) } else { Sink::Unopened };
        let mut upload = Upload {
            repositories: self.clone(),
            repository,
            user: user.map(str::to_owned),
            object,
            expected: size,
            received: 0,
            reservation: None,
            sink,
            gathered: Vec::new(),
            gathered_bytes: 0,
        };
        upload.check_size(size.unwrap_or(0))?;
        self.counted_for_quotas(&upload.repository).await;
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
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= BATCH_BYTES { self.write().await } else { Ok(()) }
    }

    fn check_size(&self, size: u64) -> Result<(), Error> {
        let limit = self.repositories.0.limits.max_object_bytes;
        if size > limit { Err(self.refused(Error::TooLarge { limit })) } else { Ok(()) }
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Error> {
        if matches!(self.sink, Sink::Comparing(_)) {
            return Ok(());
        }
        let rules = &self.repositories.0.rules;
        let reserved =
            self.repository.around.ledger.reserve(&self.repository.path, bytes, |owner| rules.max_bytes(owner));
        let reserved = reserved.map_err(|error| self.refused(error))?;
        match &mut self.reservation {
            Some(reservation) => reservation.join(reserved),
            None => self.reservation = Some(reserved),
        }
        Ok(())
    }

    fn refused(&self, error: Error) -> Error {
        let reason = match error {
            Error::TooLarge { .. } => "size",
            Error::QuotaExceeded { .. } => "quota",
            Error::DiskFull => "disk",
            _ => "content",
        };
        measure::refused(&self.repository.path, reason);
        error
    }

    /// Why an upload is refused whose end never came.
    pub(super) fn without_end(&self) -> Error {
        self.broken_off(format!("it ended after {} bytes without `finish`", self.received))
    }

    fn broken_off(&self, problem: String) -> Error {
        Error::BrokenOff { object: self.object, problem }
    }

    /// Hands what was gathered to a thread, when that is done with what it got before.
    async fn write(&mut self) -> Result<(), Error> {
        let chunks = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
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
                let staging = Staging::of(self);
                Sink::Writing(tokio::task::spawn_blocking(move || {
                    let mut staged = staged.map_or_else(|| staging.begin(), Ok)?;
                    staged.write(&chunks)?;
                    Ok(staged)
                }))
            }
        };
        Ok(())
    }

    async fn staged(&self, sink: Sink) -> Result<Option<Staged>, Error> {
        let Sink::Writing(task) = sink else { return Ok(None) };
        let staged = task.await.map_err(|error| lost(&error))?;
        staged.map(Some).map_err(|error| self.write_failed(error))
    }

    fn write_failed(&self, error: io::Error) -> Error {
        self.refused(Error::io(
            format!("{} cannot be written to repository {}", self.object, self.repository.path),
            error,
        ))
    }

    /// Ends the upload, which had `size` bytes. Returns when the object survives a power loss.
    pub(super) async fn finish(mut self, size: u64) -> Result<Stored, Error> {
        if size != self.received || self.expected.is_some_and(|expected| expected != size) {
            let announced = self.expected.unwrap_or(size);
            return Err(self.broken_off(format!("{} of {announced} bytes came", self.received)));
        }
        let chunks = std::mem::take(&mut self.gathered);
        let stored = match std::mem::replace(&mut self.sink, Sink::Unopened) {
            Sink::Comparing(mut hash) => {
                let (repository, object) = (Arc::clone(&self.repository), self.object);
                let verify = self.verifies();
                blocking(move || {
                    for chunk in &chunks {
                        hash.update(chunk);
                    }
                    compare(&repository, object, verify, ObjectId(hash.finalize().into()), size)
                })
                .await
            }
            sink => {
                let staged = self.staged(sink).await?;
                let staging = Staging::of(&self);
                blocking(move || staging.store(staged, &chunks)).await
            }
        };
        let stored = stored.map_err(|error| self.refused(error))?;
        if !stored.already_existed {
            measure::count(Action::Write, self.user.as_deref(), &self.repository.path, self.object, size);
        }
        Ok(stored)
    }

    fn verifies(&self) -> bool {
        self.repositories.0.limits.verify_uploads && self.object != ObjectName::Config
    }
}

fn lost(error: &tokio::task::JoinError) -> Error {
    Error::io("an upload was not written", io::Error::other(error.to_string()))
}

/// What is needed to write an object on a thread that may block.
struct Staging {
    repository: Arc<Repository>,
    object: ObjectName,
    verify: bool,
}

impl Staging {
    fn of(upload: &Upload) -> Self {
        Staging { repository: Arc::clone(&upload.repository), object: upload.object, verify: upload.verifies() }
    }

    fn begin(&self) -> io::Result<Staged> {
        let layout = &self.repository.layout;
        let (directory, sharing) = (layout.directory_of(self.object), self.repository.around.sharing);
        let begin = || Staged::begin(&directory, &layout.temporary(), sharing, self.verify);
        match begin() {
            // A tree that others made need not have every directory.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                sharing.create_directory(&directory)?;
                for parent in directory.ancestors().skip(1).take_while(|parent| parent.starts_with(layout.directory()))
                {
                    files::sync_directory(parent)?;
                }
                begin()
            }
            result => result,
        }
    }

    /// Writes the last bytes, checks all of them, and publishes the object so that it lasts.
    fn store(&self, staged: Option<Staged>, chunks: &[Bytes]) -> Result<Stored, Error> {
        let Staging { repository, object, .. } = self;
        let io = |error| Error::io(format!("{object} cannot be written to repository {}", repository.path), error);
        let mut staged = staged.map_or_else(|| self.begin(), Ok).map_err(io)?;
        staged.write(chunks).map_err(io)?;
        if let (ObjectName::Blob(_, id), Some(digest)) = (object, staged.digest())
            && *id != digest
        {
            return Err(Error::ContentMismatch { object: *object, actual: digest.hex() });
        }
        staged.sync().map_err(io)?;
        let size = staged.size();
        let path = repository.layout.object(*object);
        let _flight = repository.take_off(*object);
        let published = staged.publish(&path).map_err(io)?;
        if let Err(error) = files::sync_directory(&repository.layout.directory_of(*object)) {
            if published == Published::New {
                // Not known to last, so it must not be told of; if this fails too, the next reading finds it whole.
                let _ = std::fs::remove_file(&path);
            }
            return Err(io(error));
        }
        if published == Published::Taken {
            // Another upload of the same name was quicker.
            return self.compare_with_file(size);
        }
        let (_, arrive_time) = repository.look(*object)?.ok_or_else(|| Error::no_object(&repository.path, *object))?;
        repository.know(*object, size, arrive_time, ledger::Entry::added(size));
        Ok(Stored { size, arrive_time, already_existed: false })
    }

    fn compare_with_file(&self, size: u64) -> Result<Stored, Error> {
        // What was staged has this digest; a config has no digest for a name, so two that race are told apart only by
        // reading: the slower one is refused, and asks again.
        let ObjectName::Blob(_, id) = self.object else {
            return Err(exists(&self.repository, self.object));
        };
        compare(&self.repository, self.object, self.verify, id, size)
    }
}

fn exists(repository: &Repository, object: ObjectName) -> Error {
    Error::Exists { repository: repository.path.clone(), object }
}

/// Whether an object that is there has the `size` bytes with this `digest`.
fn compare(
    repository: &Repository,
    object: ObjectName,
    verify: bool,
    digest: ObjectId,
    size: u64,
) -> Result<Stored, Error> {
    if let (true, ObjectName::Blob(_, id)) = (verify, object)
        && id != digest
    {
        return Err(Error::ContentMismatch { object, actual: digest.hex() });
    }
    let Some((existing_size, arrive_time)) = repository.look(object)? else {
        return Err(Error::no_object(&repository.path, object));
    };
    let is_same = existing_size == size
        && (verify || {
            let io = |error| Error::io(format!("{object} of repository {} cannot be read", repository.path), error);
            let mut file = File::open(repository.layout.object(object)).map_err(io)?;
            let mut hash = Sha256::new();
            io::copy(&mut file, &mut hash).map_err(io)?;
            ObjectId(hash.finalize().into()) == digest
        });
    if !is_same {
        return Err(exists(repository, object));
    }
    Ok(Stored { size, arrive_time, already_existed: true })
}
