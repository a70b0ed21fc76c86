//! The nouns. The enums are those of the protocol; the state of a thing is its record.

use std::fmt;
use std::time::Duration;

pub(crate) use steward_proto::store::v1::{
    LibraryRecord, LogRecord, ScheduleRecord, TaskRecord, VideoRecord, WindowRecord, WorkerRecord,
};
pub(crate) use steward_proto::transcode::v1::{
    LogLevel, OfflineAction, RegisterOutcome, TaskStatus, VideoStatus, WorkerType,
};

use crate::clock::Timestamp;

/// A worker's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub(crate) i32);

/// A task's number; people see its UUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId(pub(crate) i32);

/// A video's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VideoId(pub(crate) i32);

/// The id of an entry of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LogId(pub(crate) i32);

/// What a task is known as to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskUuid(pub(crate) [u8; 16]);

/// What a claim is proved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseToken(pub(crate) [u8; 16]);

impl fmt::Display for TaskUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl TaskUuid {
    /// Of a record; a record without one has the nil UUID.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        TaskUuid(bytes.try_into().unwrap_or_default())
    }
}

/// The longest message of the log and of a failed task, in characters, as the older API's clients know it.
pub(crate) const MAX_MESSAGE_CHARS: usize = 1023;
/// The same in bytes, so that a record stays below the limit of the store.
const MAX_MESSAGE_BYTES: usize = 3900;
/// The longest path of a video, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 1024;

/// A message, cut where it is too long, between two characters.
pub(crate) fn cut_message(message: &str) -> String {
    let mut bytes = 0;
    let fits = |character: &char| {
        bytes += character.len_utf8();
        bytes <= MAX_MESSAGE_BYTES
    };
    message.chars().take(MAX_MESSAGE_CHARS).take_while(fits).collect()
}

/// The limits that the farm's rules go by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// After which silence a worker is offline.
    pub heartbeat_timeout: Duration,
    /// After which silence of its worker a task has failed; `None`: never.
    pub task_stall_timeout: Option<Duration>,
    /// How many attempts a video has, unless its library says otherwise.
    pub max_attempts: i32,
    /// How long a video rests after its first failure; twice as long after each further one.
    pub retry_backoff: Duration,
    /// The longest such rest.
    pub retry_backoff_max: Duration,
    /// Workers of all types take failed videos.
    pub retry_on_hardware: bool,
}

/// A time of a record; 0 stands for none.
pub(crate) fn time(nanos: i64) -> Option<Timestamp> {
    (nanos != 0).then_some(Timestamp::from_nanos(nanos))
}

/// Whether a task of this status is still its worker's to do.
pub(crate) fn is_in_progress(task: &TaskRecord) -> bool {
    let status = TaskStatus::try_from(task.status).unwrap_or_default();
    matches!(status, TaskStatus::Created | TaskStatus::Running)
}

/// The library that a path is in: what is before the first slash.
pub(crate) fn library_of(path: &str) -> &str {
    path.split_once('/').map_or("", |(library, _)| library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(cut_message(&"x".repeat(2000)).len(), MAX_MESSAGE_CHARS);
        assert_eq!(cut_message(&"错".repeat(2000)).chars().count(), MAX_MESSAGE_CHARS);
        assert_eq!(cut_message(&"😀".repeat(2000)).len(), 3900);
        assert_eq!(cut_message("short"), "short");
    }

    #[test]
    fn a_path_begins_with_its_library() {
        assert_eq!(library_of("films/a/b.mp4"), "films");
        assert_eq!(library_of("b.mp4"), "");
    }
}
