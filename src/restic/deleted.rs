//! Deleted objects that can be restored: moved aside, under a name that says what, when and by whom.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::files;
use super::layout::Layout;
use super::name::{ObjectId, ObjectName, ObjectType};
use crate::clock::Timestamp;

/// One deletion. The order is that of a list: by type and name, then by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeletedKey {
    pub(super) object: ObjectName,
    pub(super) delete_time: Timestamp,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeletedEntry {
    /// In bytes.
    pub(super) size: u64,
    /// When it had arrived.
    pub(super) arrive_time: Timestamp,
    /// When it is swept: as the undelete window was when it was deleted.
    pub(super) sweep_time: Timestamp,
    /// Who deleted it; empty: nobody known.
    pub(super) user: String,
}

/// All of a repository.
pub(super) type Deleted = BTreeMap<DeletedKey, DeletedEntry>;

/// The longest part of a user's name that the file keeps, in bytes: a file name has 255.
const MAX_USER_BYTES: usize = 128;

/// Where the file of a deletion is.
pub(super) fn path(layout: &Layout, key: &DeletedKey, entry: &DeletedEntry) -> PathBuf {
    layout.deleted(key.object.object_type().directory()).join(file_name(key, entry.sweep_time, &entry.user))
}

fn file_name(key: &DeletedKey, sweep_time: Timestamp, user: &str) -> String {
    let name = match key.object {
        ObjectName::Config => "config".to_owned(),
        ObjectName::Blob(_, id) => id.hex(),
    };
    // A user's name has no slash; it is cut between characters.
    let end = (0..=user.len().min(MAX_USER_BYTES)).rev().find(|end| user.is_char_boundary(*end)).unwrap_or(0);
    let user = user[..end].replace('/', "_");
    format!("{name}-{}-{}-{user}", key.delete_time.nanos(), sweep_time.nanos())
}

/// Reads what [`file_name`] wrote.
fn parse(object_type: ObjectType, file_name: &str) -> Option<(DeletedKey, Timestamp, String)> {
    let mut parts = file_name.splitn(4, '-');
    let name = parts.next()?;
    let object = match object_type {
        ObjectType::Config if name == "config" => ObjectName::Config,
        ObjectType::Config => return None,
        ObjectType::Blob(kind) => ObjectName::Blob(kind, ObjectId::parse(name)?),
    };
    let mut time = || parts.next()?.parse().ok().map(Timestamp::from_nanos);
    let (delete_time, sweep_time) = (time()?, time()?);
    Some((DeletedKey { object, delete_time }, sweep_time, parts.next()?.to_owned()))
}

/// Reads what is there. Blocks.
pub(super) fn load(layout: &Layout) -> io::Result<Deleted> {
    let mut deleted = Deleted::new();
    for object_type in ObjectType::all() {
        let directory = layout.deleted(object_type.directory());
        let Some(entries) = files::optional(std::fs::read_dir(directory))? else { continue };
        for entry in entries {
            let entry = entry?;
            let Some((key, sweep_time, user)) = entry.file_name().to_str().and_then(|name| parse(object_type, name))
            else {
                continue;
            };
            let metadata = entry.metadata()?;
            let arrive_time = files::modify_time(&metadata);
            deleted.insert(key, DeletedEntry { size: metadata.len(), arrive_time, sweep_time, user });
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::restic::name::Kind;

    proptest! {
        #[test]
        fn a_file_name_tells_what_was_deleted(id: [u8; 32], nanos in 0..i64::MAX, user in "[^/\0]{0,40}") {
            for object in [ObjectName::Blob(Kind::Data, ObjectId(id)), ObjectName::Config] {
                let key = DeletedKey { object, delete_time: Timestamp::from_nanos(nanos) };
                let sweep_time = key.delete_time.plus(std::time::Duration::from_secs(5));
                let name = file_name(&key, sweep_time, &user);
                prop_assert!(name.len() <= 255);
                let read = parse(object.object_type(), &name);
                prop_assert_eq!(read.as_ref().map(|(key, sweep, _)| (key, *sweep)), Some((&key, sweep_time)));
                prop_assert!(read.is_some_and(|(.., read)| user.starts_with(&read)));
            }
        }

        #[test]
        fn other_names_are_none_of_ours(name: String) {
            let _ = parse(ObjectType::Blob(Kind::Data), &name);
            let _ = parse(ObjectType::Config, &name);
        }
    }
}
