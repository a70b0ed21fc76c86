//! The bytes of artifacts on a store in memory and a directory of their own, with a clock that is moved by hand.

mod blobs;
mod bytes;
mod calls;
mod sweep;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures::StreamExt as _;
use prost::Message;
use steward_proto::artifact::v1::{ImageName, RepositoryType};
use steward_proto::store::v1::{BlobRecord, ImageBlobRecord, RepositoryRecord, UploadRecord};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use super::place::Place;
use super::settings::Settings;
use super::upload_sessions::Uploader;
use super::uploads::Started;
use crate::blob::{Algorithm, Blobs, Digest};
use crate::clock::{Clock, ManualClock};
use crate::store::suite::{self, Harness as _};
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Step, Store, Table};

const IMAGES: u64 = 1;
const FILES: u64 = 2;
const HOUR: Duration = Duration::from_hours(1);

struct World {
    home: TempDir,
    harness: suite::Memory,
    clock: Arc<ManualClock>,
    tasks: TaskTracker,
    settings: Settings,
    artifacts: Artifacts,
}

fn ann() -> Uploader {
    Uploader { user: "ann".to_owned(), address: None }
}

impl World {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let (home, mut harness) = (tempfile::tempdir().unwrap(), suite::Memory::default());
        let (clock, tasks) = (Arc::new(ManualClock::new()), TaskTracker::new());
        let artifacts = open(&home, &mut harness, &clock, &settings, &tasks).await;
        let world = World { home, harness, clock, tasks, settings, artifacts };
        for (id, name, held) in [(IMAGES, "images", RepositoryType::Docker), (FILES, "files", RepositoryType::Generic)]
        {
            let (project, name) = ("p".to_owned(), name.to_owned());
            let record = RepositoryRecord {
                id,
                project,
                name: name.clone(),
                r#type: held.into(),
                ..RepositoryRecord::default()
            };
            world.put(keys::repository("p", &name), &record).await;
        }
        world
    }

    /// Waits until everything that was started is over.
    async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Starts the server again.
    async fn restart(&mut self) {
        self.settle().await;
        self.artifacts = open(&self.home, &mut self.harness, &self.clock, &self.settings, &self.tasks).await;
    }

    async fn change(&self, change: impl Fn(&mut Tx<'_>)) {
        let changed = self.artifacts.decide("a test", |mut tx| {
            change(&mut tx);
            async move { Ok::<Step<()>, Error>(tx.answer(())) }
        });
        changed.await.unwrap();
    }

    async fn put(&self, key: Key, record: &impl Message) {
        self.change(|tx| tx.put(key.clone(), record)).await;
    }

    async fn get<M: Message + Default>(&self, key: &Key) -> Option<M> {
        tx::read(&*self.artifacts.store, key).await.unwrap()
    }

    async fn count(&self, table: Table) -> usize {
        let range = KeyRange::prefix(&Key::table(table));
        tx::scan(&*self.artifacts.store, range, usize::MAX).await.unwrap().len()
    }

    /// How many files there are below the directory of the blobs.
    fn files(&self) -> usize {
        fn below(directory: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { below(&path) } else { 1 }).sum()
        }
        below(self.home.path())
    }

    fn has_file(&self, digest: &Digest) -> bool {
        self.artifacts.blobs.size(digest).unwrap().is_some()
    }

    async fn keep(&self, content: &'static [u8]) -> Digest {
        let digest = sha256(content);
        self.artifacts.keep_bytes(&digest, Bytes::from_static(content)).await.unwrap();
        digest
    }

    async fn start(&self, place: &Place) -> Uuid {
        match self.artifacts.start_upload(place, None, 0, &ann()).await.unwrap() {
            Started::Upload(id, _) => id,
            Started::There(_) => unreachable!("no digest was told"),
        }
    }

    async fn write(&self, place: &Place, id: Uuid, offset: u64, content: &[u8]) -> Result<UploadRecord, Error> {
        let mut writing = self.artifacts.write_upload(place, id, Some(offset)).await?;
        for chunk in content.chunks(100_000) {
            writing.accept(Bytes::copy_from_slice(chunk)).await?;
        }
        writing.finish(content.len() as u64).await
    }

    /// Gives an image a blob by an upload.
    async fn push(&self, place: &Place, content: &[u8]) -> Digest {
        let id = self.start(place).await;
        self.write(place, id, 0, content).await.unwrap();
        let digest = sha256(content);
        self.artifacts.finish_upload(place, id, &digest).await.unwrap();
        digest
    }

    async fn image(&self, name: &str) -> steward_proto::store::v1::ImageRecord {
        self.get(&keys::image(IMAGES, name)).await.expect("the image is there")
    }

    async fn blob(&self, digest: &Digest) -> Option<BlobRecord> {
        self.get(&keys::blob(digest)).await
    }

    async fn link(&self, image: u64, digest: &Digest) -> Option<ImageBlobRecord> {
        self.get(&keys::image_blob(image, digest)).await
    }

    async fn content(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let mut reading = self.artifacts.read_part(digest, super::bytes::Part::default()).await?;
        let mut content = Vec::new();
        while let Some(piece) = reading.pieces.next().await {
            content.extend_from_slice(&piece?);
        }
        Ok(content)
    }
}

async fn open(
    home: &TempDir,
    harness: &mut suite::Memory,
    clock: &Arc<ManualClock>,
    settings: &Settings,
    tasks: &TaskTracker,
) -> Artifacts {
    let blobs = Blobs::open(home.path()).unwrap();
    let (store, clock) = (harness.open(100_000), Arc::clone(clock) as Arc<dyn Clock>);
    let store: Arc<dyn Store> = store;
    Artifacts::open(store, blobs, clock, settings.clone(), CancellationToken::new(), tasks.clone()).await.unwrap()
}

fn name(repository: &str, image: &str) -> ImageName {
    ImageName { project: "p".to_owned(), repository: repository.to_owned(), image: image.to_owned() }
}

fn image(name: &str) -> Place {
    Place::parse("target", Some(self::name("images", name))).unwrap()
}

fn files() -> Place {
    Place::parse("target", Some(name("files", ""))).unwrap()
}

fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// Bytes that do not repeat, and so many that several threads are needed for them.
fn many_bytes(count: u32) -> Vec<u8> {
    (0..count).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}
