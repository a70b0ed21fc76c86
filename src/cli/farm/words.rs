//! The enums of the farm as words: `TASK_STATUS_RUNNING` is `running`, and `VIDEO_STATUS_NOT_NEEDED` is `not-needed`.

use steward_proto::transcode::v1 as pb;

use crate::cli::console::Tone;
use crate::cli::json::word;
use crate::cli::size;

const TASK_STATUSES: [pb::TaskStatus; 5] = [
    pb::TaskStatus::Created,
    pb::TaskStatus::Running,
    pb::TaskStatus::Completed,
    pb::TaskStatus::Failed,
    pb::TaskStatus::Cancelled,
];
const VIDEO_STATUSES: [pb::VideoStatus; 6] = [
    pb::VideoStatus::NotNeeded,
    pb::VideoStatus::Waiting,
    pb::VideoStatus::Claimed,
    pb::VideoStatus::Transcoding,
    pb::VideoStatus::Completed,
    pb::VideoStatus::Failed,
];
const LEVELS: [pb::LogLevel; 4] = [pb::LogLevel::Debug, pb::LogLevel::Info, pb::LogLevel::Warning, pb::LogLevel::Error];
const WORKER_TYPES: [pb::WorkerType; 4] =
    [pb::WorkerType::Cpu, pb::WorkerType::Nvenc, pb::WorkerType::Qsv, pb::WorkerType::Vpu];

/// The word for a person.
pub(crate) fn task_status(status: pb::TaskStatus) -> String {
    dashed(status.as_str_name(), "TASK_STATUS_")
}

/// What a status means.
pub(crate) fn task_tone(status: pb::TaskStatus) -> Tone {
    match status {
        pb::TaskStatus::Unspecified | pb::TaskStatus::Cancelled => Tone::Quiet,
        pb::TaskStatus::Created | pb::TaskStatus::Running => Tone::Waiting,
        pb::TaskStatus::Completed => Tone::Good,
        pb::TaskStatus::Failed => Tone::Bad,
    }
}

/// The word for a person.
pub(crate) fn video_status(status: pb::VideoStatus) -> String {
    dashed(status.as_str_name(), "VIDEO_STATUS_")
}

/// What a status means.
pub(crate) fn video_tone(status: pb::VideoStatus) -> Tone {
    match status {
        pb::VideoStatus::Unspecified | pb::VideoStatus::NotNeeded => Tone::Quiet,
        pb::VideoStatus::Waiting | pb::VideoStatus::Claimed | pb::VideoStatus::Transcoding => Tone::Waiting,
        pb::VideoStatus::Completed => Tone::Good,
        pb::VideoStatus::Failed => Tone::Bad,
    }
}

/// The word for a person.
pub(crate) fn level(level: pb::LogLevel) -> String {
    dashed(level.as_str_name(), "LOG_LEVEL_")
}

/// What a level means.
pub(crate) fn level_tone(level: pb::LogLevel) -> Tone {
    match level {
        pb::LogLevel::Unspecified | pb::LogLevel::Debug => Tone::Quiet,
        pb::LogLevel::Info => Tone::Good,
        pb::LogLevel::Warning => Tone::Waiting,
        pb::LogLevel::Error => Tone::Bad,
    }
}

/// The word for a person.
pub(crate) fn worker_type(kind: pb::WorkerType) -> String {
    dashed(kind.as_str_name(), "WORKER_TYPE_")
}

/// The word for a person.
pub(crate) fn worker_state(state: pb::WorkerState) -> String {
    dashed(state.as_str_name(), "WORKER_STATE_")
}

/// What a state means.
pub(crate) fn worker_tone(state: pb::WorkerState) -> Tone {
    match state {
        pb::WorkerState::Unspecified | pb::WorkerState::Offline => Tone::Bad,
        pb::WorkerState::Idle | pb::WorkerState::Busy => Tone::Good,
        pb::WorkerState::Draining | pb::WorkerState::Paused => Tone::Waiting,
    }
}

/// Reads a status on the command line.
pub(crate) fn parse_task_status(text: &str) -> Result<pb::TaskStatus, String> {
    among(&TASK_STATUSES, task_status, text)
}

/// Reads a status on the command line, or in a file.
pub(crate) fn parse_video_status(text: &str) -> Result<pb::VideoStatus, String> {
    among(&VIDEO_STATUSES, video_status, text)
}

/// Reads a level on the command line.
pub(crate) fn parse_level(text: &str) -> Result<pb::LogLevel, String> {
    among(&LEVELS, level, text)
}

/// Reads a type on the command line.
pub(crate) fn parse_worker_type(text: &str) -> Result<pb::WorkerType, String> {
    among(&WORKER_TYPES, worker_type, text)
}

/// What was saved: `1.5 GiB`, or `-1.5 GiB` when the results were larger.
pub(crate) fn saved(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", size::text(bytes.unsigned_abs()))
}

/// The values of a filter, as the protocol has them.
pub(crate) fn numbers<E: Copy + Into<i32>>(values: &[E]) -> Vec<i32> {
    values.iter().map(|value| (*value).into()).collect()
}

fn dashed(name: &str, prefix: &str) -> String {
    word(name, prefix).replace('_', "-")
}

fn among<E: Copy>(values: &[E], word: fn(E) -> String, text: &str) -> Result<E, String> {
    let wanted = text.to_ascii_lowercase().replace('_', "-");
    values.iter().copied().find(|value| word(*value) == wanted).ok_or_else(|| {
        let words: Vec<_> = values.iter().map(|value| word(*value)).collect();
        format!("it is one of {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for status in VIDEO_STATUSES {
            assert_eq!(parse_video_status(&video_status(status)), Ok(status));
        }
        assert_eq!(parse_video_status("NOT_NEEDED"), Ok(pb::VideoStatus::NotNeeded));
        assert_eq!(parse_task_status("running"), Ok(pb::TaskStatus::Running));
    }

    #[test]
    fn other_words_are_answered_with_the_right_ones() {
        assert_eq!(parse_level("fatal").unwrap_err(), "it is one of debug, info, warning, error");
        assert_eq!(parse_worker_type("gpu").unwrap_err(), "it is one of cpu, nvenc, qsv, vpu");
    }
}
