//! Uploads as this process knows them: who writes to one, and the hashes of what is there. All of it can be told anew
//! from the records and the files.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::error::Error;
use super::measure;
use crate::blob::{Algorithm, Checksums, Digest, Hasher, PartialStart};

/// Of so many blobs that came last the checksums are known.
const CHECKSUMS: usize = 4096;

/// All uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    sessions: Mutex<HashMap<Uuid, Arc<Session>>>,
    /// How many have a record, or are about to.
    count: AtomicUsize,
    /// Of blobs that came for files, which are soon asked for.
    checksums: Mutex<VecDeque<(Digest, Checksums)>>,
    /// Who brought them, and for which repository. Whoever is not known here any more brings the bytes again.
    brought: Mutex<VecDeque<(u64, String, Digest)>>,
}

/// One upload.
#[derive(Debug, Default)]
struct Session {
    hashed: Arc<tokio::sync::Mutex<Hashed>>,
    /// Whoever has it will soon let go of it, and waits for nobody.
    is_ending: AtomicBool,
}

/// The hashes of the first bytes of an upload.
#[derive(Debug, Default)]
pub(super) struct Hashed {
    /// Of so many bytes.
    size: u64,
    /// Made by these.
    hasher: Option<Hasher>,
}

/// An upload that nobody else writes to or ends.
#[derive(Debug)]
pub(super) struct Held {
    id: Uuid,
    hashed: OwnedMutexGuard<Hashed>,
    session: Arc<Session>,
}

impl Uploads {
    /// Counts one more, unless there are as many as may be.
    pub(super) fn reserve(&self, limit: usize) -> Result<(), Error> {
        let more = |count: usize| (count < limit).then_some(count + 1);
        let reserved = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        let before = reserved.map_err(|_| Error::TooManyUploads { limit })?;
        measure::uploads(before + 1);
        Ok(())
    }

    /// Counts those that were there at the start.
    pub(super) fn recount(&self, count: usize) {
        self.count.store(count, Ordering::Release);
        measure::uploads(count);
    }

    /// Notes that somebody has brought the bytes of a blob for a file of a repository.
    pub(super) fn note_brought(&self, repository: u64, user: &str, digest: &Digest) {
        let mut brought = self.brought.lock();
        if brought.len() >= CHECKSUMS {
            brought.pop_front();
        }
        brought.push_back((repository, user.to_owned(), digest.clone()));
    }

    /// Whether this user has done so lately.
    pub(super) fn is_brought(&self, repository: u64, user: &str, digest: &Digest) -> bool {
        let brought = self.brought.lock();
        brought.iter().any(|(whose, by, brought)| *whose == repository && by == user && brought == digest)
    }

    /// Knows what is to be made of the bytes of an upload.
    pub(super) fn expect(&self, id: Uuid, hasher: Hasher) {
        let hashed = Hashed { size: 0, hasher: Some(hasher) };
        let session = Session { hashed: Arc::new(tokio::sync::Mutex::new(hashed)), ..Session::default() };
        self.sessions.lock().insert(id, Arc::new(session));
    }

    /// Forgets an upload whose record is gone.
    pub(super) fn forget(&self, id: Uuid) {
        self.sessions.lock().remove(&id);
    }

