//! The keys of the tables of artifacts.

use crate::blob::Digest;
use crate::store::key::{KeyBuilder, KeyReader, digest};
use crate::store::{Key, Table};

pub(super) fn project(name: &str) -> Key {
    KeyBuilder::new(Table::ArtifactProject).text(name).build()
}

pub(super) fn repository(project: &str, name: &str) -> Key {
    KeyBuilder::new(Table::ArtifactRepository).text(project).text(name).build()
}

/// All repositories of a project, by name.
pub(super) fn repositories_of(project: &str) -> Key {
    KeyBuilder::new(Table::ArtifactRepository).text(project).build()
}

/// All repositories of a project whose names start so.
pub(super) fn repositories_starting(project: &str, start: &str) -> Key {
    KeyBuilder::new(Table::ArtifactRepository).text(project).text_start(start).build()
}

pub(super) fn deleted_repository(id: u64) -> Key {
    KeyBuilder::new(Table::ArtifactDeletedRepository).number(id).build()
}

pub(super) fn deleted_image(id: u64) -> Key {
    KeyBuilder::new(Table::ArtifactDeletedImage).number(id).build()
}

pub(super) fn file(repository: u64, path: &str) -> Key {
    KeyBuilder::new(Table::ArtifactFile).number(repository).text(path).build()
}

/// All files whose paths start so, in the order of their bytes.
pub(super) fn files_below(repository: u64, start: &str) -> Key {
    KeyBuilder::new(Table::ArtifactFile).number(repository).text_start(start).build()
}

/// The path of a key of [`file`].
pub(super) fn path_of(key: &Key) -> Option<String> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    reader.text()
}

pub(super) fn file_expiry(expire_us: u64, repository: u64, path: &str) -> Key {
    let builder = KeyBuilder::new(Table::ArtifactFileExpiry).number(expire_us).number(repository);
    builder.text(path).build()
}

/// The time, repository and path of a key of [`file_expiry`].
pub(super) fn expiry_of(key: &Key) -> Option<(u64, u64, String)> {
    let mut reader = KeyReader::new(key);
    Some((reader.number()?, reader.number()?, reader.text()?))
}

pub(super) fn folder(repository: u64, path: &str) -> Key {
    KeyBuilder::new(Table::ArtifactFolder).number(repository).text(path).build()
}

/// All folders whose paths start so, in the order of their bytes.
pub(super) fn folders_below(repository: u64, start: &str) -> Key {
    KeyBuilder::new(Table::ArtifactFolder).number(repository).text_start(start).build()
}

pub(super) fn blob(blob: &Digest) -> Key {
    KeyBuilder::new(Table::Blob).fixed(&blob.key()).build()
}

/// What needs a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlobUse<'a> {
    /// A file.
    File {
        /// The repository.
        repository: u64,
        /// The path.
        path: &'a str,
    },
    /// An image that knows it.
    Image(u64),
    /// A manifest of an image, whose bytes it is.
    Manifest(u64),
}

pub(super) fn blob_use(blob: &Digest, user: BlobUse<'_>) -> Key {
    let builder = KeyBuilder::new(Table::BlobUse).fixed(&blob.key());
    match user {
        BlobUse::File { repository, path } => {
            builder.fixed(&[1]).number(repository).fixed(&digest(&[path.as_bytes()])).build()
        }
        BlobUse::Image(image) => builder.fixed(&[2]).number(image).build(),
        BlobUse::Manifest(image) => builder.fixed(&[3]).number(image).build(),
    }
}

/// All that needs a blob.
pub(super) fn blob_uses(blob: &Digest) -> Key {
    KeyBuilder::new(Table::BlobUse).fixed(&blob.key()).build()
}

/// All files of a repository that need a blob.
pub(super) fn files_with(blob: &Digest, repository: u64) -> Key {
    KeyBuilder::new(Table::BlobUse).fixed(&blob.key()).fixed(&[1]).number(repository).build()
}

/// All images that know a blob.
pub(super) fn images_with(blob: &Digest) -> Key {
    KeyBuilder::new(Table::BlobUse).fixed(&blob.key()).fixed(&[2]).build()
}

