//! What a scan finds becomes videos.

use async_trait::async_trait;
use bytes::Bytes;

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm, Stored};
use super::keys;
use super::library::{Found, Known, Recorded, Shelf, Twin};
use super::model::{LogLevel, VideoId, VideoRecord, VideoStatus, library_of};
use super::videos::{id_bytes, is_busy};
use crate::clock::Timestamp;
use crate::error::Failure;

/// Videos that one commit marks: one operation each.
const MARKED_AT_A_TIME: usize = 100;

/// What a file is now, beside what is known of it. A video that was transcoded stays so when its file is the result;
/// another file is a new video at the old place.
pub(super) fn shelve(before: &VideoRecord, found: &Found, now: Timestamp) -> (VideoRecord, Recorded) {
    // One that was registered without a fingerprint is known by its size.
    let is_same = before.fingerprint == found.fingerprint.as_slice()
        || (before.fingerprint.is_empty() && before.size_bytes == found.size_bytes);
    let mut video = measured(before, found);
    if !is_same && is_busy(before) {
        video.found_status = status_of(found) as i32;
    } else if !is_same {
        let is_result = before.status == VideoStatus::Completed as i32
            && before.expects_change
            && (before.output_bytes == 0 || before.output_bytes == found.size_bytes);
        if is_result {
            if before.saved_bytes == 0 {
                video.saved_bytes = before.size_bytes - found.size_bytes;
            }
        } else {
            video.status = status_of(found) as i32;
            // What its old tasks still have to say is about another file.
            video.last_task_id = 0;
            (video.attempts, video.held, video.not_before_nanos) = (0, false, 0);
            video.error_message = String::new();
        }
        video.expects_change = false;
    }
    if video == *before {
        return (video, Recorded::Unchanged);
    }
    video.update_nanos = now.nanos();
    let recorded = if is_same && before.exist { Recorded::Unchanged } else { Recorded::Changed };
    (video, recorded)
}

fn status_of(found: &Found) -> VideoStatus {
    if found.needs_transcoding { VideoStatus::Waiting } else { VideoStatus::NotNeeded }
}

/// A video with what was measured of its file.
fn measured(before: &VideoRecord, found: &Found) -> VideoRecord {
    let probe = found.probe.clone();
    VideoRecord {
        path: found.path.clone(),
        codec: probe.codec,
        bitrate_k: probe.bitrate_k,
        size_bytes: found.size_bytes,
        fps: probe.fps,
        width: probe.width,
        height: probe.height,
        is_vr: found.is_vr,
        duration: probe.duration,
        container: probe.container,
        audio_codec: probe.audio_codec,
        fingerprint: Bytes::copy_from_slice(&found.fingerprint),
        modify_nanos: found.modify_nanos,
        exist: true,
        ..before.clone()
    }
}

impl Farm {
    async fn try_record(&self, found: &[Found]) -> Result<Decision<Vec<(i32, Recorded)>>, Error> {
        let now = self.clock.now();
        let (mut batch, mut answers) = (Batch::default(), Vec::with_capacity(found.len()));
        for file in found {
            let (id, recorded) = self.record_one(&mut batch, file, now).await?;
            answers.push((id.0, recorded));
        }
        Ok(Decision { batch, answer: answers })
    }

    async fn record_one(&self, batch: &mut Batch, found: &Found, now: Timestamp) -> Result<(VideoId, Recorded), Error> {
        let known = self.index.videos.read().at_path(&found.path);
        if let Some(id) = known
            && let Some(before) = self.video(id).await?
        {
            let (video, recorded) = shelve(&before.record, found, now);
            if video != before.record {
                batch.put_video(id, video, Some(before.revision));
            }
            return Ok((id, recorded));
        }
        if let Some(id) = found.moved_from.map(VideoId) {
            let before = self.video(id).await?;
            let is_fit = |before: &Stored<VideoRecord>| before.record.fingerprint == found.fingerprint.as_slice();
            if let Some(before) = before.filter(is_fit).filter(|before| before.record.path != found.path) {
                let mut video = measured(&before.record, found);
                video.update_nanos = now.nanos();
                batch.txn.expect(keys::video_path(&found.path), None);
                batch.txn.put(keys::video_path(&found.path), id_bytes(id));
                batch.move_video(id, video, before.revision, &before.record.path);
                return Ok((id, Recorded::Moved));
            }
        }
        let mut video = measured(&VideoRecord::default(), found);
        video.status = status_of(found) as i32;
        video.update_nanos = now.nanos();
        Ok((self.add_video(batch, video), Recorded::Added))
    }

