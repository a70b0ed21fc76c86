//! Paths below `/v2`: a name with slashes in it, and behind it what of the image is meant. So they are read from the end.

use std::fmt;

use steward_proto::artifact::v1::ImageName;

/// What the specification allows of a name.
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;
/// More than any id that the service gives.
const MAX_ID_BYTES: usize = 255;

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// The registry.
    Base,
    /// The names of all images.
    Catalog,
    /// The tags of an image.
    Tags(ImageName),
    /// A manifest by tag or digest.
    Manifest(ImageName, Reference),
    /// A blob by digest.
    Blob(ImageName, Digest),
    /// Where uploads begin.
    Uploads(ImageName),
    /// An upload.
    Upload(UploadName),
    /// The manifests that refer to one.
    Referrers(ImageName, Digest),
}

/// An upload of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UploadName {
    pub(super) image: ImageName,
    pub(super) id: String,
}

/// A digest by an algorithm that is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest(String);

/// A tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Tag(String),
    Digest(Digest),
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// There is nothing of the kind at all.
    NoSuchPath,
    /// The name has fewer components than names have here.
    ShortName,
    BadName,
    BadDigest,
    BadTag,
    BadUpload,
}

/// Reads a raw path, from `/v2` on.
pub(super) fn parse(raw: &str) -> Result<Target, Error> {
    let rest = raw.strip_prefix("/v2").ok_or(Error::NoSuchPath)?;
    let segments: Option<Vec<String>> = rest.split('/').skip(1).map(unescape).collect();
    let segments = segments.ok_or(Error::NoSuchPath)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [] | [""] => Ok(Target::Base),
        ["_catalog"] => Ok(Target::Catalog),
        [name @ .., "tags", "list"] => Ok(Target::Tags(image(name)?)),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => Ok(Target::Uploads(image(name)?)),
        [name @ .., "blobs", "uploads", id] => {
            let image = image(name)?;
            if id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
                return Err(Error::BadUpload);
            }
            Ok(Target::Upload(UploadName { image, id: (*id).to_owned() }))
        }
        [name @ .., "manifests", reference] => Ok(Target::Manifest(image(name)?, Reference::parse(reference)?)),
        [name @ .., "blobs", digest] => Ok(Target::Blob(image(name)?, Digest::parse(digest)?)),
        [name @ .., "referrers", digest] => Ok(Target::Referrers(image(name)?, Digest::parse(digest)?)),
        _ => Err(Error::NoSuchPath),
    }
}

/// Reads a name, as it is in a query.
pub(super) fn parse_name(name: &str) -> Result<ImageName, Error> {
    image(&name.split('/').collect::<Vec<_>>())
}

/// The name as it is in paths.
pub(super) fn written(name: &ImageName) -> String {
    format!("{}/{}/{}", name.project, name.repository, name.image)
}

impl Digest {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let digits = match text.split_once(':') {
            Some(("sha256", digits)) if digits.len() == 64 => digits,
            Some(("sha512", digits)) if digits.len() == 128 => digits,
            _ => return Err(Error::BadDigest),
        };
        let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { Ok(Self(text.to_owned())) } else { Err(Error::BadDigest) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, Error> {
        if text.contains(':') { Digest::parse(text).map(Self::Digest) } else { tag(text).map(Self::Tag) }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// Reads a tag.
pub(super) fn tag(text: &str) -> Result<String, Error> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = text.bytes();
    let is_tag = bytes.next().is_some_and(is_word) && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    if is_tag && text.len() <= MAX_TAG_BYTES { Ok(text.to_owned()) } else { Err(Error::BadTag) }
}

fn image(components: &[&str]) -> Result<ImageName, Error> {
    let length = components.iter().map(|component| component.len() + 1).sum::<usize>();
    if length > MAX_NAME_BYTES + 1 || components.iter().any(|component| component.is_empty()) {
        return Err(Error::BadName);
    }
    let [project, repository, image @ ..] = components else { return Err(Error::ShortName) };
    if image.is_empty() {
        return Err(Error::ShortName);
    }
    // Their rules are the server's; here only what could not be in a location.
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !is_plain(project) || !is_plain(repository) || !image.iter().all(|component| is_component(component)) {
        return Err(Error::BadName);
    }
    Ok(ImageName { project: (*project).to_owned(), repository: (*repository).to_owned(), image: image.join("/") })
}

/// Tells whether a component is one by the specification: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !component.starts_with(is_word) || !component.ends_with(is_word) {
        return false;
    }
    component
        .split(is_word)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

fn unescape(segment: &str) -> Option<String> {
    let mut unescaped = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        unescaped.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    String::from_utf8(unescaped).ok().filter(|segment| !segment.contains('/'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSuchPath => "there is no such path in the protocol",
            Self::ShortName => "names are {project}/{repository}/{image} here: this one has fewer components",
            Self::BadName => "name is not one of the specification, or longer than 255 bytes",
            Self::BadDigest => "digest is neither sha256: with 64 nor sha512: with 128 lower-case hexadecimal digits",
            Self::BadTag => "tag is not one of the specification: 1 to 128 letters, digits, and _ . - behind the first",
            Self::BadUpload => "upload has no such name",
        })
    }
}

#[cfg(test)]
mod tests;