/// The digest of a key of [`blob`].
pub(super) fn blob_of(key: &Key) -> Option<Digest> {
    Digest::from_key(KeyReader::new(key).rest()).map(|(digest, _)| digest)
}

/// The number that a key begins with.
pub(super) fn number_of(key: &Key) -> Option<u64> {
    KeyReader::new(key).number()
}

pub(super) fn image(repository: u64, name: &str) -> Key {
    KeyBuilder::new(Table::Image).number(repository).text(name).build()
}

/// All images of a repository, by name.
pub(super) fn images_of(repository: u64) -> Key {
    KeyBuilder::new(Table::Image).number(repository).build()
}

fn of_image(table: Table, image: u64, digest: &Digest) -> KeyBuilder {
    KeyBuilder::new(table).number(image).fixed(&digest.key())
}

/// All records of an image in one of the tables that begin with its number.
pub(super) fn all_of_image(table: Table, image: u64) -> Key {
    KeyBuilder::new(table).number(image).build()
}

pub(super) fn image_blob(image: u64, blob: &Digest) -> Key {
    of_image(Table::ImageBlob, image, blob).build()
}

pub(super) fn manifest(image: u64, manifest: &Digest) -> Key {
    of_image(Table::Manifest, image, manifest).build()
}

pub(super) fn manifest_part(image: u64, part: &Digest, manifest: &Digest) -> Key {
    of_image(Table::ManifestPart, image, part).fixed(&manifest.key()).build()
}

/// All manifests that consist of something.
pub(super) fn manifests_with(image: u64, part: &Digest) -> Key {
    of_image(Table::ManifestPart, image, part).build()
}

pub(super) fn referrer(image: u64, subject: &Digest, manifest: &Digest) -> Key {
    of_image(Table::Referrer, image, subject).fixed(&manifest.key()).build()
}

/// All manifests that refer to one.
pub(super) fn referrers_of(image: u64, subject: &Digest) -> Key {
    of_image(Table::Referrer, image, subject).build()
}

pub(super) fn tag(image: u64, name: &str) -> Key {
    KeyBuilder::new(Table::ImageTag).number(image).text(name).build()
}

pub(super) fn manifest_tag(image: u64, manifest: &Digest, name: &str) -> Key {
    of_image(Table::ManifestTag, image, manifest).text(name).build()
}

/// All tags of a manifest.
pub(super) fn tags_of(image: u64, manifest: &Digest) -> Key {
    of_image(Table::ManifestTag, image, manifest).build()
}

/// The tag of a key of [`manifest_tag`].
pub(super) fn tag_of(key: &Key) -> Option<String> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    let (_, tag) = Digest::from_key(reader.rest())?;
    // Tags have no byte that is another one in keys; behind them is the end of a text.
    String::from_utf8(tag.strip_suffix(&[0, 1])?.to_vec()).ok()
}

/// The digests of a key that has one or two behind its number, and the text behind them.
pub(super) fn digests_of(key: &Key) -> Option<(Digest, Option<Digest>)> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    let (first, rest) = Digest::from_key(reader.rest())?;
    Some((first, Digest::from_key(rest).map(|(second, _)| second)))
}

/// The text of a key that has one behind its number: the name of a tag or an image.
pub(super) fn name_of(key: &Key) -> Option<String> {
    path_of(key)
}

pub(super) fn upload(id: uuid::Uuid) -> Key {
    KeyBuilder::new(Table::ArtifactUpload).fixed(id.as_bytes()).build()
}

/// The id of a key of [`upload`].
pub(super) fn upload_of(key: &Key) -> Option<uuid::Uuid> {
    KeyReader::new(key).fixed().map(uuid::Uuid::from_bytes)
}

pub(super) fn change(repository: u64, stamp: u64) -> Key {
    KeyBuilder::new(Table::ArtifactChange).number(repository).number(stamp).build()
}

/// All changes of a repository, in order.
pub(super) fn changes_of(repository: u64) -> Key {
    KeyBuilder::new(Table::ArtifactChange).number(repository).build()
}

/// The stamp of a key of [`change`].
pub(super) fn stamp_of(key: &Key) -> Option<u64> {
    let mut reader = KeyReader::new(key);
    reader.number()?;
    reader.number()
}

pub(super) fn stamps() -> Key {
    Key::table(Table::ArtifactSequence)
}
