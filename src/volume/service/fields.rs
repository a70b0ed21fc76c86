//! Reads the fields of requests about volumes.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use steward_proto::volume::v1 as api;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::fields::Fields;
use crate::store::Revision;
use crate::volume::catalog::micros;
use crate::volume::error::Error;
use crate::volume::namespace::Which;
use crate::volume::path::{MAX_NAME_BYTES, VolumePath};
use crate::volume::snapshots::WhichSnapshot;

/// The longest name of a user, in bytes.
const MAX_USER_BYTES: usize = 255;
/// The most labels of one thing.
const MAX_LABELS: usize = 32;
/// The longest key or value of a label, in bytes.
const MAX_LABEL_BYTES: usize = 63;
/// The most bytes of all labels of one thing, which share a record with all else.
const MAX_LABELS_BYTES: usize = 1024;
/// The longest name of a policy, in bytes.
const MAX_POLICY_NAME_BYTES: usize = 63;
/// The most policies of one volume.
const MAX_POLICIES: usize = 8;
/// The bounds of the life of a snapshot.
pub(super) const SNAPSHOT_TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(100 * 365 * 24));
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// A name of a user: who asks, or an owner.
pub(super) fn user_name(field: &'static str, user: &str) -> Result<(), Failure> {
    let mut fields = Fields::default();
    fields.volume_user(field, user);
    fields.check()
}

/// The path that came in a field.
pub(super) fn path(field: &'static str, path: &str) -> Result<VolumePath, Error> {
    VolumePath::parse(field, path)
}

/// The path that came in a field; nothing if it is empty.
pub(super) fn optional_path(field: &'static str, path: &str) -> Result<Option<VolumePath>, Error> {
    if path.is_empty() { Ok(None) } else { VolumePath::parse(field, path).map(Some) }
}

/// Which volume or directory a request means.
pub(super) fn which(field: &'static str, name: Option<api::VolumeName>) -> Result<Which, Error> {
    optional_which(field, name)?
        .ok_or_else(|| Error::Invalid { field, problem: "is required: a path or an id".to_owned() })
}

/// Which volume or directory a request means, if it says so.
pub(super) fn optional_which(field: &'static str, name: Option<api::VolumeName>) -> Result<Option<Which>, Error> {
    let Some(api::VolumeName { path, id }) = name else { return Ok(None) };
    Ok(match (optional_path(field, &path)?, id) {
        (None, 0) => None,
        (None, id) => Some(Which::Id(id)),
        (Some(path), 0) => Some(Which::Path(path)),
        (Some(path), id) => Some(Which::Both(id, path)),
    })
}

/// Which snapshot a request means: by its UUID, or by the path of its volume and its name.
pub(super) fn which_snapshot(field: &'static str, name: Option<api::SnapshotName>) -> Result<WhichSnapshot, Error> {
    let api::SnapshotName { uuid, volume_path, name } = name.unwrap_or_default();
    let invalid = |problem: &str| Error::Invalid { field, problem: problem.to_owned() };
    let path = optional_path(field, &volume_path)?;
    if uuid.is_empty() {
        return match path {
            Some(path) if !name.is_empty() => Ok(WhichSnapshot::Named(path, name)),
            Some(_) | None => Err(invalid("is required: a UUID, or a path and a name")),
        };
    }
    let uuid = Uuid::parse_str(&uuid).map_err(|_| Error::NotFound(format!("snapshot {uuid:?}")))?;
    Ok(path.map_or(WhichSnapshot::Uuid(uuid), |path| WhichSnapshot::UuidOf(uuid, path)))
}

/// The token behind which a page goes on.
pub(super) fn page_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

impl Fields {
    pub(super) fn volume_user(&mut self, field: &'static str, user: &str) {
        self.required_text(field, user, MAX_USER_BYTES);
        if user.chars().any(char::is_control) {
            self.reject(field, "has a control character");
        }
    }

    /// The name of a snapshot: a segment of a path without the `@` that stands between the two.
    pub(super) fn snapshot_name(&mut self, field: &'static str, name: &str) {
        self.required_text(field, name, MAX_NAME_BYTES);
        if name.chars().any(|character| character.is_control() || character == '@' || character == '/') {
            self.reject(field, "has a `@`, a `/` or a control character");
        }
    }

    /// The UUID of a snapshot or operation.
    pub(super) fn required_uuid(&mut self, field: &'static str, uuid: &str) -> Uuid {
        if uuid.is_empty() {
            self.reject(field, "is required");
        }
        self.uuid(field, uuid).map(Uuid::from_bytes).unwrap_or_default()
    }

    pub(super) fn volume_labels(&mut self, field: &'static str, labels: &HashMap<String, String>) {
        if labels.len() > MAX_LABELS {
            self.reject(field, format!("are {}; the limit is {MAX_LABELS}", labels.len()));
        }
        if labels.keys().any(String::is_empty) {
            self.reject(field, "have an empty key");
        }
        if labels.iter().any(|(key, value)| key.len() > MAX_LABEL_BYTES || value.len() > MAX_LABEL_BYTES) {
            self.reject(field, format!("have a key or value of more than {MAX_LABEL_BYTES} bytes"));
        }
        let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > MAX_LABELS_BYTES {
            self.reject(field, format!("have {bytes} bytes together; the limit is {MAX_LABELS_BYTES}"));
        }
    }

