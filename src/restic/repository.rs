//! One repository: its tree, and what is known of it.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::bucket::{BucketId, Drift, Entry};
use super::deleted::{self, Deleted};
use super::error::Error;
use super::feed::Feed;
use super::files::Sharing;
use super::index::{self, Index};
use super::layout::Layout;
use super::ledger::{Account, Entry as Booking, Ledger, Reservation};
use super::measure::Gauges;
use super::name::{Kind, ObjectId, ObjectName, RepositoryPath};
use super::settings::RepositorySettings;
use super::{files, index_file};
use crate::blob;
use crate::clock::{Clock, Timestamp};

/// How many objects may come and go at a time in one repository, about.
const LANES: usize = 256;
/// How many objects that vanished are remembered.
const MAX_VANISHED: usize = 100_000;

/// A repository that is open.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) path: RepositoryPath,
    pub(super) layout: Layout,
    pub(super) index: Index,
    /// The size of the config that the ledger knows of.
    config: Mutex<Option<u64>>,
    pub(super) deleted: Mutex<Deleted>,
    /// Objects that somebody else removed, for the next verification.
    pub(super) vanished: Mutex<BTreeSet<ObjectName>>,
    pub(super) settings: Mutex<RepositorySettings>,
    pub(super) around: Around,
    /// Taken while a verification runs: one at a time.
    pub(super) verification: Arc<Semaphore>,
    /// Whether its file system has told what is in the page cache, which only local ones do.
    pub(super) knows_cache: AtomicBool,
    gauges: Gauges,
    /// Of two that make the file of one object come or go, one waits here.
    lanes: Vec<Mutex<()>>,
    /// Whether every directory has been read since the repository was opened.
    is_counted: watch::Sender<bool>,
}

/// What all repositories share.
#[derive(Clone, Debug)]
pub(super) struct Around {
    pub(super) ledger: Arc<Ledger>,
    pub(super) feed: Arc<Feed>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sharing: Sharing,
    pub(super) shutdown: CancellationToken,
}

impl Repository {
    /// Whether a directory is a repository: it has a config, or where data is kept. Blocks.
    pub(super) fn is_at(layout: &Layout) -> bool {
        layout.object(ObjectName::Config).is_file() || layout.directory().join(Kind::Data.directory()).is_dir()
    }

    /// Whether it is still where it was. A directory that cannot be asked about is not gone. Blocks.
    pub(super) fn is_gone(&self) -> bool {
        let is_absent = |result: io::Result<_>| {
            result.is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
        };
        is_absent(std::fs::metadata(self.layout.object(ObjectName::Config)))
            && is_absent(std::fs::metadata(self.layout.directory().join(Kind::Data.directory())))
    }

    /// Opens the repository that is at `path`, which nobody else has open. The saved index is taken over; the
    /// directories are read later, by [`Repository::count`] and by who asks for them. Blocks.
    pub(super) fn open(path: RepositoryPath, layout: Layout, around: Around) -> Result<Self, Error> {
        let io = |error| Error::io(format!("repository {path} cannot be opened"), error);
        blob::sweep_temporary(&layout.temporary()).map_err(io)?;
        let settings = match RepositorySettings::load(&layout.settings()).map_err(io)? {
            Some(settings) => settings,
            None => adopt(&path, &layout, &around),
        };
        let index = Index::new(layout.clone());
        index_file::load(&index, &layout.index()).map_err(io)?;
        let deleted = deleted::load(&layout).map_err(io)?;
        around.ledger.open(&path, &settings.owner, settings.max_bytes);
        for bucket in BucketId::every() {
            let bucket = index.bucket(bucket);
            bucket.entries().iter().for_each(|entry| around.ledger.enter(&path, Booking::added(entry.size)));
        }
        for entry in deleted.values() {
            around.ledger.enter(&path, Booking::hidden(entry.size));
        }
        Ok(Repository {
            gauges: Gauges::new(&path),
            vanished: Mutex::new(load_vanished(&layout).map_err(io)?),
            path,
            layout,
            index,
            config: Mutex::default(),
            deleted: Mutex::new(deleted),
            settings: Mutex::new(settings),
            around,
            verification: Arc::new(Semaphore::new(1)),
            knows_cache: AtomicBool::new(false),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            is_counted: watch::Sender::new(false),
        })
    }

