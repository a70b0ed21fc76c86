//! All repositories below one directory, and what they have in common.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bucket::{BucketId, Buckets, Entry};
use super::error::Error;
use super::feed::Feed;
use super::files::{Sharing, blocking};
use super::layout::Layout;
use super::ledger::Ledger;
use super::measure;
use super::name::{Kind, ObjectId, ObjectName, RepositoryPath};
use super::repository::{Around, Repository};
use super::rights::Rules;
use super::verify::VERIFICATIONS;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Access};

/// How deep below the root repositories are looked for at the start. Deeper ones are found when they are asked for.
const DISCOVERY_DEPTH: usize = 16;
/// How many entries of a list are told at a time.
const BATCH: usize = 2000;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of all.
    pub root: PathBuf,
    /// The settings of the configuration.
    pub restic: config::Restic,
}

/// All repositories. A clone is the same.
#[derive(Clone, Debug)]
pub struct Repositories(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    root: PathBuf,
    pub(super) rules: Rules,
    pub(super) limits: Limits,
    pub(super) around: Around,
    open: RwLock<HashMap<RepositoryPath, Arc<Repository>>>,
    /// How many verifications may still begin.
    pub(super) verifications: Arc<Semaphore>,
    /// Held while a repository is opened or created: nobody finds one that is half made, and nobody opens one twice.
    pub(super) opening: tokio::sync::Mutex<()>,
    pub(super) shutdown: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Numbers that bind every repository.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) verify_uploads: bool,
    pub(super) max_object_bytes: u64,
    pub(super) undelete: Duration,
    pub(super) min_age: Duration,
    pub(super) max_watchers: usize,
    /// All repositories have to be counted before an upload can be let in.
    has_shared_quotas: bool,
}

impl Repositories {
    /// The repositories below `settings.root`, which is made where it is missing. What is there is counted in
    /// `tasks`.
    pub async fn open(
        settings: Settings,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        let Settings { root, restic } = settings;
        let sharing = if restic.group_accessible { Sharing::Group } else { Sharing::Private };
        let rules = Rules {
            append_only: restic.append_only,
            private_repositories: restic.private_repositories,
            users: restic.users,
        };
        let limits = Limits {
            verify_uploads: restic.verify_uploads,
            max_object_bytes: restic.max_object_bytes,
            undelete: restic.undelete,
            min_age: restic.min_age,
            max_watchers: restic.max_watchers,
            has_shared_quotas: restic.max_bytes > 0 || rules.has_user_quotas(),
        };
        let feed = Arc::new(Feed::new(clock.now()));
        let ledger = Arc::new(Ledger::new(restic.max_bytes));
        let around = Around { ledger, feed, clock, sharing, shutdown: shutdown.clone() };
        let (open, opening) = (RwLock::default(), tokio::sync::Mutex::default());
        let verifications = Arc::new(Semaphore::new(VERIFICATIONS));
        let inner = Inner { root, rules, limits, around, open, verifications, opening, shutdown, tasks };
        let repositories = Repositories(Arc::new(inner));
        repositories.discover().await?;
        Ok(repositories)
    }

    async fn discover(&self) -> Result<(), Error> {
        let (root, sharing) = (self.0.root.clone(), self.0.around.sharing);
        let paths = blocking(move || {
            let io = |error| Error::io(format!("the directory {} cannot be read", root.display()), error);
            sharing.create_directory(&root).map_err(io)?;
            let mut discovery = Discovery::default();
            discovery.visit(&root, &RepositoryPath::default(), DISCOVERY_DEPTH);
            Ok(discovery.found)
        });
        let mut opened = Vec::new();
        for path in paths.await? {
            // One that is broken must not keep the others from being served.
            match self.open_at(path).await {
                Ok(repository) => opened.push(repository),
                Err(error) => tracing::warn!(%error, "a repository is not served"),
            }
        }
        // One after the other: all at once would keep the disk from everybody else.
        self.0.tasks.spawn_blocking(move || opened.iter().for_each(|repository| repository.count_or_warn()));
        Ok(())
    }

    /// Opens a repository that is there and not yet open. To be called with [`Inner::opening`] held, or at the start.
    async fn open_at(&self, path: RepositoryPath) -> Result<Arc<Repository>, Error> {
        let (layout, around) = (self.layout(&path), self.0.around.clone());
        let repository = Arc::new(blocking(move || Repository::open(path, layout, around)).await?);
        self.0.open.write().insert(repository.path.clone(), Arc::clone(&repository));
        Ok(repository)
    }

    pub(super) fn layout(&self, path: &RepositoryPath) -> Layout {
        Layout::new(&self.0.root, path)
    }

    /// A repository that is open.
    pub(super) fn known(&self, path: &RepositoryPath) -> Option<Arc<Repository>> {
        self.0.open.read().get(path).cloned()
    }

    /// All that are open, in the order of their paths.
    pub(super) fn all(&self) -> Vec<Arc<Repository>> {
        let mut all: Vec<_> = self.0.open.read().values().cloned().collect();
        all.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        all
    }

    /// A repository, opened where it is there and not yet open.
    pub(super) async fn find(&self, path: &RepositoryPath) -> Result<Option<Arc<Repository>>, Error> {
        if let Some(known) = self.known(path) {
            return Ok(Some(known));
        }
        let layout = self.layout(path);
        if !blocking(move || Ok(Repository::is_at(&layout))).await? {
            return Ok(None);
        }
        let opening = self.0.opening.lock().await;
        self.find_locked(path, &opening).await
    }