    /// Counts one less, and forgets it.
    pub(super) fn end(&self, id: Uuid) {
        self.forget(id);
        let less = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1));
        measure::uploads(less.unwrap_or(1).saturating_sub(1));
    }

    /// Remembers the checksums of a blob that has come, for a while.
    pub(super) fn note_checksums(&self, digest: &Digest, checksums: Checksums) {
        let mut known = self.checksums.lock();
        known.truncate(CHECKSUMS - 1);
        known.push_front((digest.clone(), checksums));
    }

    /// The checksums of a blob, if they are remembered.
    pub(super) fn checksums_of(&self, digest: &Digest) -> Option<Checksums> {
        let known = self.checksums.lock();
        known.iter().find(|(of, _)| of == digest).map(|(_, checksums)| checksums.clone())
    }

    /// Holds an upload, unless somebody else does. Who does but is about to let go is waited for.
    pub(super) async fn hold(&self, id: Uuid) -> Result<Held, Error> {
        let session = Arc::clone(self.sessions.lock().entry(id).or_default());
        let hashed = match Arc::clone(&session.hashed).try_lock_owned() {
            Ok(hashed) => hashed,
            Err(_) if session.is_ending.load(Ordering::Acquire) => Arc::clone(&session.hashed).lock_owned().await,
            Err(_) => return Err(Error::Busy(format!("upload {id}"))),
        };
        Ok(Held { id, hashed, session })
    }

    /// Waits until nobody is about to let go of an upload.
    pub(super) async fn settle(&self, id: Uuid) {
        let session = self.sessions.lock().get(&id).cloned();
        if let Some(session) = session.filter(|session| session.is_ending.load(Ordering::Acquire)) {
            drop(session.hashed.lock().await);
        }
    }

    /// Whether somebody writes to an upload.
    pub(super) fn is_held(&self, id: Uuid) -> bool {
        self.sessions.lock().get(&id).is_some_and(|session| session.hashed.try_lock().is_err())
    }
}

impl Held {
    /// Which upload it is.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Says that this will soon be dropped.
    pub(super) fn is_ending(&self) {
        self.session.is_ending.store(true, Ordering::Release);
    }

    /// Where the file goes on that has so many bytes for good. The digest is of the algorithm that was announced.
    pub(super) fn start(&self, size: u64) -> PartialStart {
        let known = self.hashed.hasher.clone().filter(|_| self.hashed.size == size);
        let is_hashed = known.is_some() || size == 0;
        let hasher = known.unwrap_or_else(|| Hasher::digest_of(Algorithm::Sha256));
        PartialStart { id: self.id, size, hasher, is_hashed }
    }

    /// The checksums of the first `size` bytes, if they were made.
    pub(super) fn checksums(&self, size: u64) -> Option<Checksums> {
        self.hashed.hasher.as_ref().filter(|_| self.hashed.size == size)?.checksums()
    }

    /// Remembers the hashes of the first `size` bytes.
    pub(super) fn remember(&mut self, size: u64, hasher: Hasher) {
        *self.hashed = Hashed { size, hasher: Some(hasher) };
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.session.is_ending.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upload_is_held_by_one_at_a_time() {
        let uploads = Uploads::default();
        let id = Uuid::new_v4();
        let held = uploads.hold(id).await.unwrap();
        assert!(uploads.is_held(id));
        assert!(matches!(uploads.hold(id).await, Err(Error::Busy(_))));
        drop(held);
        assert!(!uploads.is_held(id) && uploads.hold(id).await.is_ok());
    }

    #[tokio::test]
    async fn who_is_about_to_let_go_is_waited_for() {
        let uploads = Arc::new(Uploads::default());
        let id = Uuid::new_v4();
        let held = uploads.hold(id).await.unwrap();
        held.is_ending();
        let waiting = tokio::spawn({
            let uploads = Arc::clone(&uploads);
            async move { uploads.hold(id).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn hashes_are_used_only_for_the_bytes_that_they_are_of() {
        let uploads = Uploads::default();
        let id = Uuid::new_v4();
        uploads.expect(id, Hasher::digest_of(Algorithm::Sha512));
        let mut held = uploads.hold(id).await.unwrap();
        assert!(held.start(0).hasher.digest(Algorithm::Sha512).is_some());
        held.remember(5, Hasher::digest_of(Algorithm::Sha512));
        assert!(held.start(5).is_hashed && !held.start(4).is_hashed);
    }

    #[test]
    fn as_many_are_begun_as_may_be() {
        let uploads = Uploads::default();
        uploads.recount(1);
        uploads.reserve(2).unwrap();
        assert!(matches!(uploads.reserve(2), Err(Error::TooManyUploads { limit: 2 })));
        uploads.end(Uuid::new_v4());
        uploads.reserve(2).unwrap();
    }
}
