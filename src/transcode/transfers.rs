//! The commands that carry the bytes of videos, for workers that do not reach the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::batch::Batch;
use super::error::Error;
use super::farm::{Decision, Farm};
use super::library::{Probe, Prober, Roots};
use super::model::{TaskRecord, TaskUuid, VideoId, VideoRecord, library_of};
use super::reports::Claimant;
use super::transfer::path::{OWN_DIRECTORY, RelativePath};
use super::transfer::place::place;
use super::transfer::root::Root;
use super::transfer::source::Source;
use super::transfer::staging::{Received, Staging, Upload};
use super::transfer::{self};
use crate::clock::Timestamp;

/// How much longer or shorter a result may be than its source, in seconds.
const DURATION_TOLERANCE: f64 = 2.0;
/// What a result may have beside twice the size of its source, in bytes.
const ROOM: u64 = 64 * 1024 * 1024;

/// After so long without another part, a result of a task that has ended is forgotten.
const STALE_AFTER: Duration = Duration::from_hours(24);

/// Where the file of a task is.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    task: TaskRecord,
    video: VideoRecord,
    library: String,
    root: PathBuf,
    roots: Arc<Roots>,
    path: RelativePath,
    allows_larger: bool,
}

/// A result that is being received.
#[derive(Debug)]
pub(crate) struct Receiving {
    location: Location,
    staging: Arc<Staging>,
    upload: Option<Upload>,
    extension: Option<String>,
}

/// A result that has its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) size: u64,
    /// The path of the video now.
    pub(crate) path: String,
}

impl From<transfer::Error> for Error {
    fn from(error: transfer::Error) -> Self {
        let offset = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        match error {
            transfer::Error::WrongOffset { given, expected } => {
                Error::WrongOffset { sent: offset(given), expected: offset(expected) }
            }
            transfer::Error::WrongDigest => Error::WrongDigest,
            transfer::Error::Busy => Error::UploadBusy,
            transfer::Error::TooLarge { .. } | transfer::Error::Changed | transfer::Error::Taken => {
                Error::ResultRefused(error.to_string())
            }
            transfer::Error::Path(_)
            | transfer::Error::NotThere
            | transfer::Error::Misplaced(_)
            | transfer::Error::Escapes
            | transfer::Error::NotAFile
            | transfer::Error::Io { .. } => Error::SourceUnreachable(error.to_string()),
        }
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, transfer::Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = tokio::task::spawn_blocking(work).await;
    Ok(ended.map_err(|error| Error::Internal(format!("a transfer broke off: {error}")))??)
}

impl Location {
    fn uuid(&self) -> Uuid {
        Uuid::from_bytes(TaskUuid::of(&self.task.uuid).0)
    }

    fn open_root(&self) -> Result<Root, transfer::Error> {
        Root::open(&self.root, &self.roots)
    }

    /// The most bytes of a result: one that is larger was no use of anybody's time.
    fn most_bytes(&self) -> u64 {
        u64::try_from(self.task.source_bytes).unwrap_or(0).saturating_mul(2).saturating_add(ROOM)
    }

    /// Whether a result is as good as its source, as far as a look at it can tell.
    fn judge(&self, probe: &Probe, size: u64, original: u64) -> Result<(), Error> {
        let signed = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        let (source, size) = (signed(original), signed(size));
        if self.task.source_bytes > 0 && self.task.source_bytes != source {
            return Err(transfer::Error::Changed.into());
        }
        if size >= source && !self.allows_larger {
            let problem = format!("the result has {size} bytes, which is not less than the source's {source}");
            return Err(Error::ResultRefused(problem));
        }
        let (was, is) = (self.video.duration, probe.duration);
        if was > 0.0 && is > 0.0 && (was - is).abs() > DURATION_TOLERANCE {
            return Err(Error::ResultRefused(format!("the result takes {is:.1} s, and the source {was:.1} s")));
        }
        Ok(())
    }
}

impl Farm {
    async fn locate(&self, uuid: TaskUuid, claimant: Claimant) -> Result<Location, Error> {
        let task = self.owned_task(uuid, claimant).await?;
        let id = VideoId(task.video_id);
        let video = self.video(id).await?.ok_or(Error::VideoNotFound(id.0))?.record;
        let name = library_of(&video.path);
        let library = self.library(name)?.library;
        let relative = video.path.split_once('/').map_or("", |(_, relative)| relative);
        let path = RelativePath::try_from(relative).map_err(|error| Error::SourceUnreachable(error.to_string()))?;
        Ok(Location {
            library: name.to_owned(),
            root: library.record.path.into(),
            roots: Arc::clone(&self.settings.library.roots),
            allows_larger: library.rules.allow_larger,
            task,
            path,
            video,
        })
    }

