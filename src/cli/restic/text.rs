//! Facts of repositories and objects in words, for people.

use jiff::Timestamp;
use steward_proto::restic::v1 as pb;

use crate::cli::console::printable;
use crate::cli::{size, time};

/// `1203, 1.5 GiB`.
pub(super) fn counted(count: i64, bytes: i64) -> String {
    format!("{count}, {}", size::of_proto(bytes))
}

/// `1 object (5 B)`, `1203 objects (1.5 GiB)`.
pub(super) fn objects(count: i64, bytes: i64) -> String {
    let noun = if count == 1 { "object" } else { "objects" };
    format!("{count} {noun} ({})", size::of_proto(bytes))
}

/// How much a repository may have.
pub(super) fn quota(repository: &pb::Repository) -> String {
    if repository.max_bytes == 0 { "none".to_owned() } else { size::of_proto(repository.max_bytes) }
}

/// When the newest snapshot came: `3h ago`.
pub(super) fn last_snapshot(repository: &pb::Repository, now: Timestamp) -> String {
    match time::from_proto(repository.last_snapshot_time) {
        Some(time) => time::relative(time, now),
        None => "never".to_owned(),
    }
}

/// An object as its file is called in the repository: `data/ab…`, or `config`.
pub(super) fn object(key: &pb::ObjectKey) -> String {
    match (kind(key.r#type()), key.name.as_str()) {
        (kind, "") => kind.to_owned(),
        (kind, name) => format!("{kind}/{}", printable(name)),
    }
}

/// The word for a type.
pub(super) fn kind(kind: pb::ObjectType) -> &'static str {
    match kind {
        pb::ObjectType::Unspecified => "?",
        pb::ObjectType::Config => "config",
        pb::ObjectType::Data => "data",
        pb::ObjectType::Index => "index",
        pb::ObjectType::Key => "key",
        pb::ObjectType::Lock => "lock",
        pb::ObjectType::Snapshot => "snapshot",
    }
}