    /// The same, by who holds [`Inner::opening`].
    pub(super) async fn find_locked(
        &self,
        path: &RepositoryPath,
        _: &tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<Option<Arc<Repository>>, Error> {
        if let Some(known) = self.known(path) {
            return Ok(Some(known));
        }
        let layout = self.layout(path);
        if !blocking(move || Ok(Repository::is_at(&layout))).await? {
            return Ok(None);
        }
        let repository = self.open_at(path.clone()).await?;
        let counted = Arc::clone(&repository);
        self.0.tasks.spawn_blocking(move || counted.count_or_warn());
        Ok(Some(repository))
    }

    /// The same; an error when there is none.
    pub(super) async fn require(&self, path: &RepositoryPath) -> Result<Arc<Repository>, Error> {
        self.find(path).await?.ok_or_else(|| Error::no_repository(path))
    }

    /// Closes a repository if its directory is gone. Returns whether it was.
    pub(super) async fn close_if_gone(&self, repository: &Arc<Repository>) -> Result<bool, Error> {
        let asked = Arc::clone(repository);
        if !blocking(move || Ok(asked.is_gone())).await? {
            return Ok(false);
        }
        let mut open = self.0.open.write();
        // Somebody else may have closed it and opened another.
        if open.get(&repository.path).is_some_and(|known| Arc::ptr_eq(known, repository)) {
            open.remove(&repository.path);
            self.0.around.ledger.close(&repository.path);
            repository.show_gone();
        }
        Ok(true)
    }

    /// Refuses who may not, and counts it.
    pub(super) fn require_access(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        needed: Access,
    ) -> Result<(), Error> {
        self.0.rules.require(user, path, needed).inspect_err(|_| {
            if self.known(path).is_some() {
                measure::refused(path, "rights");
            }
        })
    }

    /// Returns once all that a quota depends on has been counted.
    pub(super) async fn counted_for_quotas(&self, repository: &Repository) {
        if self.0.limits.has_shared_quotas {
            for repository in self.all() {
                repository.counted().await;
            }
        } else if repository.settings.lock().max_bytes > 0 {
            repository.counted().await;
        }
    }

    /// What is known of an object. Errors: not found.
    pub(super) async fn stat(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        object: ObjectName,
    ) -> Result<(u64, Timestamp), Error> {
        self.require_access(user, path, Access::Read)?;
        let repository = self.find(path).await?.ok_or_else(|| Error::no_object(path, object))?;
        if let Some(known) = repository.known(object) {
            return Ok(known);
        }
        // Somebody else may have put it there.
        let looked = blocking(move || repository.look(object)).await?;
        looked.ok_or_else(|| Error::no_object(path, object))
    }

    /// The next objects of a list, and where it goes on; `None`: nowhere.
    pub(super) async fn next_batch(
        &self,
        repository: &Arc<Repository>,
        mut place: Place,
    ) -> Result<(Vec<Entry>, Option<Place>), Error> {
        let repository = Arc::clone(repository);
        blocking(move || {
            let mut entries = Vec::new();
            loop {
                let Some((bucket, after)) = place.current.take() else {
                    let Some(next) = place.rest.next() else { return Ok((entries, None)) };
                    repository.refresh(next)?;
                    place.current = Some((next, None));
                    continue;
                };
                let wanted = BATCH - entries.len();
                let bucket_entries = repository.index.bucket(bucket);
                let behind = bucket_entries.entries_after(after);
                entries.extend_from_slice(&behind[..behind.len().min(wanted)]);
                if behind.len() > wanted {
                    place.current = entries.last().map(|last| (bucket, Some(last.id)));
                    return Ok((entries, Some(place)));
                }
            }
        })
        .await
    }
}

/// How far a list has come.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The directory that is being told, and the last name that was.
    current: Option<(BucketId, Option<ObjectId>)>,
    rest: Buckets,
}

impl Place {
    /// The beginning of the list of a kind.
    pub(super) fn start(kind: Kind) -> Self {
        Place { current: None, rest: BucketId::all(kind) }
    }
}

/// The search for repositories. What cannot be read is left out, and told.
#[derive(Debug, Default)]
struct Discovery {
    found: Vec<RepositoryPath>,
    /// Directories by device and inode: a link can lead back to where the search has been.
    visited: HashSet<(u64, u64)>,
}

impl Discovery {
    fn visit(&mut self, directory: &Path, path: &RepositoryPath, depth: usize) {
        let visited =
            std::fs::metadata(directory).map(|metadata| self.visited.insert((metadata.dev(), metadata.ino())));
        let entries = match (visited, std::fs::read_dir(directory)) {
            (Ok(false), _) => return,
            (Ok(true), Ok(entries)) => entries,
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(directory = %directory.display(), %error, "a directory is not searched for repositories");
                return;
            }
        };
        if Repository::is_at(&Layout::new(directory, &RepositoryPath::default())) {
            self.found.push(path.clone());
        }
        for entry in entries.flatten() {
            let name = entry.file_name();
            // Names of kinds are refused as segments, so the search does not go into the objects of a repository.
            let Some(child) = name.to_str().and_then(|name| path.child(name).ok()) else { continue };
            // A link to a directory is followed, as for every other access.
            if depth > 0 && entry.path().is_dir() {
                self.visit(&entry.path(), &child, depth - 1);
            }
        }
    }
}
