//! What the tests of images share: a server's artifacts on a store in memory, and manifests to push.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use steward_proto::artifact::v1::RepositoryType;
use steward_proto::store::v1::{ArtifactChangeRecord, ImageBlobRecord, ImageRecord, RepositoryRecord};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::Artifacts;
use super::error::Error;
use super::image_name::ImageName;
use super::keys::{self, BlobUse};
use super::manifest_parse::OCI_IMAGE;
use super::manifest_put::{Manifest, PutManifest};
use super::packages::PackageName;
use super::reference::Reference;
use super::settings::Settings;
use crate::blob::{Algorithm, Blobs, Digest};
use crate::clock::{Clock, ManualClock};
use crate::store::suite::{self, Harness as _};
use crate::store::tx::{self, Tx};
use crate::store::{self, ChangeSet, CommitError, Key, KeyRange, Record, Revision, Store, Table, Txn};

/// The number of the repository of images of the tests.
pub(super) const REPOSITORY: u64 = 7;

/// Artifacts, with a repository `p/docker` of images.
pub(super) struct World {
    pub(super) artifacts: Artifacts,
    /// The same, for those who interrupt.
    pub(super) beside: Artifacts,
    interruptions: Arc<Interruptions>,
    pub(super) clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let blobs = Blobs::open(directory.path()).expect("a store of blobs");
        let clock = Arc::new(ManualClock::new());
        let store = suite::Memory::default().open(1000);
        let interruptions =
            Arc::new(Interruptions { store: Arc::clone(&store) as Arc<dyn Store>, next: Mutex::default() });
        let open = |store: Arc<dyn Store>| {
            let clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let (settings, tasks) = (Settings::default(), TaskTracker::new());
            Artifacts::open(store, blobs.clone(), clock, settings, CancellationToken::new(), tasks)
        };
        let artifacts = open(Arc::clone(&interruptions) as Arc<dyn Store>).await.expect("artifacts");
        let beside = open(store).await.expect("artifacts");
        let world = World { artifacts, beside, interruptions, clock, _directory: directory };
        world.add_repository("p", "docker", REPOSITORY, RepositoryType::Docker).await;
        world
    }

    pub(super) async fn add_repository(&self, project: &str, name: &str, id: u64, held: RepositoryType) {
        let record = RepositoryRecord {
            id,
            project: project.to_owned(),
            name: name.to_owned(),
            r#type: held.into(),
            ..RepositoryRecord::default()
        };
        self.change(async |tx| tx.put(keys::repository(project, name), &record)).await;
    }

    /// Commits what is put.
    pub(super) async fn change(&self, change: impl AsyncFnOnce(&mut Tx<'_>)) {
        let mut tx = Tx::new(&*self.artifacts.store);
        change(&mut tx).await;
        if let store::Step::Commit(txn, ()) = tx.answer(()) {
            self.artifacts.store.commit(txn).await.expect("nobody else changes it");
        }
    }

    /// Gives an image a blob.
    pub(super) async fn give(&self, image: &str, content: &'static [u8]) -> Digest {
        self.give_to(&name(image), REPOSITORY, content).await
    }

    pub(super) async fn give_to(&self, name: &ImageName, repository: u64, content: &'static [u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        self.artifacts.keep_bytes(&digest, Bytes::from_static(content)).await.expect("kept bytes");
        let (blob, size) = (&digest, content.len() as u64);
        let given = self.artifacts.decide("a blob", |mut tx| async move {
            let image = tx.found_image(repository, &name.image, "", 1).await?;
            tx.use_blob(blob, BlobUse::Image(image.id)).await?;
            tx.put(keys::image_blob(image.id, blob), &ImageBlobRecord { size, touch_us: 1 });
            Ok::<_, Error>(tx.answer(()))
        });
        given.await.expect("a blob");
        digest
    }

    /// Does something before the commit that comes behind so many others.
    pub(super) fn interrupt(&self, behind: usize, by: impl Future<Output = ()> + Send + 'static) {
        *self.interruptions.next.lock() = Some((behind, Box::pin(by)));
    }

    /// Whether that has happened.
    pub(super) fn was_interrupted(&self) -> bool {
        self.interruptions.next.lock().take().is_none()
    }

    /// Pushes an image of a config and a layer under a tag.
    pub(super) async fn push(&self, image: &str, tag: &str, layer: &'static [u8]) -> Manifest {
        let content = self.image(image, layer).await;
        let (manifest, is_changed) = self.put(put(image, tag, &content)).await.expect("a push");
        assert!(is_changed);
        manifest
    }

    /// An image of a config and a layer, which are there.
    pub(super) async fn image(&self, image: &str, layer: &'static [u8]) -> Value {
        let config = self.give(image, b"{}").await;
        let layer = (self.give(image, layer).await, layer.len());
        image_of(&(config, 2), &[layer])
    }

    pub(super) async fn put(&self, what: PutManifest) -> Result<(Manifest, bool), Error> {
        self.artifacts.put_manifest(what, "ann").await
    }

    /// The manifest of an image that a tag names, or that has a digest.
    pub(super) async fn get(&self, image: &str, reference: &str) -> Result<(Manifest, Bytes), Error> {
        let reference = Reference::parse("reference", reference).expect("a reference");
        self.artifacts.read_manifest(&name(image), &reference).await
    }

    pub(super) async fn delete(&self, image: &str, reference: &str) -> Result<(), Error> {
        let reference = Reference::parse("reference", reference).expect("a reference");
        self.artifacts.delete_manifest(name(image), reference, None).await
    }

    /// The record of an image that is there.
    pub(super) async fn record(&self, image: &str) -> ImageRecord {
        let record = tx::read(&*self.artifacts.store, &keys::image(REPOSITORY, image)).await;
        record.expect("a readable record").expect("an image")
    }

    pub(super) async fn has(&self, key: &Key) -> bool {
        self.artifacts.store.get(key).await.expect("a readable record").is_some()
    }

    /// How many records a table has.
    pub(super) async fn count(&self, table: Table) -> usize {
        self.all(table).await.len()
    }

    async fn all(&self, table: Table) -> Vec<(Key, Bytes)> {
        tx::scan(&*self.artifacts.store, KeyRange::prefix(&Key::table(table)), usize::MAX).await.expect("records")
    }

    /// The changes of tags so far: tag, digest, digest before; and of referrers: subject, digest.
    pub(super) async fn changes(&self) -> Vec<(String, String, String)> {
        let changes = self.all(Table::ArtifactChange).await;
        let changes = changes.iter().map(|(key, value)| tx::decode::<ArtifactChangeRecord>(key, value).expect("one"));
        changes
            .map(|change| {
                (if change.subject.is_empty() { change.tag } else { change.subject }, change.digest, change.before)
            })
            .collect()
    }

    pub(super) fn pass(&self) {
        self.clock.advance(Duration::from_secs(1));
    }
}

