//! Records as messages.

use steward_proto::artifact::v1 as api;
use steward_proto::store::v1::{ArtifactChangeRecord, FileRecord, ProjectRecord, RepositoryRecord};

/// A time of a record; nothing for 0.
pub(super) fn when(micros: u64) -> Option<prost_types::Timestamp> {
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    let nanos = i32::try_from(micros % 1_000_000).ok()? * 1000;
    (micros != 0).then_some(prost_types::Timestamp { seconds, nanos })
}

/// A time of a message, in microseconds since the epoch; nothing for one before that or too far away.
pub(super) fn micros(time: prost_types::Timestamp) -> Option<u64> {
    let (seconds, nanos) = (u64::try_from(time.seconds).ok()?, u64::try_from(time.nanos).ok()?);
    let micros = seconds.checked_mul(1_000_000)?.checked_add(nanos / 1000)?;
    (nanos < 1_000_000_000).then_some(micros)
}

/// A number of bytes or things, or a stamp.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn project(record: ProjectRecord) -> api::Project {
    api::Project {
        name: record.name,
        display_name: record.display_name,
        description: record.description,
        created_by: record.created_by,
        create_time: when(record.create_us),
        modified_by: record.modified_by,
        modify_time: when(record.modify_us),
    }
}

pub(super) fn repository(record: RepositoryRecord) -> api::Repository {
    api::Repository {
        project: record.project,
        name: record.name,
        r#type: record.r#type,
        category: record.category,
        public: record.public,
        description: record.description,
        created_by: record.created_by,
        create_time: when(record.create_us),
        modified_by: record.modified_by,
        modify_time: when(record.modify_us),
    }
}

/// A file of a repository.
pub(super) fn file(project: &str, repository: &str, path: &str, record: FileRecord) -> api::File {
    api::File {
        project: project.to_owned(),
        repository: repository.to_owned(),
        path: path.to_owned(),
        folder: false,
        size: signed(record.size),
        sha256: record.sha256,
        md5: record.md5,
        crc64ecma: record.crc64ecma,
        metadata: record.metadata,
        created_by: record.created_by,
        create_time: when(record.create_us),
        modified_by: record.modified_by,
        modify_time: when(record.modify_us),
        expire_time: when(record.expire_us),
    }
}

/// A folder of a repository.
pub(super) fn folder(project: &str, repository: &str, path: &str) -> api::File {
    api::File {
        project: project.to_owned(),
        repository: repository.to_owned(),
        path: path.to_owned(),
        folder: true,
        ..api::File::default()
    }
}

pub(super) fn change(stamp: u64, record: ArtifactChangeRecord) -> api::ArtifactChange {
    api::ArtifactChange {
        stamp: signed(stamp),
        path: record.path,
        image: record.image,
        tag: record.tag,
        digest: record.digest,
        before: record.before,
        subject: record.subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_was_kept() {
        assert_eq!(when(0), None);
        assert_eq!(when(1_700_000_000_123_456).and_then(micros), Some(1_700_000_000_123_456));
        assert_eq!(micros(prost_types::Timestamp { seconds: -1, nanos: 0 }), None);
        assert_eq!(micros(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(micros(prost_types::Timestamp { seconds: 1, nanos: -1 }), None);
    }
}
