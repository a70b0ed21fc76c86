//! The command that gives out work.

use super::batch::{About, Batch};
use super::claim::{self, Claim, Drawn, Standing};
use super::error::Error;
use super::farm::{Decision, Farm};
use super::index::{Library, Reserved, Wish, WorkerEntry};
use super::keys;
use super::model::{
    LeaseToken, LogLevel, OfflineAction, TaskId, TaskRecord, TaskUuid, VideoId, VideoStatus, WorkerId, WorkerRecord,
    WorkerType,
};
use super::schedule;
use super::workers::random;
use crate::clock::Timestamp;

/// How many videos one claim tries that turn out to be no longer there to be had.
const TRIES: usize = 100;

/// What a claim gave.
#[derive(Clone, Debug)]
pub(crate) enum Claimed {
    Task(TaskId, Box<TaskRecord>),
    /// The worker has been told to go, and counts as offline now.
    Goes(OfflineAction),
    /// There is nothing. Another look is worth it at this time, without any change.
    Nothing(Option<Timestamp>),
}

/// Gives a reserved video back however the claim ends.
pub(super) struct Reservation<'a> {
    pub(super) farm: &'a Farm,
    pub(super) video: VideoId,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let waits_again = self.farm.index.videos.write().release(self.video, self.farm.clock.now());
        if waits_again {
            // Others looked past it in the meantime.
            self.farm.work.notify_waiters();
        }
    }
}

/// Whether a worker is for the videos of a library, at any time.
fn reaches(worker: &WorkerRecord, name: &str, library: &Library) -> bool {
    let is_named = worker.libraries.is_empty() || worker.libraries.iter().any(|named| named == name);
    let labels = &library.rules.require_labels;
    let is_fit = labels.iter().all(|(label, value)| worker.labels.get(label) == Some(value));
    !library.record.paused && is_named && is_fit
}

impl Farm {
    /// Gives the most urgent video that the worker can take to it.
    pub(crate) async fn claim(&self, command: Claim) -> Result<Claimed, Error> {
        let farm = self.clone();
        self.to_the_end(async move { farm.claim_now(&command).await }).await
    }

    async fn claim_now(&self, command: &Claim) -> Result<Claimed, Error> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let worker = self.worker_entry(command.worker)?;
            match claim::standing(&worker.record, self.is_silent(&worker, now), now) {
                Standing::Welcome => {}
                Standing::Offline => {
                    self.settled().await?;
                    return Err(Error::WorkerOffline(command.worker));
                }
                Standing::Told(action) => {
                    // One with a stream is told by it, and goes once it has finished.
                    if !self.sessions.has(command.worker) {
                        self.put_offline(command.worker, LogLevel::Info, "it was told to go").await?;
                    }
                    return Ok(Claimed::Goes(action));
                }
                Standing::Resting(until) => return Ok(Claimed::Nothing(until)),
            }
            let wish = self.wish(command, &worker, now);
            let reserved = self.index.videos.write().reserve(&wish, now);
            let video = match reserved {
                Reserved::Video(video) => video,
                Reserved::Nothing(rested) => {
                    self.settled().await?;
                    let opening = self.next_library_opening(&worker, now);
                    return Ok(Claimed::Nothing([rested, opening].into_iter().flatten().min()));
                }
            };
            let _reservation = Reservation { farm: self, video };
            let attempt = || self.try_claim(command, &wish, video);
            if let (Some((id, task)), _) = self.decide(format!("video {}", video.0), attempt).await? {
                return Ok(Claimed::Task(id, Box::new(task)));
            }
        }
        Err(crate::store::Error::Busy("the waiting videos".to_owned()).into())
    }

    /// What the worker takes.
    fn wish(&self, command: &Claim, worker: &WorkerEntry, now: Timestamp) -> Wish {
        let record = &worker.record;
        let worker_type =
            command.worker_type.unwrap_or_else(|| WorkerType::try_from(record.worker_type).unwrap_or_default());
        let retries = matches!(worker_type, WorkerType::Cpu | WorkerType::Qsv);
        Wish {
            worker: command.worker,
            worker_type,
            wants_vr: command.wants_vr.unwrap_or(record.support_vr),
            max_height: record.max_height,
            codecs: record.codecs.clone(),
            libraries: self.open_libraries(worker, now),
            takes_retries: retries || self.settings.policy.retry_on_hardware,
            has_peers: self.has_peers(command.worker, now),
        }
    }

    fn open_libraries(&self, worker: &WorkerEntry, now: Timestamp) -> Vec<(String, i32)> {
        let libraries = self.index.libraries.read();
        let reached = libraries.iter().filter(|(name, library)| reaches(&worker.record, name, library));
        let open = reached.filter(|(_, library)| schedule::is_open(library.times.as_ref(), now));
        open.map(|(name, library)| (name.to_owned(), library.rules.priority)).collect()
    }

    /// When a library opens that is closed to a worker now.
    fn next_library_opening(&self, worker: &WorkerEntry, now: Timestamp) -> Option<Timestamp> {
        let libraries = self.index.libraries.read();
        let reached = libraries.iter().filter(|(name, library)| reaches(&worker.record, name, library));
        reached.filter_map(|(_, library)| schedule::next_opening(library.times.as_ref(), now)).min()
    }

    /// Whether another worker could take what this one failed at.
    fn has_peers(&self, worker: WorkerId, now: Timestamp) -> bool {
        let workers = self.index.workers.read();
        workers.iter().any(|(id, entry)| {
            let is_able =
                matches!(WorkerType::try_from(entry.record.worker_type), Ok(WorkerType::Cpu | WorkerType::Qsv));
            id != worker && is_able && entry.record.is_online && !entry.record.paused && !self.is_silent(entry, now)
        })
    }

    async fn try_claim(
        &self,
        command: &Claim,
        wish: &Wish,
        video_id: VideoId,
    ) -> Result<Decision<Option<(TaskId, TaskRecord)>>, Error> {
        let now = self.clock.now();
        let mut batch = Batch::default();
        let worker = self.worker_entry(command.worker)?;
        let stored = self.video(video_id).await?;
        let Some(mut video) = stored.filter(|video| claim::is_claimable(&video.record, wish.takes_retries, now)) else {
            return Ok(Decision { batch, answer: None });
        };
        if claim::standing(&worker.record, self.is_silent(&worker, now), now) != Standing::Welcome {
            return Ok(Decision { batch, answer: None });
        }
        debug_assert_ne!(video.record.status, VideoStatus::Claimed as i32);
        let id = self.index.tasks.write().allocate();
        let drawn = Drawn { uuid: TaskUuid(random()), token: LeaseToken(random()) };
        let (task, message) = claim::start(id, drawn, command, (video_id, &mut video.record), &worker.record, now);
        // The worker is as it was: it was not deleted, and did not go offline, in between.
        batch.txn.expect(keys::worker(command.worker), Some(worker.revision));
        batch.log(&self.index, now, message, About::Task(id, &task));
        batch.put_task(id, task.clone(), None);
        batch.put_video(video_id, video.record, Some(video.revision));
        Ok(Decision { batch, answer: Some((id, task)) })
    }
}
