//! One repository: its tree, and what is known of it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::bucket::{BucketId, Entry};
use super::deleted::{self, Deleted};
use super::error::Error;
use super::feed::Feed;
use super::files::Sharing;
use super::index::{self, Drift, Index};
use super::layout::Layout;
use super::ledger::{Account, Ledger};
use super::measure::Gauges;
use super::name::{Kind, ObjectId, ObjectName, RepositoryPath};
use super::settings::RepositorySettings;
use super::{files, index_file, ledger, staged};
use crate::clock::{Clock, Timestamp};

/// A repository that is open.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) path: RepositoryPath,
    pub(super) layout: Layout,
    pub(super) index: Index,
    pub(super) deleted: Mutex<Deleted>,
    pub(super) settings: Mutex<RepositorySettings>,
    pub(super) around: Around,
    gauges: Gauges,
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
}

impl Repository {
    /// Whether a directory is a repository: it has a config, or where data is kept. Blocks.
    pub(super) fn is_at(layout: &Layout) -> bool {
        layout.object(ObjectName::Config).is_file() || layout.directory().join(Kind::Data.directory()).is_dir()
    }

    /// Opens the repository that is at `path`. The saved index is taken over; the directories are read later, by
    /// [`Repository::count`] and by who asks for them. Blocks.
    pub(super) fn open(path: RepositoryPath, layout: Layout, around: Around) -> Result<Self, Error> {
        let io = |error| Error::io(format!("repository {path} cannot be opened"), error);
        staged::sweep(&layout.temporary()).map_err(io)?;
        let settings = RepositorySettings::load(&layout.settings()).map_err(io)?;
        let settings = settings.unwrap_or_else(|| RepositorySettings {
            owner: path.first_segment().to_owned(),
            create_nanos: around.clock.now().nanos(),
            max_bytes: 0,
        });
        let index = Index::new(layout.clone());
        index_file::load(&index, &layout.index()).map_err(io)?;
        let deleted = deleted::load(&layout).map_err(io)?;
        around.ledger.open(&path, &settings.owner, settings.max_bytes);
        for bucket in BucketId::every() {
            let bucket = index.bucket(bucket);
            bucket.entries().iter().for_each(|entry| around.ledger.enter(&path, ledger::Entry::added(entry.size)));
        }
        for entry in deleted.values() {
            around.ledger.enter(&path, ledger::Entry::found_hidden(entry.size));
        }
        if let Some((size, _)) = look_at_config(&layout).map_err(io)? {
            around.ledger.enter(&path, ledger::Entry::added(size));
        }
        Ok(Repository {
            gauges: Gauges::new(&path),
            path,
            layout,
            index,
            deleted: Mutex::new(deleted),
            settings: Mutex::new(settings),
            around,
            is_counted: watch::Sender::new(false),
        })
    }

    /// Brings one bucket up to its directory. Blocks.
    pub(super) fn refresh(&self, bucket: BucketId) -> Result<(), Error> {
        let drift = self.index.refresh(bucket, &*self.around.clock).map_err(|error| {
            Error::io(format!("directory {} cannot be read", self.layout.bucket(bucket).display()), error)
        })?;
        self.account_for(bucket.kind(), &drift);
        Ok(())
    }

    fn account_for(&self, kind: Kind, drift: &Drift) {
        // Before everything has been read, what is found was there before and is no news.
        let is_news = *self.is_counted.borrow();
        for entry in &drift.added {
            self.around.ledger.enter(&self.path, ledger::Entry::added(entry.size));
            if is_news {
                self.around.feed.stored(&self.path, ObjectName::Blob(kind, entry.id), (*entry).into());
            }
        }
        for entry in &drift.removed {
            self.around.ledger.enter(&self.path, ledger::Entry::removed(entry.size));
            if is_news {
                self.around.feed.deleted(&self.path, ObjectName::Blob(kind, entry.id));
            }
        }
    }

    /// Reads every directory that has changed. Blocks.
    pub(super) fn count(&self) -> Result<(), Error> {
        for bucket in BucketId::every() {
            self.refresh(bucket)?;
        }
        self.is_counted.send_replace(true);
        self.show();
        Ok(())
    }

    /// Counts for the first time. Who waits for it goes on in any case: what cannot be read is not counted.
    pub(super) fn count_or_warn(&self) {
        if let Err(error) = self.count() {
            tracing::warn!(repository = %self.path, %error, "a repository cannot be counted");
            self.is_counted.send_replace(true);
        }
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
            ObjectName::Config => look_at_config(&self.layout),
            ObjectName::Blob(_, id) => {
                index::look(&self.layout.object(object), id).map(|entry| entry.map(<(u64, Timestamp)>::from))
            }
        };
        looked.map_err(|error| Error::io(format!("{object} of repository {} cannot be read", self.path), error))
    }

    /// Says that the file of an object comes or goes, until what is returned is dropped: nobody else tells of it.
    pub(super) fn take_off(&self, object: ObjectName) -> Flight<'_> {
        if let ObjectName::Blob(kind, id) = object {
            self.index.bucket(BucketId::of(kind, id)).take_off(id);
        }
        Flight { repository: self, object }
    }

    /// Knows an object from now on.
    pub(super) fn know(&self, object: ObjectName, size: u64, arrive_time: Timestamp, entry: ledger::Entry) {
        let replaced = match object {
            ObjectName::Config => None,
            ObjectName::Blob(kind, id) => {
                self.index.bucket(BucketId::of(kind, id)).insert(Entry { id, size, arrive_time })
            }
        };
        if let Some(replaced) = replaced {
            self.around.ledger.enter(&self.path, ledger::Entry::removed(replaced.size));
        }
        self.around.ledger.enter(&self.path, entry);
        self.around.feed.stored(&self.path, object, (size, arrive_time));
        self.show();
    }

    /// Forgets an object that is no longer there.
    pub(super) fn forget(&self, object: ObjectName, entry: ledger::Entry) {
        if let ObjectName::Blob(kind, id) = object {
            let known = self.index.bucket(BucketId::of(kind, id)).remove(id);
            if known.is_none() {
                return;
            }
        }
        self.around.ledger.enter(&self.path, entry);
        self.around.feed.deleted(&self.path, object);
        self.show();
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

    /// Saves the index for the next start. Blocks.
    pub(super) fn save_index(&self) -> io::Result<()> {
        index_file::save(&self.index, &self.layout.index(), self.around.sharing)
    }
}

fn look_at_config(layout: &Layout) -> io::Result<Option<(u64, Timestamp)>> {
    let metadata = files::optional(std::fs::metadata(layout.object(ObjectName::Config)))?;
    Ok(metadata.map(|metadata| (metadata.len(), files::modify_time(&metadata))))
}

/// The time while the file of an object comes or goes.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    repository: &'a Repository,
    object: ObjectName,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let ObjectName::Blob(kind, id) = self.object {
            self.repository.index.bucket(BucketId::of(kind, id)).land(id);
        }
    }
}
