//! Paths, read raw: what a proxy or a client may normalise is another path here, never the same one by another name.
//!
//! Quirk: nothing is ever redirected; Go's client would turn a redirected POST into a GET.
//! Quirk: the first segment that is a type or `config` ends the path of the repository, so no repository has such a
//! segment.
//! Quirk: `data`, `index` and their like without a slash are nothing.

use std::fmt;

use steward_proto::restic::v1::{ObjectKey, ObjectType};

/// What the protocol allows.
const MAX_REPOSITORY_BYTES: usize = 400;
/// What file systems allow.
const MAX_SEGMENT_BYTES: usize = 255;
/// More than the longest valid path takes when every byte of it is escaped.
const MAX_RAW_BYTES: usize = 1536;
const NAME_DIGITS: usize = 64;
/// Where named repositories are when the port serves other APIs too.
const PREFIX: &str = "restic";
/// First segments of other APIs: what is unknown below them is unknown to them.
const FOREIGN: [&str; 8] = ["lock", "unlock", "infer", "api", "v2", "repository", "generic", "SnapshotCloneService"];

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A repository; the root repository's path is empty.
    Repository(String),
    /// The objects of one type in a repository.
    List(String, ObjectType),
    /// One object.
    Object(ObjectKey),
}

/// Why a path names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    BadEscape,
    BadName,
    BadSegment,
    NoSlash,
    NotAbsolute,
    TooDeep,
    TooLong,
    UnknownType(String),
}

/// Reads a path of a port that serves repositories alone.
pub(super) fn parse(raw: &str) -> Result<Target, Error> {
    if raw.len() > MAX_RAW_BYTES {
        return Err(Error::TooLong);
    }
    let mut segments = raw.strip_prefix('/').ok_or(Error::NotAbsolute)?.split('/').peekable();
    let mut repository = String::new();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if is_last && segment.is_empty() {
            return Ok(Target::Repository(repository));
        }
        let segment = decode(segment)?;
        if let Some(r#type) = object_type(&segment) {
            return behind_type(repository, r#type, segments.next(), segments.next().is_some());
        }
        if is_last {
            return Err(Error::NoSlash);
        }
        append(&mut repository, &segment)?;
    }
    Err(Error::NoSlash)
}

/// Reads a path of a port that serves other APIs too; `None` when it is not ours.
///
/// The root repository is at `/`, the others are below `/restic/`.
pub(super) fn parse_shared(raw: &str) -> Option<Result<Target, Error>> {
    let relative = raw.strip_prefix('/')?;
    if relative.is_empty() {
        return Some(parse(raw));
    }
    let (first, rest) = relative.split_once('/').map_or((relative, None), |(first, rest)| (first, Some(rest)));
    let decoded = decode(first);
    match (&decoded, rest) {
        (Ok(segment), None) if segment == PREFIX => Some(Err(Error::NoSlash)),
        (Ok(segment), Some(_)) if segment == PREFIX => Some(parse(&relative[first.len()..])),
        (Ok(segment), _) if object_type(segment).is_some() => Some(parse(raw)),
        (Ok(segment), _) if FOREIGN.iter().any(|foreign| foreign.eq_ignore_ascii_case(segment)) => None,
        (_, Some(rest)) if !first.is_empty() && !rest.contains('/') => {
            Some(Err(decoded.map_or_else(|error| error, Error::UnknownType)))
        }
        _ => None,
    }
}

fn behind_type(repository: String, r#type: ObjectType, behind: Option<&str>, is_deeper: bool) -> Result<Target, Error> {
    match (r#type, behind) {
        (ObjectType::Config, None) => Ok(object(repository, r#type, String::new())),
        (ObjectType::Config, Some(_)) => Err(Error::UnknownType("config".to_owned())),
        (_, None) => Err(Error::NoSlash),
        (_, Some(_)) if is_deeper => Err(Error::TooDeep),
        (_, Some("")) => Ok(Target::List(repository, r#type)),
        (_, Some(name)) => {
            let name = decode(name)?;
            if is_name(&name) { Ok(object(repository, r#type, name)) } else { Err(Error::BadName) }
        }
    }
}

fn object(repository: String, r#type: ObjectType, name: String) -> Target {
    Target::Object(ObjectKey { repository, r#type: r#type.into(), name })
}

fn object_type(segment: &str) -> Option<ObjectType> {
    Some(match segment {
        "config" => ObjectType::Config,
        "data" => ObjectType::Data,
        "index" => ObjectType::Index,
        "keys" => ObjectType::Key,
        "locks" => ObjectType::Lock,
        "snapshots" => ObjectType::Snapshot,
        _ => return None,
    })
}

fn is_name(name: &str) -> bool {
    name.len() == NAME_DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn append(repository: &mut String, segment: &str) -> Result<(), Error> {
    if !repository.is_empty() {
        repository.push('/');
    }
    repository.push_str(segment);
    if repository.len() > MAX_REPOSITORY_BYTES { Err(Error::TooLong) } else { Ok(()) }
}

/// Unescapes a segment, once, and checks that it can be the name of a directory that is nobody else's.
fn decode(segment: &str) -> Result<String, Error> {
    let segment = unescape(segment).ok_or(Error::BadEscape)?;
    let is_special = matches!(segment.as_str(), "" | "." | ".." | ".htpasswd") || segment.starts_with(".steward");
    let is_odd = |c: char| c.is_control() || c == '/' || c == '\\';
    if is_special || segment.contains(is_odd) {
        return Err(Error::BadSegment);
    }
    if segment.len() > MAX_SEGMENT_BYTES { Err(Error::TooLong) } else { Ok(segment) }
}

fn unescape(text: &str) -> Option<String> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        unescaped.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    String::from_utf8(unescaped).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BadEscape => "path is not UTF-8 or its escapes are broken",
            Self::BadName => "name of an object is not 64 lower-case hexadecimal digits",
            Self::BadSegment => "path has a segment that no repository can have",
            Self::NoSlash => "path is no object, so it has to end with a slash",
            Self::NotAbsolute => "path does not start with a slash",
            Self::TooDeep => "path goes on behind the name of an object",
            Self::TooLong => "path is longer than 400 bytes, or a segment of it longer than 255",
            Self::UnknownType(segment) => return write!(formatter, "Invalid type: {segment}"),
        })
    }
}

#[cfg(test)]
mod tests;
