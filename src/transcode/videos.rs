//! The commands on videos.

use bytes::Bytes;

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm};
use super::keys;
use super::library::{Probe, needs_transcoding};
use super::model::{LogLevel, TaskStatus, VideoId, VideoRecord, VideoStatus, library_of};
use super::transition;
use crate::clock::Timestamp;

/// Videos that one commit registers: two operations each.
const IN_ONE_COMMIT: usize = 40;

/// What became of a video that was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requeued {
    Done,
    /// It waits already, or need not.
    AsItWas,
    /// A worker has it.
    Busy,
    /// There is none, or its file is gone.
    Gone,
}

/// A video whose properties a caller has found.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// As it is to be kept. Its status is for the rules to decide when it is unspecified.
    pub(crate) record: VideoRecord,
}

/// An id as the index of paths keeps it.
pub(super) fn id_bytes(id: VideoId) -> Bytes {
    Bytes::copy_from_slice(&id.0.to_be_bytes())
}

/// Whether a worker has the video.
pub(super) fn is_busy(video: &VideoRecord) -> bool {
    matches!(VideoStatus::try_from(video.status), Ok(VideoStatus::Claimed | VideoStatus::Transcoding))
}

impl Farm {
    /// One video. Those whose files are gone are not shown.
    pub(crate) async fn get_video(&self, id: VideoId) -> Result<VideoRecord, Error> {
        let stored = self.video(id).await?.filter(|video| video.record.exist);
        self.settled().await?;
        Ok(stored.ok_or(Error::VideoNotFound(id.0))?.record)
    }

    /// Makes videos known, or refreshes them. Each is registered whole or not at all; a request that breaks off can be
    /// sent again.
    pub(crate) async fn register_videos(&self, videos: Vec<Registration>) -> Result<(Vec<VideoId>, usize), Error> {
        for video in &videos {
            let library = library_of(&video.record.path);
            if self.index.libraries.read().get(library).is_none() {
                return Err(Error::LibraryNotFound(library.to_owned()));
            }
        }
        let farm = self.clone();
        self.to_the_end(async move {
            use futures::stream::{StreamExt as _, TryStreamExt as _};
            let mut commits = Vec::new();
            for part in videos.chunks(IN_ONE_COMMIT) {
                let farm = &farm;
                commits.push(async move {
                    farm.decide("videos", || farm.try_register_videos(part)).await.map(|(ids, _)| ids)
                });
            }
            // In the order of the request, and at one time, so that they share flushes.
            let registered: Vec<Vec<(VideoId, bool)>> =
                futures::stream::iter(commits).buffered(8).try_collect().await?;
            let registered = registered.concat();
            let added = registered.iter().filter(|(_, is_new)| *is_new).count();
            Ok((registered.into_iter().map(|(id, _)| id).collect(), added))
        })
        .await
    }

    async fn try_register_videos(&self, videos: &[Registration]) -> Result<Decision<Vec<(VideoId, bool)>>, Error> {
        let now = self.clock.now();
        let (mut batch, mut ids) = (Batch::default(), Vec::with_capacity(videos.len()));
        for video in videos {
            let known = self.index.videos.read().at_path(&video.record.path);
            let before = match known {
                Some(id) => self.video(id).await?,
                None => None,
            };
            let record = self.registered(&video.record, before.as_ref().map(|before| &before.record), now);
            match (known, before) {
                (Some(id), Some(before)) => {
                    if record != before.record {
                        batch.put_video(id, record, Some(before.revision));
                    }
                    ids.push((id, false));
                }
                _ => ids.push((self.add_video(&mut batch, record), true)),
            }
        }
        Ok(Decision { batch, answer: ids })
    }

    /// Gives a new video its id and its path.
    pub(super) fn add_video(&self, batch: &mut Batch, record: VideoRecord) -> VideoId {
        let id = self.index.videos.write().allocate();
        batch.txn.expect(keys::video_path(&record.path), None);
        batch.txn.put(keys::video_path(&record.path), id_bytes(id));
        batch.put_video(id, record, None);
        id
    }