    /// Says of videos whether their files are there.
    async fn mark(&self, library: &str, ids: Vec<i32>, exist: bool) -> Result<(), Error> {
        for part in ids.chunks(MARKED_AT_A_TIME) {
            let attempt = || async {
                let mut batch = Batch::default();
                for id in part.iter().copied().map(VideoId) {
                    let Some(mut stored) = self.video(id).await? else { continue };
                    if stored.record.exist != exist && library_of(&stored.record.path) == library {
                        stored.record.exist = exist;
                        stored.record.update_nanos = self.clock.now().nanos();
                        batch.put_video(id, stored.record, Some(stored.revision));
                    }
                }
                Ok(Decision { batch, answer: () })
            };
            self.decide("the videos of a library", attempt).await?;
        }
        Ok(())
    }

    /// Forgets the files of a library that is removed.
    pub(super) async fn hide_library(&self, library: &str) -> Result<(), Error> {
        let ids = self.index.videos.read().in_library(library);
        self.mark(library, ids.into_iter().map(|id| id.0).collect(), false).await
    }
}

#[async_trait]
impl Shelf for Farm {
    fn lookup(&self, path: &str) -> Option<Known> {
        let seen = self.index.videos.read().seen(path)?;
        Some(Known { id: seen.id.0, size_bytes: seen.size_bytes, modify_nanos: seen.modify_nanos, exists: seen.exists })
    }

    fn existing(&self, library: &str) -> Vec<i32> {
        self.index.videos.read().in_library(library).into_iter().map(|id| id.0).collect()
    }

    fn twins(&self, fingerprint: &[u8; 16]) -> Vec<Twin> {
        let videos = self.index.videos.read();
        let twin = videos
            .like(fingerprint)
            .and_then(|id| Some(Twin { id: id.0, path: videos.path(id)?.to_string(), exists: videos.exists(id) }));
        twin.into_iter().collect()
    }

    fn path(&self, id: i32) -> Option<String> {
        self.index.videos.read().path(VideoId(id)).map(|path| path.to_string())
    }

    async fn record(&self, _library: &str, found: Vec<Found>) -> Result<Vec<(i32, Recorded)>, Failure> {
        let farm = self.clone();
        let recorded = self.to_the_end(async move {
            farm.decide("the videos of a library", || farm.try_record(&found)).await.map(|(answer, _)| answer)
        });
        Ok(recorded.await?)
    }

    async fn mark_missing(&self, library: &str, ids: Vec<i32>) -> Result<(), Failure> {
        let (farm, library) = (self.clone(), library.to_owned());
        Ok(self.to_the_end(async move { farm.mark(&library, ids, false).await }).await?)
    }

    async fn mark_present(&self, library: &str, ids: Vec<i32>) -> Result<(), Failure> {
        let (farm, library) = (self.clone(), library.to_owned());
        Ok(self.to_the_end(async move { farm.mark(&library, ids, true).await }).await?)
    }

    async fn report(&self, level: LogLevel, message: String) {
        let farm = self.clone();
        let written = self.to_the_end(async move { farm.log(level, message, About::Nothing).await.map(|_| ()) });
        if let Err(error) = written.await {
            tracing::warn!(%error, "an entry of the farm's log is lost");
        }
    }

    async fn scan_ended(&self, library: &str, error: Option<String>) {
        let (farm, library) = (self.clone(), library.to_owned());
        let noted = self.to_the_end(async move { farm.note_scan(&library, error).await });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the end of a scan is not kept");
        }
    }
}

#[cfg(test)]
#[path = "shelf_test.rs"]
mod tests;