    /// Brings one bucket up to its directory. Returns what others have changed. Blocks.
    pub(super) fn refresh(&self, bucket: BucketId) -> Result<(), Error> {
        let drift = self.index.refresh(bucket, &*self.around.clock).map_err(|error| {
            Error::io(format!("directory {} cannot be read", self.layout.bucket(bucket).display()), error)
        })?;
        self.account_for(bucket.kind(), &drift);
        Ok(())
    }

    fn account_for(&self, kind: Kind, drift: &Drift) {
        for entry in &drift.removed {
            self.around.ledger.enter(&self.path, Booking::removed(entry.size));
            // A size that was corrected is no removal.
            if drift.added.binary_search_by(|added| added.id.cmp(&entry.id)).is_err() {
                let object = ObjectName::Blob(kind, entry.id);
                self.around.feed.deleted(&self.path, object);
                let mut vanished = self.vanished.lock();
                if kind != Kind::Lock && vanished.len() < MAX_VANISHED {
                    vanished.insert(object);
                }
            }
        }
        // Before everything has been read, what is found was there before and is no news.
        let is_news = *self.is_counted.borrow();
        for entry in &drift.added {
            self.around.ledger.enter(&self.path, Booking::added(entry.size));
            self.vanished.lock().remove(&ObjectName::Blob(kind, entry.id));
            if is_news {
                self.around.feed.stored(&self.path, ObjectName::Blob(kind, entry.id), (*entry).into());
            }
        }
    }

    /// Reads every directory that has changed, and goes on where one cannot be read. Blocks.
    pub(super) fn count(&self) -> Result<(), Error> {
        let mut result = self.look(ObjectName::Config).map(|config| self.book_config(config.map(|(size, _)| size)));
        for bucket in BucketId::every() {
            if self.around.shutdown.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            result = result.and(self.refresh(bucket));
        }
        self.show();
        result
    }

    fn book_config(&self, size: Option<u64>) {
        let known = std::mem::replace(&mut *self.config.lock(), size);
        if known != size {
            let removed = known.map(Booking::removed).unwrap_or_default();
            self.around.ledger.enter(&self.path, removed.and(size.map(Booking::added).unwrap_or_default()));
        }
    }

    /// Counts for the first time. Who waits for it goes on in any case: what cannot be read is not counted.
    pub(super) fn count_or_warn(&self) {
        if let Err(error) = self.count() {
            tracing::warn!(repository = %self.path, %error, "a repository cannot be counted whole");
        }
        self.is_counted.send_replace(true);
    }

    /// Returns once everything that it holds has been counted.
    pub(super) async fn counted(&self) {
        // The sender lives as long as the repository that is borrowed here.
        let _ = self.is_counted.subscribe().wait_for(|counted| *counted).await;
    }

    /// What is known of an object, without asking the file system.
    pub(super) fn known(&self, object: ObjectName) -> Option<(u64, Timestamp)> {
        match object {
            ObjectName::Config => None,
            ObjectName::Blob(kind, id) => self.index.get(kind, id).map(Into::into),
        }
    }

    /// What the file system knows of an object. Blocks.
    pub(super) fn look(&self, object: ObjectName) -> Result<Option<(u64, Timestamp)>, Error> {
        let looked = match object {
            ObjectName::Config => files::optional(std::fs::metadata(self.layout.object(object)))
                .map(|metadata| metadata.map(|metadata| (metadata.len(), files::modify_time(&metadata)))),
            ObjectName::Blob(_, id) => {
                index::look(&self.layout.object(object), id).map(|entry| entry.map(<(u64, Timestamp)>::from))
            }
        };
        looked.map_err(|error| Error::io(format!("{object} of repository {} cannot be read", self.path), error))
    }