    /// Opens the file of a task's video for its worker.
    pub(crate) async fn open_source(&self, uuid: TaskUuid, claimant: Claimant) -> Result<Source, Error> {
        let location = self.locate(uuid, claimant).await?;
        blocking(move || Source::open(&location.open_root()?, &location.path)).await
    }

    /// How much of a task's result is here.
    pub(crate) async fn result_offset(&self, uuid: TaskUuid, claimant: Claimant) -> Result<u64, Error> {
        let location = self.locate(uuid, claimant).await?;
        if !location.task.placed_path.is_empty() {
            return Ok(u64::try_from(location.task.output_bytes).unwrap_or(0));
        }
        blocking(move || Staging::open(&location.open_root()?)?.offset(location.uuid())).await
    }

    /// Begins to receive a task's result, or goes on.
    pub(crate) async fn receive(
        &self,
        uuid: TaskUuid,
        claimant: Claimant,
        extension: Option<String>,
    ) -> Result<Receiving, Error> {
        let location = self.locate(uuid, claimant).await?;
        blocking(move || {
            let staging = Staging::open(&location.open_root()?)?;
            let upload = staging.resume(location.uuid(), location.most_bytes())?;
            Ok(Receiving { location, staging: Arc::new(staging), upload: Some(upload), extension })
        })
        .await
    }

    /// Ends an upload: the result is compared with its digest and its source, and takes its place.
    pub(crate) async fn finish_result(
        &self,
        receiving: Receiving,
        claimant: Claimant,
        sha256: Vec<u8>,
    ) -> Result<Placed, Error> {
        let farm = self.clone();
        self.to_the_end(async move { farm.finish_now(receiving, claimant, sha256).await }).await
    }

    async fn finish_now(&self, receiving: Receiving, claimant: Claimant, sha256: Vec<u8>) -> Result<Placed, Error> {
        let Receiving { location, staging, upload, extension } = receiving;
        let upload = upload.ok_or_else(|| Error::ResultRefused("an earlier part was lost".to_owned()))?;
        let received = {
            let (staging, sha256) = (Arc::clone(&staging), sha256.clone());
            blocking(move || upload.finish(&staging, &sha256)).await?
        };
        if let Err(error) = self.judge(&location, &received).await {
            let (uuid, staging) = (location.uuid(), Arc::clone(&staging));
            blocking(move || staging.remove(uuid)).await?;
            return Err(error);
        }
        // The task may have been ended meanwhile.
        self.owned_task(TaskUuid::of(&location.task.uuid), claimant).await?;
        let size = received.size();
        let today = self.today();
        let library = location.library.clone();
        let uuid = TaskUuid::of(&location.task.uuid);
        let path = blocking(move || {
            let root = location.open_root()?;
            place(&root, &staging, &received, &location.path, extension.as_deref(), today)
        })
        .await?;
        let placed = Placed { size, path: format!("{library}/{}", path.as_str()) };
        self.note_placed(uuid, &placed, sha256.into()).await?;
        Ok(placed)
    }