    /// A registered video beside what is known of it: what the farm itself decided stays.
    fn registered(&self, given: &VideoRecord, before: Option<&VideoRecord>, now: Timestamp) -> VideoRecord {
        let mut record = VideoRecord { exist: true, update_nanos: now.nanos(), ..given.clone() };
        let is_open = given.status == VideoStatus::Unspecified as i32;
        if is_open {
            record.status = self.first_status(&record) as i32;
        }
        let Some(before) = before else { return record };
        if is_busy(before) || (is_open && before.exist) {
            record.status = before.status;
        }
        record.task_id = before.task_id;
        record.last_task_id = before.last_task_id;
        record.last_worker_id = before.last_worker_id;
        record.attempts = before.attempts;
        if record.priority == 0 {
            record.priority = before.priority;
        }
        record.held = before.held && record.status == before.status;
        record.not_before_nanos = before.not_before_nanos;
        record.expects_change = before.expects_change;
        record.output_bytes = before.output_bytes;
        record.saved_bytes = before.saved_bytes;
        if record.status == before.status {
            record.error_message.clone_from(&before.error_message);
        }
        if record.fingerprint.is_empty() {
            // Whoever does not know it says nothing of it; without it the next scan would take the file for another.
            record.fingerprint = before.fingerprint.clone();
        }
        if (VideoRecord { update_nanos: before.update_nanos, ..record.clone() }) == *before {
            return before.clone();
        }
        record
    }

    /// What the rules of its library say of a video that is new.
    pub(super) fn first_status(&self, video: &VideoRecord) -> VideoStatus {
        let libraries = self.index.libraries.read();
        let Some(library) = libraries.get(library_of(&video.path)) else { return VideoStatus::NotNeeded };
        let probe = Probe {
            codec: video.codec.clone(),
            bitrate_k: video.bitrate_k,
            fps: video.fps,
            width: video.width,
            height: video.height,
            duration: video.duration,
            ..Probe::default()
        };
        let needs = needs_transcoding(&library.compiled, &probe, video.is_vr);
        if needs { VideoStatus::Waiting } else { VideoStatus::NotNeeded }
    }

    /// Lets videos wait. Returns how many do that did not.
    pub(crate) async fn requeue(
        &self,
        ids: Vec<VideoId>,
        priority: Option<i32>,
        is_forced: bool,
    ) -> Result<usize, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            use futures::stream::{StreamExt as _, TryStreamExt as _};
            let mut each = Vec::with_capacity(ids.len());
            for id in ids {
                each.push(farm.requeue_one(id, priority, is_forced));
            }
            let outcomes: Vec<Requeued> = futures::stream::iter(each).buffered(64).try_collect().await?;
            Ok(outcomes.into_iter().filter(|outcome| *outcome == Requeued::Done).count())
        })
        .await
    }

    /// Lets one video wait with all its attempts.
    pub(super) async fn requeue_one(
        &self,
        id: VideoId,
        priority: Option<i32>,
        is_forced: bool,
    ) -> Result<Requeued, Error> {
        let attempt = || async {
            let mut batch = Batch::default();
            let now = self.clock.now();
            let Some(stored) = self.video(id).await?.filter(|video| video.record.exist) else {
                return Ok(Decision { batch, answer: Requeued::Gone });
            };
            if is_busy(&stored.record) {
                return Ok(Decision { batch, answer: Requeued::Busy });
            }
            let status = VideoStatus::try_from(stored.record.status).unwrap_or_default();
            let is_settled = matches!(status, VideoStatus::NotNeeded | VideoStatus::Completed);
            let mut video = stored.record;
            if (is_settled && !is_forced) || !transition::requeue(&mut video, priority, now) {
                return Ok(Decision { batch, answer: Requeued::AsItWas });
            }
            batch.log(&self.index, now, (LogLevel::Info, format!("{} waits again", video.path)), About::Nothing);
            batch.put_video(id, video, Some(stored.revision));
            Ok(Decision { batch, answer: Requeued::Done })
        };
        Ok(self.decide(format!("video {}", id.0), attempt).await?.0)
    }

    /// Counts what ended tasks came to.
    pub(super) fn count_outcome(status: TaskStatus) {
        let outcome = match status {
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::Unspecified | TaskStatus::Created | TaskStatus::Running => return,
        };
        metrics::counter!("steward_transcode_tasks_total", "outcome" => outcome).increment(1);
    }
}
