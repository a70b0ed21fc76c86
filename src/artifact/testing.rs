//! What the tests of artifacts share: artifacts on a store in memory, with a clock that tests move.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steward_proto::artifact::v1::{RepositoryCategory, RepositoryType};
use steward_proto::store::v1::{ArtifactChangeRecord, FileRecord};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::Artifacts;
use super::bytes::Kept;
use super::error::Error;
use super::file_delete::Deletion;
use super::file_path::FilePath;
use super::files::{Place, Put, Same};
use super::keys;
use super::metadata::Metadata;
use super::paging::Page;
use super::projects::NewProject;
use super::repositories::NewRepository;
use super::settings::Settings;
use crate::blob::Blobs;
use crate::clock::{Clock, ManualClock};
use crate::fields::Fields;
use crate::store::suite::{self, Harness as _};
use crate::store::{Key, KeyRange, Store, tx};

/// How many commits a watch of a test can be behind.
const HISTORY: u64 = 100_000;

/// Artifacts, and what they stand on.
pub(super) struct World {
    pub(super) artifacts: Artifacts,
    pub(super) clock: Arc<ManualClock>,
    pub(super) shutdown: CancellationToken,
    harness: suite::Memory,
    directory: tempfile::TempDir,
    settings: Settings,
}

impl World {
    /// With nothing in it.
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let (mut harness, clock) = (suite::Memory::default(), Arc::new(ManualClock::new()));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shutdown = CancellationToken::new();
        let artifacts = open(&mut harness, &directory, &clock, &settings, &shutdown).await;
        World { artifacts, clock, shutdown, harness, directory, settings }
    }

    /// With the repository of files `p1/r1`.
    pub(super) async fn with_repository() -> Self {
        let world = Self::new().await;
        world.repository("p1", "r1").await;
        world
    }

    /// Stops the server and starts it again a second later.
    pub(super) async fn restart(&mut self) {
        self.shutdown.cancel();
        self.artifacts.tasks.close();
        self.artifacts.tasks.wait().await;
        self.shutdown = CancellationToken::new();
        self.clock.advance(Duration::from_secs(1));
        let World { harness, directory, clock, settings, shutdown, .. } = self;
        self.artifacts = open(harness, directory, clock, settings, shutdown).await;
    }

    pub(super) async fn project(&self, name: &str) {
        let new = NewProject { name: name.to_owned(), ..NewProject::default() };
        self.artifacts.create_project(&new, "").await.expect("a project");
    }

    /// A repository of files, with its project.
    pub(super) async fn repository(&self, project: &str, name: &str) {
        match self.artifacts.get_project(project).await {
            Ok(_) => {}
            Err(_) => self.project(project).await,
        }
        let new = self.new_repository(project, name);
        self.artifacts.create_repository(&new, "").await.expect("a repository");
    }

    #[expect(clippy::unused_self, reason = "tests read better with one subject")]
    pub(super) fn new_repository(&self, project: &str, name: &str) -> NewRepository {
        NewRepository {
            project: project.to_owned(),
            name: name.to_owned(),
            holds: RepositoryType::Generic,
            category: RepositoryCategory::Local,
            public: false,
            description: String::new(),
        }
    }

    /// The number of `p1/r1`.
    pub(super) async fn id(&self) -> u64 {
        self.artifacts.get_repository("p1", "r1").await.expect("p1/r1").id
    }

    /// Some bytes that are kept.
    pub(super) async fn keep(&self, content: &[u8]) -> Kept {
        let mut receiving = self.artifacts.receive("bytes of a test");
        receiving.accept(Bytes::copy_from_slice(content)).await.expect("room for them");
        receiving.keep(|_| Ok(())).await.expect("a blob")
    }

    /// What puts a file, replacing any.
    #[expect(clippy::unused_self, reason = "tests read better with one subject")]
    pub(super) fn new_put(&self, path: &str) -> Put {
        Put { place: at(path), overwrite: true, metadata: Metadata::new(), expire_us: 0, only_if_sha256: String::new() }
    }

    pub(super) async fn put_as(&self, put: Put, content: &[u8]) -> Result<(FileRecord, bool), Error> {
        let kept = self.keep(content).await;
        self.artifacts.put_file(put, kept, Same::Replace, "ann".to_owned()).await
    }

    pub(super) async fn try_put(&self, path: &str, content: &[u8]) -> Result<FileRecord, Error> {
        Ok(self.put_as(self.new_put(path), content).await?.0)
    }

    pub(super) async fn put(&self, path: &str, content: &[u8]) -> FileRecord {
        self.try_put(path, content).await.expect("a file")
    }

    /// Deletes a file or a folder.
    pub(super) async fn delete(&self, path: &str) -> Result<u64, Error> {
        let deletion = Deletion { place: at(path), folder: true, only_if_sha256: String::new() };
        self.artifacts.delete_file(deletion).await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.artifacts.store
    }

    pub(super) async fn bytes(&self, key: &Key) -> Option<Bytes> {
        self.store().get(key).await.expect("a readable store").map(|record| record.value)
    }

    pub(super) async fn record<M: prost::Message + Default>(&self, key: &Key) -> Option<M> {
        tx::read(self.store(), key).await.expect("a readable record")
    }

    /// How many need some bytes.
    pub(super) async fn uses(&self, digest: &str) -> usize {
        let digest = digest.parse().expect("a digest");
        let range = KeyRange::prefix(&keys::blob_uses(&digest));
        tx::scan(self.store(), range, usize::MAX).await.expect("a readable store").len()
    }

    /// How many records start so.
    pub(super) async fn count(&self, prefix: &Key) -> usize {
        tx::scan(self.store(), KeyRange::prefix(prefix), usize::MAX).await.expect("a readable store").len()
    }

    /// All changes of `p1/r1`.
    pub(super) async fn changes(&self) -> Vec<ArtifactChangeRecord> {
        let listed = self.artifacts.list_changes(("p1", "r1"), 0, usize::MAX - 1).await;
        listed.expect("changes").changes.into_iter().map(|(_, change)| change).collect()
    }

    /// A wish for a page.
    #[expect(clippy::unused_self, reason = "tests read better with one subject")]
    pub(super) fn page(&self, size: i32, token: &str) -> Page {
        let mut fields = Fields::default();
        let page = fields.artifact_page(size, token);
        assert!(fields.check().is_ok(), "a page");
        page
    }
}

async fn open(
    harness: &mut suite::Memory,
    directory: &tempfile::TempDir,
    clock: &Arc<ManualClock>,
    settings: &Settings,
    shutdown: &CancellationToken,
) -> Artifacts {
    let blobs = Blobs::open(directory.path()).expect("a directory of blobs");
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let tasks = TaskTracker::new();
    let opened = Artifacts::open(harness.open(HISTORY), blobs, clock, settings.clone(), shutdown.clone(), tasks);
    opened.await.expect("artifacts")
}

/// A place in `p1/r1`.
pub(super) fn at(path: &str) -> Place {
    Place { project: "p1".to_owned(), repository: "r1".to_owned(), path: FilePath::folder(path).expect("a path") }
}