    /// Keeps with a task where its result is, so that its worker can ask again.
    async fn note_placed(&self, uuid: TaskUuid, placed: &Placed, sha256: Bytes) -> Result<(), Error> {
        let id = self.find_task(uuid)?;
        let attempt = || async {
            let mut batch = Batch::default();
            let task = self.task(id).await?.ok_or_else(|| Error::TaskNotFound(uuid.to_string()))?;
            let mut record = task.record;
            record.placed_path.clone_from(&placed.path);
            record.placed_sha256 = sha256.clone();
            record.output_bytes = i64::try_from(placed.size).unwrap_or(i64::MAX);
            batch.put_task(id, record, Some(task.revision));
            Ok(Decision { batch, answer: () })
        };
        self.decide(format!("task {uuid}"), attempt).await?;
        Ok(())
    }

    /// The result of a task that has its place already, if `sha256` is its digest.
    pub(crate) async fn placed(
        &self,
        uuid: TaskUuid,
        claimant: Claimant,
        sha256: &[u8],
    ) -> Result<Option<Placed>, Error> {
        let task = self.owned_task(uuid, claimant).await?;
        let is_it = !task.placed_path.is_empty() && task.placed_sha256 == sha256;
        Ok(is_it.then(|| Placed { size: u64::try_from(task.output_bytes).unwrap_or(0), path: task.placed_path }))
    }

    async fn judge(&self, location: &Location, received: &Received) -> Result<(), Error> {
        let settings = &self.settings.library;
        let prober = Prober { program: settings.ffprobe.clone(), timeout: settings.probe_timeout };
        let file: &Path = &location.root.join(received.path());
        let size = i64::try_from(received.size()).unwrap_or(i64::MAX);
        let original = location.clone();
        let original = blocking(move || Ok(Source::open(&original.open_root()?, &original.path)?.size())).await?;
        let probe = prober.probe(file, size).await.map_err(|error| Error::ResultRefused(error.to_string()))?;
        location.judge(&probe, received.size(), original)
    }

    /// Forgets results that nobody goes on with.
    pub(super) async fn remove_stale_results(&self, now: Timestamp) {
        let since_1970 = Duration::from_nanos(u64::try_from(now.nanos()).unwrap_or(0)).saturating_sub(STALE_AFTER);
        let before = SystemTime::UNIX_EPOCH + since_1970;
        for view in self.all_libraries() {
            let farm = self.clone();
            let path = PathBuf::from(view.library.record.path);
            let removed = blocking(move || {
                // A library that has received nothing is left as it is.
                if !path.join(OWN_DIRECTORY).join("incoming").is_dir() {
                    return Ok(0);
                }
                let is_wanted = |uuid: Uuid| farm.has_in_progress(TaskUuid(uuid.into_bytes()));
                Staging::open(&Root::open(&path, &farm.settings.library.roots)?)?.remove_stale(before, is_wanted)
            });
            match removed.await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(library = %view.name, count, "results that nobody went on with are removed");
                }
                Err(error) => tracing::warn!(library = %view.name, %error, "old results cannot be removed"),
            }
        }
    }

    fn has_in_progress(&self, uuid: TaskUuid) -> bool {
        let tasks = self.index.tasks.read();
        tasks.find(uuid).is_some_and(|id| tasks.is_active(id))
    }

    fn today(&self) -> Date {
        let nanos = i128::from(self.clock.now().nanos());
        jiff::Timestamp::from_nanosecond(nanos).unwrap_or_default().to_zoned(TimeZone::UTC).date()
    }
}

impl Receiving {
    /// Adds the next part.
    pub(crate) async fn append(&mut self, offset: u64, chunk: bytes::Bytes) -> Result<(), Error> {
        let lost = || Error::ResultRefused("an earlier part was lost".to_owned());
        let mut upload = self.upload.take().ok_or_else(lost)?;
        let (upload, appended) = tokio::task::spawn_blocking(move || {
            let appended = upload.append(offset, &chunk);
            (upload, appended)
        })
        .await
        .map_err(|error| Error::Internal(format!("a transfer broke off: {error}")))?;
        self.upload = Some(upload);
        Ok(appended?)
    }

    /// How much is here.
    pub(crate) fn size(&self) -> u64 {
        self.upload.as_ref().map_or(0, Upload::size)
    }
}
