//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::Serialize;
use steward_proto::restic::v1 as pb;

use super::text;
use crate::cli::json::word;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(super) struct Repository {
    path: String,
    create_time: Option<String>,
    owner: String,
    object_count: i64,
    object_bytes: i64,
    deleted_bytes: i64,
    max_bytes: i64,
    last_snapshot_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Key {
    repository: String,
    r#type: &'static str,
    name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Object {
    key: Option<Key>,
    size: i64,
    arrive_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Created {
    repository: Option<Repository>,
    created: bool,
}

/// An object in a list of its repository and type.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    size: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    object: Option<Object>,
    delete_time: Option<String>,
    sweep_time: Option<String>,
    user: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Undeleted {
    restored_count: i64,
    restored_bytes: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Watched {
    revision: i64,
    kind: String,
    object: Option<Object>,
}

/// A step of a verification: one of `finding` and `verified`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verification {
    Finding(Finding),
    Verified(Verified),
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    repository: String,
    problem: String,
    key: Option<Key>,
    detail: String,
    repaired: bool,
    restored: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Verified {
    repository: String,
    object_count: i64,
    object_bytes: i64,
    finding_count: i64,
}

impl From<pb::Repository> for Repository {
    fn from(repository: pb::Repository) -> Self {
        Repository {
            path: repository.path,
            create_time: time::json(repository.create_time),
            owner: repository.owner,
            object_count: repository.object_count,
            object_bytes: repository.object_bytes,
            deleted_bytes: repository.deleted_bytes,
            max_bytes: repository.max_bytes,
            last_snapshot_time: time::json(repository.last_snapshot_time),
        }
    }
}

impl From<pb::CreateRepositoryResponse> for Created {
    fn from(answer: pb::CreateRepositoryResponse) -> Self {
        Created { repository: answer.repository.map(Repository::from), created: answer.created }
    }
}

impl From<pb::ObjectKey> for Key {
    fn from(key: pb::ObjectKey) -> Self {
        Key { r#type: text::kind(key.r#type()), repository: key.repository, name: key.name }
    }
}

impl From<pb::Object> for Object {
    fn from(object: pb::Object) -> Self {
        Object { key: object.key.map(Key::from), size: object.size, arrive_time: time::json(object.arrive_time) }
    }
}

impl From<pb::ObjectEntry> for Entry {
    fn from(entry: pb::ObjectEntry) -> Self {
        Entry { name: entry.name, size: entry.size }
    }
}

impl From<pb::DeletedObject> for Deleted {
    fn from(deleted: pb::DeletedObject) -> Self {
        Deleted {
            object: deleted.object.map(Object::from),
            delete_time: time::json(deleted.delete_time),
            sweep_time: time::json(deleted.sweep_time),
            user: deleted.user,
        }
    }
}

impl From<pb::UndeleteObjectsResponse> for Undeleted {
    fn from(answer: pb::UndeleteObjectsResponse) -> Self {
        Undeleted { restored_count: answer.restored_count, restored_bytes: answer.restored_bytes }
    }
}

impl From<pb::WatchResponse> for Watched {
    fn from(step: pb::WatchResponse) -> Self {
        Watched {
            kind: word(step.kind().as_str_name(), "KIND_"),
            revision: step.revision,
            object: step.object.map(Object::from),
        }
    }
}

impl Verification {
    pub(super) fn finding(repository: &str, finding: pb::Finding) -> Self {
        Verification::Finding(Finding {
            problem: word(finding.problem().as_str_name(), "PROBLEM_"),
            repository: repository.to_owned(),
            key: finding.key.map(Key::from),
            detail: finding.detail,
            repaired: finding.repaired,
            restored: finding.restored,
        })
    }

    pub(super) fn verified(repository: &str, progress: &pb::VerifyProgress) -> Self {
        Verification::Verified(Verified {
            repository: repository.to_owned(),
            object_count: progress.object_count,
            object_bytes: progress.object_bytes,
            finding_count: progress.finding_count,
        })
    }
}