    /// Begins the time in which the file of an object comes or goes. Whoever else would change it waits, and who reads
    /// the directory leaves it alone, until what is returned is dropped. Blocks.
    pub(super) fn take_off(&self, object: ObjectName) -> Flight<'_> {
        let lane = match object {
            ObjectName::Config => 0,
            // Not the first byte: it would be the same for all of a directory.
            ObjectName::Blob(_, id) => usize::from(id.0[1]) % LANES,
        };
        let lane = self.lanes[lane].lock();
        if let ObjectName::Blob(kind, id) = object {
            self.index.bucket(BucketId::of(kind, id)).take_off(id);
        }
        Flight { repository: self, object, _lane: lane }
    }

    /// Knows the size that an object turned out to have. Blocks.
    pub(super) fn correct(&self, object: ObjectName, known: u64, actual: u64) -> Result<(), Error> {
        if known != actual {
            let flight = self.take_off(object);
            if let Some(found) = self.look(object)? {
                flight.know(found, None, Booking::default());
            }
        }
        Ok(())
    }

    /// What it holds.
    pub(super) fn account(&self) -> Account {
        self.around.ledger.account(&self.path)
    }

    /// When its newest snapshot arrived.
    pub(super) fn last_snapshot(&self) -> Option<Timestamp> {
        let snapshots = self.index.bucket(BucketId::of(Kind::Snapshot, ObjectId([0; 32])));
        snapshots.entries().iter().map(|entry| entry.arrive_time).max()
    }

    /// Brings the gauges up to date.
    pub(super) fn show(&self) {
        self.gauges.show(&self.account(), self.last_snapshot());
    }

    /// Ends the gauges of a repository that is gone.
    pub(super) fn show_gone(&self) {
        self.gauges.clear();
    }

    /// Saves what is known for the next start, if it has changed. Blocks.
    pub(super) fn save_index(&self) -> io::Result<()> {
        if !self.index.is_unsaved.swap(false, Ordering::Relaxed) || self.is_gone() {
            return Ok(());
        }
        let lines: Vec<String> = self.vanished.lock().iter().map(ObjectName::to_string).collect();
        self.around.sharing.replace(&self.layout.vanished(), lines.join("\n").as_bytes())?;
        index_file::save(&self.index, &self.layout.index(), self.around.sharing)
    }
}

/// What a tree gets that others have made: it belongs to the user whose name its path begins with.
fn adopt(path: &RepositoryPath, layout: &Layout, around: &Around) -> RepositorySettings {
    let owner = path.first_segment().to_owned();
    let settings = RepositorySettings { owner, create_nanos: around.clock.now().nanos(), max_bytes: 0 };
    if let Err(error) = settings.save(&layout.settings(), around.sharing) {
        // A tree that can only be read is served all the same.
        tracing::debug!(repository = %path, %error, "the settings of a repository were not kept");
    }
    settings
}

fn load_vanished(layout: &Layout) -> io::Result<BTreeSet<ObjectName>> {
    let text = files::optional(std::fs::read_to_string(layout.vanished()))?.unwrap_or_default();
    Ok(text.lines().take(MAX_VANISHED).filter_map(ObjectName::parse).collect())
}

/// The time while the file of an object comes or goes.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    repository: &'a Repository,
    object: ObjectName,
    _lane: MutexGuard<'a, ()>,
}

impl Flight<'_> {
    /// Knows the object from now on. What was promised to its upload is settled; `booking` is entered beside it.
    pub(super) fn know(
        &self,
        (size, arrive_time): (u64, Timestamp),
        reservation: Option<Reservation>,
        booking: Booking,
    ) {
        let Flight { repository, object, .. } = self;
        let replaced = match *object {
            ObjectName::Config => repository.config.lock().replace(size),
            ObjectName::Blob(kind, id) => {
                let replaced = repository.index.bucket(BucketId::of(kind, id)).insert(Entry { id, size, arrive_time });
                repository.index.is_unsaved.store(true, Ordering::Relaxed);
                replaced.map(|entry| entry.size)
            }
        };
        let entry = Booking::added(size).and(replaced.map(Booking::removed).unwrap_or_default()).and(booking);
        match reservation {
            Some(reservation) => reservation.settle(entry),
            None => repository.around.ledger.enter(&repository.path, entry),
        }
        repository.vanished.lock().remove(object);
        repository.around.feed.stored(&repository.path, *object, (size, arrive_time));
        repository.show();
    }

    /// Forgets the object, whose file is gone. `booking` is entered beside it.
    pub(super) fn forget(&self, booking: Booking) {
        let Flight { repository, object, .. } = self;
        let known = match *object {
            ObjectName::Config => repository.config.lock().take(),
            ObjectName::Blob(kind, id) => {
                repository.index.is_unsaved.store(true, Ordering::Relaxed);
                repository.index.bucket(BucketId::of(kind, id)).remove(id).map(|entry| entry.size)
            }
        };
        let removed = known.map(Booking::removed).unwrap_or_default();
        repository.around.ledger.enter(&repository.path, removed.and(booking));
        repository.around.feed.deleted(&repository.path, *object);
        repository.show();
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let ObjectName::Blob(kind, id) = self.object {
            self.repository.index.bucket(BucketId::of(kind, id)).land(id);
        }
    }
}
