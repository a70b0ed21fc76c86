//! Uploads as this process knows them: who writes to one, and the hashes of what is there. All of it can be told anew
//! from the records and the files.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::error::Error;
use super::measure;
use crate::blob::{Algorithm, Checksums, Digest, Hasher, PartialStart};
use crate::places::{self, Holder};

/// Of so many blobs that came last the checksums are known.
const CHECKSUMS: usize = 4096;

/// All uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    sessions: Mutex<HashMap<Uuid, Arc<Session>>>,
    /// Those that have a record, or are about to.
    begun: Mutex<Begun>,
    /// Of blobs that came for files, which are soon asked for.
    checksums: Mutex<VecDeque<(Digest, Checksums)>>,
    /// Who brought them, and for which repository. Whoever is not known here any more brings the bytes again.
    brought: Mutex<VecDeque<(u64, String, Digest)>>,
}

/// Who uploads.
#[derive(Clone, Debug, Default)]
pub(super) struct Uploader {
    /// The user; empty: nobody known.
    pub(super) user: String,
    /// Where it comes from.
    pub(super) address: Option<IpAddr>,
}

/// Uploads that count.
#[derive(Debug, Default)]
struct Begun {
    /// To whom each counts; `None`: to nobody in particular.
    whose: HashMap<Uuid, Option<Holder>>,
    /// How many each has.
    counts: HashMap<Holder, usize>,
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

impl Uploader {
    /// Whose share its uploads are of.
    fn holder(&self) -> Option<Holder> {
        Holder::of(Some(&*self.user).filter(|user| !user.is_empty()), self.address)
    }
}

impl Begun {
    fn begin(&mut self, id: Uuid, holder: Option<Holder>) {
        if let Some(holder) = &holder {
            *self.counts.entry(holder.clone()).or_default() += 1;
        }
        self.whose.insert(id, holder);
        measure::uploads(self.whose.len());
    }

    fn end(&mut self, id: Uuid) {
        let Some(holder) = self.whose.remove(&id) else { return };
        measure::uploads(self.whose.len());
        let Some(holder) = holder else { return };
        let left = self.counts.get(&holder).map_or(0, |count| count - 1);
        if left == 0 {
            self.counts.remove(&holder);
        } else {
            self.counts.insert(holder, left);
        }
    }
}

impl Uploads {
    /// Counts one more, unless there are as many as may be, or a quarter of that is this uploader's.
    pub(super) fn reserve(&self, id: Uuid, by: &Uploader, limit: usize) -> Result<(), Error> {
        let holder = by.holder();
        let mut begun = self.begun.lock();
        if begun.whose.len() >= limit {
            return Err(Error::TooManyUploads { whose: "the server".to_owned(), limit });
        }
        let share = places::share(limit);
        if let Some(holder) = &holder
            && begun.counts.get(holder).is_some_and(|count| *count >= share)
        {
            return Err(Error::TooManyUploads { whose: holder.to_string(), limit: share });
        }
        begun.begin(id, holder);
        Ok(())
    }

    /// Counts those that were there at the start, and the users who began them: addresses are not kept.
    pub(super) fn recount(&self, known: impl IntoIterator<Item = (Uuid, String)>) {
        let mut begun = Begun::default();
        for (id, user) in known {
            begun.begin(id, Uploader { user, address: None }.holder());
        }
        measure::uploads(begun.whose.len());
        *self.begun.lock() = begun;
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

    /// Counts it no more, and forgets it.
    pub(super) fn end(&self, id: Uuid) {
        self.forget(id);
        self.begun.lock().end(id);
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
        let (uploads, local) = (Uploads::default(), Uploader::default());
        let old = Uuid::new_v4();
        uploads.recount([(old, String::new())]);
        uploads.reserve(Uuid::new_v4(), &local, 2).unwrap();
        let refused = uploads.reserve(Uuid::new_v4(), &local, 2).unwrap_err();
        assert_eq!(refused.to_string(), "the server has 2 uploads under way, which is the limit");
        uploads.end(Uuid::new_v4());
        assert!(uploads.reserve(Uuid::new_v4(), &local, 2).is_err(), "one that nobody knows makes no room");
        uploads.end(old);
        uploads.reserve(Uuid::new_v4(), &local, 2).unwrap();
    }

    #[test]
    fn nobody_takes_more_than_a_quarter_of_what_all_may_have() {
        let user = |user: &str| Uploader { user: user.to_owned(), address: Some([192, 0, 2, 1].into()) };
        let address = |address: &str| Uploader { user: String::new(), address: address.parse().ok() };
        for (one, other, whose) in [
            (user("ann"), user("bob"), "user ann"),
            (address("192.0.2.1"), address("192.0.2.2"), "address 192.0.2.1"),
            (address("2001:db8::1"), address("2001:db8:0:1::1"), "address 2001:db8::"),
        ] {
            let (uploads, first) = (Uploads::default(), Uuid::new_v4());
            uploads.reserve(first, &one, 8).unwrap();
            uploads.reserve(Uuid::new_v4(), &one, 8).unwrap();
            let refused = uploads.reserve(Uuid::new_v4(), &one, 8).unwrap_err();
            assert_eq!(refused.to_string(), format!("{whose} has 2 uploads under way, which is the limit"));
            uploads.reserve(Uuid::new_v4(), &other, 8).unwrap();
            uploads.end(first);
            uploads.reserve(Uuid::new_v4(), &one, 8).unwrap();
        }
        let uploads = Uploads::default();
        uploads.recount([(Uuid::new_v4(), "ann".to_owned())]);
        assert!(uploads.reserve(Uuid::new_v4(), &user("ann"), 4).is_err(), "those of before the start count");
        for _ in 0..3 {
            uploads.reserve(Uuid::new_v4(), &address("127.0.0.1"), 4).unwrap();
        }
    }
}
