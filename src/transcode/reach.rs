//! What of the farm a caller may do something with.

use std::collections::HashMap;

use super::farm::Farm;
use super::index::Index;
use super::model::{LogRecord, TaskId, TaskRecord, TaskUuid, VideoId, library_of};
use crate::auth::rights::{Area, Right};
use crate::auth::{Grants, Identity};
use crate::error::Failure;

/// What a caller may do.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Grants);

impl Reach {
    pub(crate) fn new(grants: Grants) -> Self {
        Reach(grants)
    }

    /// Who the caller is.
    pub(crate) fn caller(&self) -> &Identity {
        self.0.caller()
    }

    /// Whether nothing has to be asked.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.are_everything()
    }

    /// Whether something may be done with the farm as a whole.
    pub(crate) fn has_all(&self, right: Right) -> bool {
        self.0.allow(Area::Transcode, right, "")
    }

    /// Whether something may be done with a library, its videos and their tasks.
    pub(crate) fn has_library(&self, right: Right, library: &str) -> bool {
        self.0.allow(Area::Transcode, right, &library_resource(library))
    }

    /// The same for a video or a task, by the path of the video.
    pub(crate) fn has_path(&self, right: Right, video_path: &str) -> bool {
        self.is_everything() || self.has_library(right, library_of(video_path))
    }

    /// Whether something may be done with a worker.
    pub(crate) fn has_worker(&self, right: Right, name: &str) -> bool {
        self.0.allow(Area::Transcode, right, &worker_resource(name))
    }

    /// Whether the caller is a worker, or speaks for it.
    pub(crate) fn is_worker(&self, name: &str) -> bool {
        self.0.allow_as(Area::Transcode, Right::Write, &worker_resource(name), name)
    }

    /// Whether a task may be known of: to those who may know of its library, and to its worker.
    pub(crate) fn sees_task(&self, task: &TaskRecord) -> bool {
        self.has_path(Right::Read, &task.video_path) || self.is_worker(&task.worker_name)
    }

    /// Says that something may not be done with a library.
    pub(crate) fn library_refusal(&self, right: Right, library: &str) -> Failure {
        self.0.refusal(Area::Transcode, right, &library_resource(library), "")
    }

    /// Says that something may not be done with a worker, or as one.
    pub(crate) fn worker_refusal(&self, right: Right, name: &str, acting_as: &str) -> Failure {
        self.0.refusal(Area::Transcode, right, &worker_resource(name), acting_as)
    }

    /// Says that something may not be done with the farm as a whole.
    pub(crate) fn refusal(&self, right: Right) -> Failure {
        self.0.refusal(Area::Transcode, right, "", "")
    }

    /// Which libraries may be known of, as far as that was asked. Rows are many, and libraries few.
    pub(super) fn sight(&self) -> Sight<'_> {
        Sight { reach: self, known: HashMap::new() }
    }
}

fn library_resource(library: &str) -> String {
    format!("library/{library}")
}

fn worker_resource(name: &str) -> String {
    format!("worker/{name}")
}

/// What was found out for one list.
pub(super) struct Sight<'a> {
    reach: &'a Reach,
    known: HashMap<String, bool>,
}

impl Sight<'_> {
    /// Whether a video may be known of. One that is gone is the farm's.
    pub(super) fn of_video(&mut self, index: &Index, video: VideoId) -> bool {
        let path = index.videos.read().path(video);
        let library = path.as_deref().map(library_of);
        let key = library.unwrap_or("/");
        if let Some(sees) = self.known.get(key) {
            return *sees;
        }
        let sees = match library {
            Some(library) => self.reach.has_library(Right::Read, library),
            None => self.reach.has_all(Right::Read),
        };
        self.known.insert(key.to_owned(), sees);
        sees
    }

    /// The same for a task.
    pub(super) fn of_task(&mut self, index: &Index, task: TaskId) -> bool {
        // None has this number.
        let video = index.tasks.read().video_of(task).unwrap_or(VideoId(0));
        self.of_video(index, video)
    }
}

impl Farm {
    /// Whether an entry of the log may be known of: one about a task, to those who may know of that task's library.
    pub(super) fn sees_log(&self, reach: &Reach, log: &LogRecord) -> bool {
        if reach.is_everything() {
            return true;
        }
        let task = if log.task_uuid.is_empty() { None } else { self.find_task(TaskUuid::of(&log.task_uuid)).ok() };
        reach.sight().of_task(&self.index, task.unwrap_or(TaskId(0)))
    }
}
