//! Reads the fields of requests about the farm.

use std::collections::HashMap;
use std::time::Duration;

use steward_proto::transcode::v1 as api;

use crate::fields::Fields;
use crate::transcode::convert;
use crate::transcode::model::{
    LeaseToken, MAX_PATH_BYTES, ScheduleRecord, TaskUuid, VideoId, WorkerId, WorkerType, library_of,
};
use crate::transcode::register::Register;
use crate::transcode::reports::Claimant;
use crate::transcode::schedule;

/// The longest name of a worker, in characters.
const MAX_NAME_CHARS: usize = 255;
/// The longest version, label, or other short text, in bytes.
const MAX_WORD_BYTES: usize = 64;
/// The most labels, codecs and libraries of a worker, and windows of a schedule.
const MAX_WORDS: usize = 16;
/// The most values that a filter names.
pub(super) const MAX_NAMED: usize = 64;
/// The most tasks of a worker at a time.
pub(super) const MAX_SLOTS: i32 = 64;
/// The bounds of a priority.
const PRIORITY: std::ops::RangeInclusive<i32> = -1000..=1000;
/// The bounds of the attempts that a video has.
const ATTEMPTS: std::ops::RangeInclusive<i32> = 1..=1000;
/// The longest drain, and other waits of days.
pub(super) const DRAIN: (Duration, Duration) = (Duration::ZERO, Duration::from_hours(30 * 24));
/// The longest wait for work in one call.
pub(super) const WAIT: (Duration, Duration) = (Duration::ZERO, Duration::from_mins(1));

impl Fields {
    pub(super) fn worker_id(&mut self, id: i32) -> WorkerId {
        if id <= 0 {
            self.reject("worker_id", "is required, and positive");
        }
        WorkerId(id)
    }

    pub(super) fn video_id(&mut self, id: i32) -> VideoId {
        if id <= 0 {
            self.reject("id", "is required, and positive");
        }
        VideoId(id)
    }

    pub(super) fn task_uuid(&mut self, id: &str) -> TaskUuid {
        self.optional_task_uuid(id).unwrap_or_else(|| {
            if id.is_empty() {
                self.reject("task_id", "is required");
            }
            TaskUuid::default()
        })
    }

    pub(super) fn optional_task_uuid(&mut self, id: &str) -> Option<TaskUuid> {
        self.uuid("task_id", id).map(TaskUuid)
    }

    /// Who says that a task is its own: by the token where there is one, else by the worker's id.
    pub(super) fn claimant(&mut self, token: &str, worker_id: i32) -> Claimant {
        match self.uuid("lease_token", token) {
            Some(token) => Claimant::Token(LeaseToken(token)),
            None if token.is_empty() => Claimant::Worker(self.worker_id(worker_id)),
            None => Claimant::Worker(WorkerId(0)),
        }
    }

    pub(super) fn worker_name(&mut self, name: &str) {
        let characters = name.chars().count();
        if name.is_empty() {
            self.reject("worker_name", "is required");
        } else if characters > MAX_NAME_CHARS {
            self.reject("worker_name", format!("has {characters} characters; the limit is {MAX_NAME_CHARS}"));
        }
    }

    pub(super) fn worker_type(&mut self, worker_type: i32) -> WorkerType {
        let worker_type = self.known("worker_type", worker_type);
        if worker_type == WorkerType::Unspecified {
            self.reject("worker_type", "is required");
        }
        worker_type
    }

    pub(super) fn priority(&mut self, priority: Option<i32>) -> Option<i32> {
        if priority.is_some_and(|priority| !PRIORITY.contains(&priority)) {
            self.reject("priority", "has to be between -1000 and 1000");
        }
        priority
    }

    pub(super) fn dest_path(&mut self, path: Option<String>) -> Option<String> {
        self.text("dest_path", path.as_deref().unwrap_or_default(), MAX_PATH_BYTES);
        path
    }

    pub(super) fn labels(&mut self, labels: HashMap<String, String>) -> HashMap<String, String> {
        self.bounded_labels("labels", &labels);
        labels
    }

    fn bounded_labels(&mut self, field: &'static str, labels: &HashMap<String, String>) {
        let is_long = |text: &String| text.len() > MAX_WORD_BYTES;
        if labels.len() > MAX_WORDS || labels.iter().any(|(label, value)| is_long(label) || is_long(value)) {
            self.reject(field, format!("are more than {MAX_WORDS}, or longer than {MAX_WORD_BYTES} bytes"));
        }
    }

    /// The rules of a library about who works on a video and when.
    pub(super) fn rules_of_work(&mut self, rules: &api::Rules) {
        if !PRIORITY.contains(&rules.priority) {
            self.reject("library.rules.priority", "has to be between -1000 and 1000");
        }
        if rules.max_attempts.is_some_and(|attempts| !ATTEMPTS.contains(&attempts)) {
            self.reject("library.rules.max_attempts", "has to be between 1 and 1000");
        }
        self.bounded_labels("library.rules.require_labels", &rules.require_labels);
        if let Some(schedule) = &rules.schedule {
            self.schedule("library.rules.schedule", schedule);
        }
    }

