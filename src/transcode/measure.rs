//! What is measured of the farm.

use super::farm::Farm;
use super::index::WorkerEntry;
use super::model::VideoStatus;

/// The words of the states of videos, as labels.
const VIDEOS: [(VideoStatus, &str); 6] = [
    (VideoStatus::NotNeeded, "not_needed"),
    (VideoStatus::Waiting, "waiting"),
    (VideoStatus::Claimed, "claimed"),
    (VideoStatus::Transcoding, "transcoding"),
    (VideoStatus::Completed, "completed"),
    (VideoStatus::Failed, "failed"),
];

impl Farm {
    /// Brings the gauges up to date.
    pub(super) fn measure(&self) {
        let (mut busy, mut idle, mut offline) = (0, 0, 0);
        let now = self.clock.now();
        let is_offline = |entry: &WorkerEntry| !entry.record.is_online || self.is_silent(entry, now);
        let workers: Vec<_> = self.index.workers.read().iter().map(|(id, entry)| (id, is_offline(entry))).collect();
        let tasks = self.index.tasks.read();
        for (id, is_offline) in workers {
            match (is_offline, tasks.is_busy(id)) {
                (true, _) => offline += 1,
                (false, false) => idle += 1,
                (false, true) => busy += 1,
            }
        }
        metrics::gauge!("steward_transcode_tasks_in_progress").set(float(tasks.active_count()));
        drop(tasks);
        for (state, count) in [("busy", busy), ("idle", idle), ("offline", offline)] {
            metrics::gauge!("steward_transcode_workers", "state" => state).set(f64::from(count));
        }
        let videos = self.index.videos.read();
        for (status, word) in VIDEOS {
            metrics::gauge!("steward_transcode_videos", "status" => word).set(float(videos.count_of(status)));
        }
        metrics::gauge!("steward_transcode_claimable_videos").set(float(videos.waiting()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}