    pub(super) fn policy_name(&mut self, field: &'static str, name: &str) {
        self.required_text(field, name, MAX_POLICY_NAME_BYTES);
        if !name.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character)) {
            self.reject(field, "has other characters than letters, digits, `-`, `_` and `.`");
        }
    }

    /// The names of policies, each once.
    pub(super) fn policy_names(&mut self, field: &'static str, mut names: Vec<String>) -> Vec<String> {
        names.sort_unstable();
        names.dedup();
        if names.len() > MAX_POLICIES {
            self.reject(field, format!("are {}; the limit is {MAX_POLICIES}", names.len()));
        }
        for name in names.iter().take(MAX_POLICIES) {
            self.policy_name(field, name);
        }
        names
    }

    /// The etag that something has to have; nothing if any will do.
    pub(super) fn volume_etag(&mut self, etag: &str) -> Option<Revision> {
        if etag.is_empty() {
            return None;
        }
        let revision = etag.parse().ok().map(Revision);
        if revision.is_none() {
            self.reject("etag", "is not one that this server gave");
        }
        revision
    }

    /// How many rows a page has.
    pub(super) fn volume_page_size(size: u32) -> usize {
        match usize::try_from(size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => MAX_PAGE,
        }
    }

    /// Behind what a page begins; nothing at the start.
    pub(super) fn volume_page_token(&mut self, token: &str) -> Option<String> {
        if token.is_empty() {
            return None;
        }
        let last = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if last.is_none() {
            self.reject("page_token", "is not one that this list gave");
        }
        last
    }

    /// A time, in microseconds since the epoch.
    pub(super) fn volume_time(&mut self, field: &'static str, time: Option<prost_types::Timestamp>) -> Option<u64> {
        let time = time?;
        let micros_of = |time: prost_types::Timestamp| {
            let whole = u64::try_from(time.seconds).ok()?.checked_mul(1_000_000)?;
            whole.checked_add(u64::try_from(time.nanos).ok()? / 1000)
        };
        let found = micros_of(time).filter(|found| *found <= micros(Timestamp::MAX));
        if found.is_none() {
            self.reject(field, "is before 1970 or out of range");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(read: impl FnOnce(&mut Fields)) -> bool {
        let mut fields = Fields::default();
        read(&mut fields);
        fields.check().is_ok()
    }

    #[test]
    fn a_volume_is_meant_by_path_or_id_or_both() {
        let name = |path: &str, id| Some(api::VolumeName { path: path.to_owned(), id });
        let path = VolumePath::parse("volume", "/a").expect("a path");
        assert_eq!(which("volume", name("/a", 0)).expect("a path"), Which::Path(path.clone()));
        assert_eq!(which("volume", name("", 17)).expect("an id"), Which::Id(17));
        assert_eq!(which("volume", name("/a", 17)).expect("both"), Which::Both(17, path));
        assert!(matches!(which("volume", name("", 0)), Err(Error::Invalid { field: "volume", .. })));
        assert!(matches!(which("volume", None), Err(Error::Invalid { field: "volume", .. })));
        assert!(matches!(which("volume", name("a", 17)), Err(Error::InvalidPath { field: "volume", .. })));
    }

    #[test]
    fn labels_have_bounds() {
        let labels = |count: usize, length: usize| {
            (0..count).map(|number| (format!("{number:02}"), "x".repeat(length))).collect::<HashMap<_, _>>()
        };
        let reads = |count, length| is_accepted(|fields| fields.volume_labels("labels", &labels(count, length)));
        assert!(reads(32, 30) && reads(1, 63));
        assert!(!reads(33, 1) && !reads(1, 64) && !reads(32, 31));
        let empty_key = HashMap::from([(String::new(), "x".to_owned())]);
        assert!(!is_accepted(|fields| fields.volume_labels("labels", &empty_key)));
    }

    #[test]
    fn names_have_bounds() {
        for (name, is_fine) in [("", false), ("a", true), ("a b", true), ("a@b", false), ("a/b", false), ("a\n", false)]
        {
            assert_eq!(is_accepted(|fields| fields.snapshot_name("name", name)), is_fine, "{name:?}");
        }
        for (name, is_fine) in [("", false), ("daily-1.x_y", true), ("a b", false), ("\u{e9}", false)] {
            assert_eq!(is_accepted(|fields| fields.policy_name("name", name)), is_fine, "{name:?}");
        }
        assert!(user_name("user", "eva").is_ok() && user_name("user", &"x".repeat(256)).is_err());
    }

    #[test]
    fn tokens_and_etags_read_back() {
        let mut fields = Fields::default();
        assert_eq!(fields.volume_page_token(&page_token("a b")), Some("a b".to_owned()));
        assert_eq!(fields.volume_etag("7"), Some(Revision(7)));
        assert!(fields.check().is_ok());
        assert!(!is_accepted(|fields| _ = fields.volume_etag("x")));
        assert!(!is_accepted(|fields| _ = fields.volume_page_token("\u{1}")));
    }
}
