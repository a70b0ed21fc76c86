//! Names: of repositories, of kinds of objects, of objects.

use std::fmt;
use std::sync::Arc;

use super::bucket::BucketId;
use crate::config::Access;

/// The longest path of a repository, in bytes.
const MAX_PATH_BYTES: usize = 400;
/// The longest segment: what file systems take for a name, in bytes.
const MAX_SEGMENT_BYTES: usize = 255;
/// Begins the names that Steward uses itself.
pub(super) const OWN_PREFIX: &str = ".steward";

/// The path of a repository below the directory of all; empty: the root repository. Every segment can be a directory's
/// name and none leads elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryPath(Arc<str>);

impl RepositoryPath {
    /// Reads a path; the error says what is wrong with it.
    pub fn parse(path: &str) -> Result<Self, String> {
        if path.len() > MAX_PATH_BYTES {
            return Err(format!("has {} bytes; the limit is {MAX_PATH_BYTES}", path.len()));
        }
        if !path.is_empty() {
            path.split('/').try_for_each(check_segment)?;
        }
        Ok(RepositoryPath(path.into()))
    }

    /// Without a slash at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root repository.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The first segment; empty for the root repository.
    pub fn first_segment(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The path of a repository directly below this one.
    pub(super) fn child(&self, segment: &str) -> Result<Self, String> {
        if self.is_root() { Self::parse(segment) } else { Self::parse(&format!("{self}/{segment}")) }
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("/") } else { f.write_str(&self.0) }
    }
}

fn check_segment(segment: &str) -> Result<(), String> {
    let problem = match segment {
        "" => "has an empty segment",
        "." | ".." => "has a segment that leads elsewhere",
        ".htpasswd" => "has a segment that is the server's own",
        "config" => "has the segment `config`, which is an object",
        _ if Kind::ALL.iter().any(|kind| kind.directory() == segment) => "has a segment that is a type of objects",
        _ if segment.len() > MAX_SEGMENT_BYTES => "has a segment of more than 255 bytes",
        _ if segment.starts_with(OWN_PREFIX) => "has a segment that is the server's own",
        _ if segment.chars().any(|c| c.is_control() || c == '\\') => "has a control character or a backslash",
        _ => return Ok(()),
    };
    Err(problem.to_owned())
}

/// The kinds of objects whose names are digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Packs of encrypted blobs.
    Data,
    /// Which pack holds which blob.
    Index,
    /// Encrypted master keys.
    Key,
    /// Who is at work.
    Lock,
    /// What a backup contains.
    Snapshot,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Data, Kind::Index, Kind::Key, Kind::Lock, Kind::Snapshot];

    /// Its directory in the layout, and its name in the REST API.
    pub fn directory(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Index => "index",
            Kind::Key => "keys",
            Kind::Lock => "locks",
            Kind::Snapshot => "snapshots",
        }
    }

    /// What a caller has to have to add one of them.
    pub(super) fn access_to_add(self) -> Access {
        if self == Kind::Lock { Access::Read } else { Access::Append }
    }

    /// What a caller has to have to delete one of them.
    pub(super) fn access_to_delete(self) -> Access {
        if self == Kind::Lock { Access::Read } else { Access::Modify }
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(name: &str) -> Option<Self> {
        let mut id = [0; 32];
        let digits = name.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(ObjectId(id))
    }

    /// As 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an object is: the config, or one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum ObjectType {
    /// The config.
    Config,
    /// One of a kind.
    Blob(Kind),
}

impl ObjectType {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = ObjectType> {
        Kind::ALL.into_iter().map(ObjectType::Blob).chain([ObjectType::Config])
    }

    /// Its name in the REST API.
    pub(super) fn directory(self) -> &'static str {
        match self {
            ObjectType::Config => "config",
            ObjectType::Blob(kind) => kind.directory(),
        }
    }
}

/// The name of an object inside of its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectName {
    /// The one object whose name is no digest.
    Config,
    /// One of a kind.
    Blob(Kind, ObjectId),
}

impl ObjectName {
    /// Reads what it is written as.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some((directory, name)) = text.split_once('/') else {
            return (text == "config").then_some(ObjectName::Config);
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.directory() == directory)?;
        Some(ObjectName::Blob(kind, ObjectId::parse(name)?))
    }

    /// What a caller has to have to add it.
    pub(super) fn access_to_add(self) -> Access {
        match self {
            ObjectName::Config => Access::Append,
            ObjectName::Blob(kind, _) => kind.access_to_add(),
        }
    }

    /// What a caller has to have to delete it.
    pub(super) fn access_to_delete(self) -> Access {
        match self {
            ObjectName::Config => Access::Modify,
            ObjectName::Blob(kind, _) => kind.access_to_delete(),
        }
    }

    /// The directory that has it; none for the config.
    pub(super) fn bucket(self) -> Option<BucketId> {
        match self {
            ObjectName::Config => None,
            ObjectName::Blob(kind, id) => Some(BucketId::of(kind, id)),
        }
    }

    /// What it is.
    pub(super) fn object_type(self) -> ObjectType {
        match self {
            ObjectName::Config => ObjectType::Config,
            ObjectName::Blob(kind, _) => ObjectType::Blob(kind),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Config => f.write_str("config"),
            ObjectName::Blob(kind, id) => write!(f, "{}/{id}", kind.directory()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_leads_nowhere_but_down() {
        for good in ["", "a", "alice/laptop", "ä ö", "a.b", ".hidden", "Data"] {
            assert_eq!(RepositoryPath::parse(good).map(|path| path.as_str().to_owned()), Ok(good.to_owned()));
        }
        let long = "x".repeat(256);
        let deep = ["a"; 201].join("/");
        let bad = [
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "a/..",
            "data",
            "a/keys",
            "config",
            ".steward",
            ".steward-x/a",
            ".htpasswd",
            "a\0b",
            "a\\b",
            "a\nb",
            &long,
            &deep,
        ];
        for bad in bad {
            assert!(RepositoryPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_reads_back_as_it_is_written(id: [u8; 32]) {
            prop_assert_eq!(ObjectId::parse(&ObjectId(id).hex()), Some(ObjectId(id)));
        }

        #[test]
        fn what_is_accepted_as_an_id_is_64_lower_case_digits(name in "[0-9a-fA-Fg]{62,66}") {
            let is_id = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            prop_assert_eq!(ObjectId::parse(&name).is_some(), is_id);
        }
    }
}
