//! Adds bytes to an upload.
//!
//! They are written and hashed by threads that may block, while the next ones come. Now and then what is there is made
//! to last and its end is noted, while writing goes on; at the end all of it. A caller who goes away leaves what came.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use steward_proto::store::v1::UploadRecord;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::artifacts::Artifacts;
use super::bytes::blocking;
use super::error::Error;
use super::keys;
use super::place::Place;
use super::upload_sessions::Held;
use crate::blob::{Blobs, Checkpoint, Gathered, Partial, PartialStart};

/// After so many bytes, what is there is made to last.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// Bytes that are being added to an upload. Dropped, it leaves what came so far, and somebody else can go on soon.
pub(super) struct Writing(Option<Work>);

struct Work {
    artifacts: Artifacts,
    held: Held,
    record: UploadRecord,
    received: u64,
    gathered: Gathered,
    /// The file, while a thread writes to it.
    writing: Option<JoinHandle<io::Result<Partial>>>,
    /// The file, while none does; nothing before it is opened.
    partial: Option<Partial>,
    /// How many bytes the last checkpoint is of, that was begun.
    checked: u64,
    checkpoint: Option<JoinHandle<Result<(), Error>>>,
    /// Bytes were lost on their way to the file: it ends at the last checkpoint.
    is_broken: bool,
}

impl Artifacts {
    /// Begins to add bytes to an upload at its end, which is at `offset` if the caller knows.
    pub(super) async fn write_upload(&self, place: &Place, id: Uuid, offset: Option<u64>) -> Result<Writing, Error> {
        // Before anything is remembered of it.
        self.get_upload(place, id).await?;
        let held = self.uploads.hold(id).await?;
        let record = self.get_upload(place, id).await.inspect_err(|_| self.uploads.forget(id))?;
        if offset.is_some_and(|offset| offset != record.offset) {
            return Err(Error::UploadOffset { offset: record.offset });
        }
        Ok(Writing(Some(Work {
            artifacts: self.clone(),
            held,
            received: 0,
            gathered: Gathered::default(),
            writing: None,
            partial: None,
            checked: record.offset,
            checkpoint: None,
            is_broken: false,
            record,
        })))
    }

    /// Notes that so many bytes of an upload are there for good.
    async fn note_offset(&self, id: Uuid, offset: u64) -> Result<UploadRecord, Error> {
        let noted = self.decide("the upload", |mut tx| async move {
            let key = keys::upload(id);
            let record: Option<UploadRecord> = tx.get(&key).await?;
            let record = record.ok_or_else(|| Error::UploadNotFound(id.to_string()))?;
            let record = UploadRecord { offset, touch_us: self.now_us(), ..record };
            tx.put(key, &record);
            Ok(tx.answer(record))
        });
        noted.await.map(|(record, _)| record)
    }
}

impl Writing {
    /// Takes the next bytes.
    pub(super) async fn accept(&mut self, chunk: Bytes) -> Result<(), Error> {
        let work = self.0.as_mut().ok_or_else(ended)?;
        work.received = work.received.saturating_add(chunk.len() as u64);
        let size = work.record.offset.saturating_add(work.received);
        if let Err(error) = work.artifacts.check_size("the upload", size) {
            work.received -= chunk.len() as u64;
            return Err(error);
        }
        work.gathered.push(chunk);
        if work.gathered.is_full() { work.write().await } else { Ok(()) }
    }

    /// Ends, after `size` bytes. Returns when they last.
    pub(super) async fn finish(mut self, size: u64) -> Result<UploadRecord, Error> {
        let work = self.0.take_if(|work| work.received == size);
        let Some(work) = work else {
            let received = self.0.as_ref().map_or(0, |work| work.received);
            return Err(Error::UploadBrokenOff(format!("{received} of {size} bytes came")));
        };
        work.held.is_ending();
        let artifacts = work.artifacts.clone();
        artifacts.to_the_end(work.settle()).await
    }

    /// Why it is refused when its end never came.
    pub(super) fn without_end(&self) -> Error {
        let received = self.0.as_ref().map_or(0, |work| work.received);
        Error::UploadBrokenOff(format!("it ended after {received} bytes without `finish`"))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let Some(work) = self.0.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        work.held.is_ending();
        let id = work.held.id();
        let tasks = work.artifacts.tasks.clone();
        tasks.spawn_on(
            async move {
                if let Err(error) = work.settle().await {
                    tracing::debug!(upload = %id, %error, "what came of an upload is not kept");
                }
            },
            &runtime,
        );
    }
}