/// Takes a blob from an image as the sweep does: if no manifest consists of it.
pub(super) async fn sweep(artifacts: &Artifacts, image: &str, blob: &Digest) {
    let swept = artifacts.decide("a blob", |mut tx| async move {
        let mut image = tx.image(REPOSITORY, image).await?.expect("an image");
        if !tx.is_part(image.id, blob).await? {
            tx.delete(keys::image_blob(image.id, blob));
            tx.release_blob(blob, BlobUse::Image(image.id));
            tx.put_image(&mut image);
        }
        Ok::<_, Error>(tx.answer(()))
    });
    swept.await.expect("a sweep");
}

/// A store in which something else happens just before a commit.
struct Interruptions {
    store: Arc<dyn Store>,
    next: Mutex<Option<(usize, BoxFuture<'static, ()>)>>,
}

impl Interruptions {
    fn now(&self) -> Option<BoxFuture<'static, ()>> {
        let mut next = self.next.lock();
        match &mut *next {
            Some((0, _)) => next.take().map(|(_, by)| by),
            Some((behind, _)) => {
                *behind -= 1;
                None
            }
            None => None,
        }
    }
}

#[async_trait]
impl Store for Interruptions {
    async fn get(&self, key: &Key) -> Result<Option<Record>, store::Error> {
        self.store.get(key).await
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<store::Page, store::Error> {
        self.store.scan(range, limit).await
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        if let Some(by) = self.now() {
            by.await;
        }
        self.store.commit(txn).await
    }

    fn revision(&self) -> Revision {
        self.store.revision()
    }

    async fn settled(&self) -> Result<(), store::Error> {
        self.store.settled().await
    }

    fn watch_with_progress(
        &self,
        prefix: Key,
        from: Revision,
        interval: Option<Duration>,
    ) -> BoxStream<'static, Result<ChangeSet, store::Error>> {
        self.store.watch_with_progress(prefix, from, interval)
    }
}

/// An image of the repository of the tests.
pub(super) fn name(image: &str) -> ImageName {
    ImageName::parse("p".to_owned(), "docker".to_owned(), image.to_owned()).expect("a name")
}

/// A package of the repository of the tests.
pub(super) fn package(key: &str) -> PackageName {
    PackageName { project: "p".to_owned(), repository: "docker".to_owned(), key: key.to_owned() }
}

/// A push to the repository of the tests.
pub(super) fn put(image: &str, reference: &str, content: &impl ToString) -> PutManifest {
    PutManifest {
        name: name(image),
        reference: Reference::parse("reference", reference).expect("a reference"),
        tags: Vec::new(),
        media_type: String::new(),
        content: Bytes::from(content.to_string()),
        metadata: HashMap::new(),
        only_if: None,
    }
}

/// A descriptor.
pub(super) fn descriptor(media_type: &str, (digest, size): &(Digest, usize)) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

/// The manifest of an image.
pub(super) fn image_of(config: &(Digest, usize), layers: &[(Digest, usize)]) -> Value {
    let layers: Vec<Value> =
        layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)).collect();
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    })
}
