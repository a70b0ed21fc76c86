//! Who asks, and whether it may.

use tonic::Request;

use super::FarmServer;
use crate::auth::Grants;
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::transcode::error::Error;
use crate::transcode::model::{TaskUuid, VideoId, WorkerId, library_of};
use crate::transcode::reach::Reach;

/// What the caller of a request may do.
pub(super) fn reach<T>(request: &Request<T>) -> Result<Reach, Failure> {
    let grants = Grants::of(request);
    grants.map(Reach::new).map_err(|status| Failure::new(Category::Internal, "INTERNAL", status.message()))
}

impl Reach {
    /// Refuses what may not be done with the farm as a whole.
    pub(super) fn require_all(&self, right: Right) -> Result<(), Failure> {
        if self.has_all(right) { Ok(()) } else { Err(self.refusal(right)) }
    }

    /// Refuses what may not be done with a library.
    pub(super) fn require_library(&self, right: Right, library: &str) -> Result<(), Failure> {
        if self.has_library(right, library) { Ok(()) } else { Err(self.library_refusal(right, library)) }
    }
}

impl FarmServer {
    /// Refuses what may not be done with a worker. What may not even be seen is refused as if it were not there.
    pub(super) fn require_worker(&self, reach: &Reach, right: Right, id: WorkerId) -> Result<(), Failure> {
        if reach.is_everything() {
            return Ok(());
        }
        let name = self.farm.worker(id)?.record.name;
        if reach.has_worker(right, &name) {
            return Ok(());
        }
        let is_seen = reach.has_worker(Right::Read, &name);
        Err(if is_seen { reach.worker_refusal(right, &name, "") } else { Error::WorkerNotFound(id).into() })
    }

    /// Refuses a caller who is not this worker, as if there were no such worker.
    pub(super) fn require_self(&self, reach: &Reach, id: WorkerId) -> Result<(), Failure> {
        if reach.is_everything() || reach.is_worker(&self.farm.worker(id)?.record.name) {
            return Ok(());
        }
        Err(Error::WorkerNotFound(id).into())
    }

    /// Refuses a caller who is not the worker of this task, as if there were no such task.
    pub(super) async fn require_own_task(&self, reach: &Reach, uuid: TaskUuid) -> Result<(), Failure> {
        if reach.is_everything() || reach.is_worker(&self.farm.get_task(uuid).await?.1.worker_name) {
            return Ok(());
        }
        Err(Error::TaskNotFound(uuid.to_string()).into())
    }

    /// Refuses what may not be done with a task by those who are not its worker.
    pub(super) async fn require_task(&self, reach: &Reach, right: Right, uuid: TaskUuid) -> Result<(), Failure> {
        if reach.is_everything() {
            return Ok(());
        }
        let (_, task) = self.farm.get_task(uuid).await?;
        if reach.has_path(right, &task.video_path) {
            return Ok(());
        }
        let is_seen = reach.sees_task(&task);
        match right {
            Right::Read if is_seen => Ok(()),
            _ if is_seen => Err(reach.library_refusal(right, library_of(&task.video_path))),
            _ => Err(Error::TaskNotFound(uuid.to_string()).into()),
        }
    }

    /// Whether something is to be done with a video: not with one that may not be seen, as if it were not there.
    pub(super) async fn may_change_video(&self, reach: &Reach, id: VideoId) -> Result<bool, Failure> {
        if reach.is_everything() {
            return Ok(true);
        }
        let Some(video) = self.farm.video(id).await? else { return Ok(false) };
        let path = &video.record.path;
        if reach.has_path(Right::Write, path) {
            return Ok(true);
        }
        if reach.has_path(Right::Read, path) {
            return Err(reach.library_refusal(Right::Write, library_of(path)));
        }
        Ok(false)
    }
}