impl Work {
    /// Hands what was gathered to a thread, when that is done with what it got before.
    async fn write(&mut self) -> Result<(), Error> {
        self.wait().await?;
        self.begin_checkpoint().await?;
        // From here on nothing waits, so that nothing is lost with a caller who goes away.
        let (partial, chunks) = (self.partial.take(), self.gathered.take());
        let (blobs, start) = (self.artifacts.blobs.clone(), self.held.start(self.record.offset));
        self.writing = Some(tokio::task::spawn_blocking(move || write(&blobs, partial, start, &chunks)));
        Ok(())
    }

    /// Waits until the thread is done with what it got before.
    async fn wait(&mut self) -> Result<(), Error> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let written = writing.await;
        self.writing = None;
        match written.map_err(io::Error::other).and_then(|written| written) {
            Ok(partial) => {
                self.partial = Some(partial);
                Ok(())
            }
            Err(error) => {
                self.is_broken = true;
                Err(self.failed(error))
            }
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        match error.kind() {
            // Somebody has ended it, or its bytes are lost: it has to be begun anew either way.
            ErrorKind::NotFound => Error::UploadNotFound(self.held.id().to_string()),
            _ => error.into(),
        }
    }

    /// Makes what is written last and notes it, while the next bytes come. One at a time: a slow disk has fewer of them.
    async fn begin_checkpoint(&mut self) -> Result<(), Error> {
        let Some((size, checkpoint)) = self.partial.as_ref().map(|partial| (partial.size(), partial.checkpoint()))
        else {
            return Ok(());
        };
        let is_due = size - self.checked >= CHECKPOINT_BYTES;
        if !is_due || self.checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.is_finished()) {
            return Ok(());
        }
        let last = self.end_checkpoint().await;
        self.is_broken |= last.is_err();
        last?;
        self.checked = size;
        let (artifacts, id) = (self.artifacts.clone(), self.held.id());
        self.checkpoint = Some(self.artifacts.tasks.spawn(async move {
            sync(checkpoint).await?;
            artifacts.note_offset(id, size).await.map(|_| ())
        }));
        Ok(())
    }

    async fn end_checkpoint(&mut self) -> Result<(), Error> {
        let Some(checkpoint) = &mut self.checkpoint else { return Ok(()) };
        let ended = checkpoint.await;
        self.checkpoint = None;
        ended.map_err(|error| Error::Internal(format!("a checkpoint broke off: {error}")))?
    }

    /// Makes all that came last, and notes it.
    async fn settle(mut self) -> Result<UploadRecord, Error> {
        let settled = self.note_all().await;
        if settled.is_err() {
            // Who goes on finds the end where the record says, so that must not move behind their back.
            let _ = self.end_checkpoint().await;
            self.remove_unknown().await?;
        }
        settled
    }

    /// Removes the file of an upload that has ended meanwhile: it may have been made after that.
    async fn remove_unknown(&self) -> Result<(), Error> {
        let id = self.held.id();
        if self.artifacts.store.get(&keys::upload(id)).await?.is_some() {
            return Ok(());
        }
        let blobs = self.artifacts.blobs.clone();
        blocking(move || blobs.remove_partial(id)).await
    }

    async fn note_all(&mut self) -> Result<UploadRecord, Error> {
        self.wait().await?;
        if self.is_broken {
            return Err(Error::UploadBrokenOff("bytes were lost on their way to the disk".to_owned()));
        }
        if self.received == 0 {
            return Ok(self.record.clone());
        }
        let partial = self.partial.take();
        let (chunks, start) = (self.gathered.take(), self.held.start(self.record.offset));
        let blobs = self.artifacts.blobs.clone();
        let written = tokio::task::spawn_blocking(move || {
            let partial = write(&blobs, partial, start, &chunks)?;
            partial.checkpoint().sync()?;
            Ok(partial)
        });
        let written = written.await.map_err(io::Error::other).and_then(|written| written);
        let partial = written.map_err(|error| self.failed(error))?;
        // An error of a sync is told once, and it may have been told there.
        self.end_checkpoint().await?;
        let record = self.artifacts.note_offset(self.held.id(), partial.size()).await?;
        self.held.remember(record.offset, partial.hasher().clone());
        Ok(record)
    }
}

fn write(blobs: &Blobs, partial: Option<Partial>, start: PartialStart, chunks: &[Bytes]) -> io::Result<Partial> {
    let mut partial = partial.map_or_else(|| blobs.open_partial(start), Ok)?;
    partial.write(chunks)?;
    Ok(partial)
}

async fn sync(checkpoint: Checkpoint) -> Result<(), Error> {
    blocking(move || checkpoint.sync()).await
}

fn ended() -> Error {
    Error::Internal("the upload has ended already".to_owned())
}
