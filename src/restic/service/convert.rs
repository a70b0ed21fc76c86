//! Between messages and what the commands take and give.

use prost_types::Timestamp as ProtoTimestamp;
use steward_proto::restic::v1 as api;
use steward_proto::restic::v1::download_request::Range as ApiRange;

use crate::clock::Timestamp;
use crate::restic::deleted::{DeletedEntry, DeletedKey};
use crate::restic::error::Error;
use crate::restic::name::{Kind, ObjectId, ObjectName, ObjectType, RepositoryPath};
use crate::restic::range::Range;
use crate::restic::repository::Repository;
use crate::restic::verify::{Event, Finding, Problem, Progress};

fn invalid(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Invalid { field, problem: problem.into() }
}

/// Reads the path of a repository.
pub(super) fn path(field: &'static str, path: &str) -> Result<RepositoryPath, Error> {
    RepositoryPath::parse(path).map_err(|problem| invalid(field, problem))
}

/// Reads the key of an object.
pub(super) fn key(key: Option<api::ObjectKey>) -> Result<(RepositoryPath, ObjectName), Error> {
    let key = key.ok_or_else(|| invalid("key", "is required"))?;
    let repository = path("key.repository", &key.repository)?;
    Ok((repository, object(object_type("key.type", key.r#type)?, &key.name)?))
}

fn object(object_type: ObjectType, name: &str) -> Result<ObjectName, Error> {
    match object_type {
        ObjectType::Config if name.is_empty() => Ok(ObjectName::Config),
        ObjectType::Config => Err(invalid("key.name", "has to be empty for the config")),
        ObjectType::Blob(kind) => {
            let id = ObjectId::parse(name);
            let id = id.ok_or_else(|| invalid("key.name", "is not 64 lower-case hexadecimal digits"))?;
            Ok(ObjectName::Blob(kind, id))
        }
    }
}

/// Reads a type that has to be given.
fn object_type(field: &'static str, number: i32) -> Result<ObjectType, Error> {
    Ok(match api::ObjectType::try_from(number) {
        Ok(api::ObjectType::Config) => ObjectType::Config,
        Ok(api::ObjectType::Data) => ObjectType::Blob(Kind::Data),
        Ok(api::ObjectType::Index) => ObjectType::Blob(Kind::Index),
        Ok(api::ObjectType::Key) => ObjectType::Blob(Kind::Key),
        Ok(api::ObjectType::Lock) => ObjectType::Blob(Kind::Lock),
        Ok(api::ObjectType::Snapshot) => ObjectType::Blob(Kind::Snapshot),
        Ok(api::ObjectType::Unspecified) => return Err(invalid(field, "is required")),
        Err(_) => return Err(invalid(field, format!("{number} is not one of its values"))),
    })
}

/// Reads the type of the objects of a list.
pub(super) fn listed_kind(field: &'static str, number: i32) -> Result<Kind, Error> {
    match object_type(field, number)? {
        ObjectType::Config => Err(invalid(field, "the config is one object and has no list")),
        ObjectType::Blob(kind) => Ok(kind),
    }
}

/// Reads a type that need not be given.
pub(super) fn wanted_type(field: &'static str, number: i32) -> Result<Option<ObjectType>, Error> {
    if number == 0 { Ok(None) } else { object_type(field, number).map(Some) }
}

/// Reads the name of an object of a type, if there is one.
pub(super) fn wanted_object(object_type: Option<ObjectType>, name: &str) -> Result<Option<ObjectName>, Error> {
    match (object_type, name) {
        (_, "") => Ok(None),
        (None, _) => Err(invalid("type", "is required with a name")),
        (Some(object_type), name) => object(object_type, name).map(Some),
    }
}

/// Reads which bytes are wanted.
pub(super) fn range(range: Option<ApiRange>) -> Result<Range, Error> {
    let number = |field, number: i64| u64::try_from(number).map_err(|_| invalid(field, "is negative"));
    Ok(match range {
        None => Range::Whole,
        Some(ApiRange::Offsets(offsets)) => Range::Offsets {
            first: number("offsets.first", offsets.first)?,
            last: offsets.last.map(|last| number("offsets.last", last)).transpose()?,
        },
        Some(ApiRange::SuffixLength(length)) => Range::Suffix(number("suffix_length", length)?),
    })
}

/// Reads a number of bytes.
pub(super) fn bytes(field: &'static str, bytes: i64) -> Result<u64, Error> {
    u64::try_from(bytes).map_err(|_| invalid(field, "is negative"))
}

/// Reads a size of a page.
pub(super) fn page_size(size: i32, default: usize, max: usize) -> Result<usize, Error> {
    match usize::try_from(size) {
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(max)),
        Err(_) => Err(invalid("page_size", "is negative")),
    }
}

/// The refusal of a token that no list gave.
pub(super) fn odd_token() -> Error {
    invalid("page_token", "is not one that this list gave")
}

/// Reads a time.
pub(super) fn time_from(field: &'static str, time: Option<ProtoTimestamp>) -> Result<Option<Timestamp>, Error> {
    let Some(time) = time else { return Ok(None) };
    let nanos = time.seconds.checked_mul(1_000_000_000).and_then(|nanos| nanos.checked_add(i64::from(time.nanos)));
    nanos.map(|nanos| Some(Timestamp::from_nanos(nanos))).ok_or_else(|| invalid(field, "is out of range"))
}

/// A time as the protocol has it.
pub(super) fn time(time: Timestamp) -> ProtoTimestamp {
    let (seconds, nanos) = (time.nanos().div_euclid(1_000_000_000), time.nanos().rem_euclid(1_000_000_000));
    ProtoTimestamp { seconds, nanos: i32::try_from(nanos).unwrap_or(0) }
}

/// A number as the protocol has it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn type_number(object_type: ObjectType) -> i32 {
    let number = match object_type {
        ObjectType::Config => api::ObjectType::Config,
        ObjectType::Blob(Kind::Data) => api::ObjectType::Data,
        ObjectType::Blob(Kind::Index) => api::ObjectType::Index,
        ObjectType::Blob(Kind::Key) => api::ObjectType::Key,
        ObjectType::Blob(Kind::Lock) => api::ObjectType::Lock,
        ObjectType::Blob(Kind::Snapshot) => api::ObjectType::Snapshot,
    };
    number.into()
}

/// The key of an object.
pub(super) fn object_key(repository: &RepositoryPath, object: ObjectName) -> api::ObjectKey {
    let name = match object {
        ObjectName::Config => String::new(),
        ObjectName::Blob(_, id) => id.hex(),
    };
    api::ObjectKey { repository: repository.as_str().to_owned(), r#type: type_number(object.object_type()), name }
}

/// An object.
pub(super) fn stored_object(
    repository: &RepositoryPath,
    object: ObjectName,
    (size, arrive_time): (u64, Timestamp),
) -> api::Object {
    api::Object { key: Some(object_key(repository, object)), size: signed(size), arrive_time: Some(time(arrive_time)) }
}

/// An object that can be restored.
pub(super) fn deleted_object(
    repository: &RepositoryPath,
    (key, entry): (&DeletedKey, &DeletedEntry),
) -> api::DeletedObject {
    api::DeletedObject {
        object: Some(stored_object(repository, key.object, (entry.size, entry.arrive_time))),
        delete_time: Some(time(key.delete_time)),
        sweep_time: Some(time(entry.sweep_time)),
        user: entry.user.clone(),
    }
}

/// A repository.
pub(super) fn repository(repository: &Repository) -> api::Repository {
    let account = repository.account();
    api::Repository {
        path: repository.path.as_str().to_owned(),
        create_time: Some(time(repository.settings.lock().create_time())),
        owner: account.owner,
        object_count: signed(account.objects),
        object_bytes: signed(account.bytes),
        deleted_bytes: signed(account.deleted),
        max_bytes: signed(account.max_bytes),
        last_snapshot_time: repository.last_snapshot().map(time),
    }
}

/// What a verification tells.
pub(super) fn verify_event(path: &RepositoryPath, event: Event) -> Result<api::VerifyRepositoryResponse, Error> {
    use api::verify_repository_response::Event as ApiEvent;
    let event = match event {
        Event::Finding(finding) => ApiEvent::Finding(api_finding(path, finding)),
        Event::Progress(progress) => ApiEvent::Progress(api_progress(progress, false)),
        Event::Done(progress) => ApiEvent::Progress(api_progress(progress, true)),
        Event::Failed(error) => return Err(error),
    };
    Ok(api::VerifyRepositoryResponse { event: Some(event) })
}

fn api_finding(path: &RepositoryPath, finding: Finding) -> api::Finding {
    let problem = match finding.problem {
        Problem::Damaged => api::finding::Problem::Damaged,
        Problem::Missing => api::finding::Problem::Missing,
        Problem::Unreadable => api::finding::Problem::Unreadable,
        Problem::Foreign => api::finding::Problem::Foreign,
    };
    api::Finding {
        problem: problem.into(),
        key: finding.object.map(|object| object_key(path, object)),
        detail: finding.detail,
        repaired: finding.repaired,
        restored: finding.restored,
    }
}

fn api_progress(progress: Progress, done: bool) -> api::VerifyProgress {
    api::VerifyProgress {
        object_count: signed(progress.objects),
        object_bytes: signed(progress.bytes),
        total_count: signed(progress.total_objects),
        total_bytes: signed(progress.total_bytes),
        finding_count: signed(progress.findings),
        done,
    }
}
