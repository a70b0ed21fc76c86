//! Makes a file with all its bytes an object: checked, lasting, and under its name or not at all.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::bucket::BucketId;
use super::error::Error;
use super::ledger::{Entry as Booking, Reservation};
use super::name::{Kind, ObjectId, ObjectName};
use super::repository::{Flight, Repository};
use super::{damaged, files};
use crate::blob::{Algorithm, Hasher, Published, Staged};
use crate::clock::Timestamp;

/// How many locks a repository has at most: each running command has one, and whoever may read may add some.
pub(super) const MAX_LOCKS: usize = 1000;

/// What an upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) arrive_time: Timestamp,
    /// It was there before.
    pub(super) already_existed: bool,
}

/// An object that is about to be stored. Its functions block.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) repository: Arc<Repository>,
    pub(super) object: ObjectName,
    /// Whether the name has to be the digest of the bytes.
    pub(super) verify: bool,
}

impl Publication {
    /// Begins the file.
    pub(super) fn begin(&self) -> io::Result<Staged> {
        let layout = &self.repository.layout;
        let (directory, sharing) = (layout.directory_of(self.object), self.repository.around.sharing);
        // A config is hashed too: it can only be compared by its bytes.
        let wants_digest = self.verify || self.object == ObjectName::Config;
        let hasher = || if wants_digest { Hasher::digest_of(Algorithm::Sha256) } else { Hasher::default() };
        let begin = || Staged::begin(&directory, &layout.temporary(), sharing, hasher());
        match begin() {
            // A tree that others made need not have every directory. One that is gone is not made again: it may have
            // been on a disk that is no longer there.
            Err(error) if error.kind() == ErrorKind::NotFound && !self.repository.is_gone() => {
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

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format!("{} cannot be written to repository {}", self.object, self.repository.path), error)
    }

    fn check(&self, digest: Option<ObjectId>) -> Result<(), Error> {
        match (self.object, digest) {
            (ObjectName::Blob(_, id), Some(digest)) if self.verify && id != digest => {
                Err(Error::ContentMismatch { object: self.object, actual: digest.hex() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a lock where there are as many as may be.
    fn check_locks(&self) -> Result<(), Error> {
        let Publication { repository, object: ObjectName::Blob(Kind::Lock, id), .. } = self else { return Ok(()) };
        let bucket = BucketId::of(Kind::Lock, *id);
        let is_full = || repository.index.bucket(bucket).entries().len() >= MAX_LOCKS;
        if is_full() {
            // Somebody else may have removed some.
            repository.refresh(bucket)?;
        }
        if is_full() {
            return Err(Error::TooManyLocks { repository: repository.path.clone(), limit: MAX_LOCKS });
        }
        Ok(())
    }

    /// Writes the last bytes, checks all of them, and publishes the object so that it lasts.
    pub(super) fn store(
        &self,
        staged: Option<Staged>,
        chunks: &[Bytes],
        reservation: Option<Reservation>,
    ) -> Result<Stored, Error> {
        let Publication { repository, object, .. } = self;
        self.check_locks()?;
        let mut staged = staged.map_or_else(|| self.begin(), Ok).map_err(|error| self.failed(error))?;
        staged.write(chunks).map_err(|error| self.failed(error))?;
        let digest = staged.hasher().sha256().map(ObjectId);
        self.check(digest)?;
        staged.sync().map_err(|error| self.failed(error))?;
        let flight = repository.take_off(*object);
        let path = repository.layout.object(*object);
        let mut published = staged.publish(&path).map_err(|error| self.failed(error))?;
        if published == Published::Taken {
            if let Some(stored) = self.compare(digest, staged.size(), &flight)? {
                return Ok(stored);
            }
            // What had the name was damaged, and has been moved aside.
            published = staged.publish(&path).map_err(|error| self.failed(error))?;
        }
        if published == Published::Taken {
            return Err(Error::Busy { object: *object });
        }
        if let Err(error) = files::sync_directory(&repository.layout.directory_of(*object)) {
            // Not known to last, so it must not be told of. Nobody else has told of it: they wait for the flight.
            let _ = std::fs::remove_file(&path);
            return Err(self.failed(error));
        }
        let (size, arrive_time) = repository.look(*object)?.ok_or(Error::Busy { object: *object })?;
        flight.know((size, arrive_time), reservation, Booking::default());
        Ok(Stored { size, arrive_time, already_existed: false })
    }

    /// Ends an upload of an object that was there when it began: nothing was written.
    pub(super) fn compare_whole(&self, mut hash: Sha256, chunks: &[Bytes], size: u64) -> Result<Stored, Error> {
        for chunk in chunks {
            hash.update(chunk);
        }
        let digest = ObjectId(hash.finalize().into());
        self.check(Some(digest))?;
        let flight = self.repository.take_off(self.object);
        // It was damaged, or is gone: the bytes that came are gone too, and are needed again.
        self.compare(Some(digest), size, &flight)?.ok_or(Error::Busy { object: self.object })
    }

    /// Says whether what is there is what was sent, and makes that last: whoever stored it may not have come so far.
    /// `None`: it is not there any more, or was damaged and has been moved aside.
    fn compare(&self, digest: Option<ObjectId>, size: u64, flight: &Flight<'_>) -> Result<Option<Stored>, Error> {
        let Publication { repository, object, .. } = self;
        let path = repository.layout.object(*object);
        let Some((existing, existing_size)) =
            files::optional(damaged::hash(&path)).map_err(|error| self.failed(error))?
        else {
            return Ok(None);
        };
        // Unverified bytes have no digest to be told by.
        let is_same = digest.map_or(existing_size == size, |digest| digest == existing);
        if !is_same {
            if self.verify && damaged::set_aside(repository, *object, flight)? {
                return Ok(None);
            }
            return Err(Error::Exists { repository: repository.path.clone(), object: *object });
        }
        let last = || File::open(&path)?.sync_all();
        last().map_err(|error| self.failed(error))?;
        files::sync_directory(&repository.layout.directory_of(*object)).map_err(|error| self.failed(error))?;
        let Some((size, arrive_time)) = repository.look(*object)? else { return Ok(None) };
        if *object != ObjectName::Config && repository.known(*object).is_none() {
            // Somebody else has put it there.
            flight.know((size, arrive_time), None, Booking::default());
        }
        Ok(Some(Stored { size, arrive_time, already_existed: true }))
    }
}