    /// The values of an enum that a filter names, each once.
    pub(super) fn several<E: TryFrom<i32> + Default + Ord>(&mut self, field: &'static str, numbers: &[i32]) -> Vec<E> {
        if numbers.len() > MAX_NAMED {
            self.reject(field, format!("have {} values; the limit is {MAX_NAMED}", numbers.len()));
        }
        let mut values: Vec<E> = numbers.iter().take(MAX_NAMED).map(|number| self.known(field, *number)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn words(&mut self, field: &'static str, words: &[String]) {
        if words.len() > MAX_WORDS || words.iter().any(|word| word.is_empty() || word.len() > MAX_WORD_BYTES) {
            self.reject(field, format!("has to be at most {MAX_WORDS} of 1 to {MAX_WORD_BYTES} bytes"));
        }
    }

    /// The greatest height, the codecs, the libraries.
    pub(super) fn constraints(&mut self, constraints: api::Constraints) -> (i32, Vec<String>, Vec<String>) {
        if constraints.max_height < 0 {
            self.reject("constraints.max_height", "is negative");
        }
        self.words("constraints.codecs", &constraints.codecs);
        self.words("constraints.libraries", &constraints.libraries);
        (constraints.max_height, constraints.codecs, constraints.libraries)
    }

    pub(super) fn schedule(&mut self, field: &'static str, times: &api::Schedule) -> ScheduleRecord {
        if schedule::time_zone(&times.time_zone).is_none() {
            self.reject(field, format!("{:?} is not a time zone", times.time_zone));
        }
        if times.windows.len() > MAX_WORDS {
            self.reject(field, format!("has more than {MAX_WORDS} windows"));
        }
        let is_odd = |window: &api::Window| {
            window.days > 127 || !(0..1440).contains(&window.start_minute) || !(0..=1440).contains(&window.end_minute)
        };
        if times.windows.iter().any(is_odd) {
            self.reject(field, "has a window with days above 127, or minutes that are not of a day");
        }
        convert::schedule_record(times)
    }

    pub(super) fn registration(&mut self, request: api::RegisterWorkerRequest) -> Register {
        self.worker_name(&request.worker_name);
        let worker_type = self.worker_type(request.worker_type);
        if !(0..=MAX_SLOTS).contains(&request.max_concurrent) {
            self.reject("max_concurrent", format!("has to be between 0 and {MAX_SLOTS}"));
        }
        self.text("version", &request.version, MAX_WORD_BYTES);
        let token = self.uuid("worker_token", &request.worker_token);
        let (max_height, codecs, libraries) = self.constraints(request.constraints.unwrap_or_default());
        Register {
            worker_type,
            support_vr: request.support_vr,
            labels: self.labels(request.labels),
            max_height,
            codecs,
            libraries,
            max_concurrent: request.max_concurrent,
            version: request.version,
            token,
            goes_on: false,
            name: request.worker_name,
        }
    }

    /// The path of a video: its library, and a path in it that leads nowhere else.
    pub(super) fn video_path(&mut self, path: &str) {
        if path.len() > MAX_PATH_BYTES {
            self.reject("video_path", format!("has {} bytes; the limit is {MAX_PATH_BYTES}", path.len()));
        } else if !is_video_path(path) {
            let shown: String = path.chars().take(80).collect();
            self.reject("video_path", format!("{shown:?} is not a library's name, a slash, and a path in it"));
        }
    }
}

/// Whether a path is a library's name and a relative path without steps upwards.
pub(super) fn is_video_path(path: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    !library_of(path).is_empty() && path.split('/').all(is_plain) && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::model::TaskStatus;

    fn is_accepted(read: impl FnOnce(&mut Fields)) -> bool {
        let mut fields = Fields::default();
        read(&mut fields);
        fields.check().is_ok()
    }

    #[test]
    fn a_filter_names_each_value_once_and_not_without_end() {
        let mut fields = Fields::default();
        let values: Vec<TaskStatus> = fields.several("statuses", &[4, 1, 4, 1]);
        assert_eq!(values, [TaskStatus::Created, TaskStatus::Failed]);
        assert!(fields.check().is_ok());
        let reads = |numbers: &[i32]| is_accepted(|fields| _ = fields.several::<TaskStatus>("statuses", numbers));
        assert!(reads(&[1; MAX_NAMED]) && !reads(&[1; MAX_NAMED + 1]) && !reads(&[99]));
    }

    #[test]
    fn the_rules_of_work_have_bounds() {
        let reads = |rules: &api::Rules| is_accepted(|fields| fields.rules_of_work(rules));
        for (priority, attempts, is_fine) in [
            (-1000, 1, true),
            (1000, 1000, true),
            (1001, 1, false),
            (i32::MIN, 1, false),
            (0, 0, false),
            (0, 1001, false),
        ] {
            let rules = api::Rules { priority, max_attempts: Some(attempts), ..api::Rules::default() };
            assert_eq!(reads(&rules), is_fine, "{priority} {attempts}");
        }
        let labels = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
        let rules = |count| api::Rules { require_labels: labels(count), ..api::Rules::default() };
        assert!(reads(&rules(MAX_WORDS)) && !reads(&rules(MAX_WORDS + 1)));
    }
}
