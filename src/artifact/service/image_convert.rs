//! Between messages and what the commands on images take and give.

use prost_types::Timestamp;
use steward_proto::artifact::v1 as api;

use crate::artifact::error::Error;
use crate::artifact::image_name::{ImageName, package_key};
use crate::artifact::manifest_put::Manifest;
use crate::artifact::packages::{Package, PackageName};
use crate::artifact::referrers::Referrer;
use crate::artifact::versions::Version;
use crate::artifact::walk::{self, Page};

/// Reads fields, and gathers what is wrong with them.
#[derive(Default)]
pub(super) struct Checks(Vec<(String, String)>);

impl Checks {
    /// What a field has, if nothing is wrong with it.
    pub(super) fn read<T>(&mut self, field: Result<T, Error>) -> Result<Option<T>, Error> {
        match field {
            Ok(value) => Ok(Some(value)),
            Err(Error::Invalid { field, problem }) => {
                self.0.push((field.to_owned(), problem));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses the request if something was wrong.
    pub(super) fn refusal(self) -> Error {
        Error::Violations(self.0)
    }
}

/// Reads two fields; what is wrong with both is told together.
pub(super) fn both<A, B>(first: Result<A, Error>, second: Result<B, Error>) -> Result<(A, B), Error> {
    let mut checks = Checks::default();
    match (checks.read(first)?, checks.read(second)?) {
        (Some(first), Some(second)) => Ok((first, second)),
        (Some(_) | None, Some(_) | None) => Err(checks.refusal()),
    }
}

/// Reads the name of an image.
pub(super) fn image_name(name: Option<api::ImageName>) -> Result<ImageName, Error> {
    let name = name.ok_or_else(|| Error::invalid("name", "is required"))?;
    ImageName::parse(name.project, name.repository, name.image)
}

/// Reads which package is meant.
pub(super) fn package_name(project: String, repository: String, key: String) -> Result<PackageName, Error> {
    if key.is_empty() {
        return Err(Error::invalid("key", "is required"));
    }
    Ok(PackageName { project, repository, key })
}

/// Reads how many items a page has at most.
pub(super) fn page_size(size: i32, default: usize, max: usize) -> Result<usize, Error> {
    match usize::try_from(size) {
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(max)),
        Err(_) => Err(Error::invalid("page_size", "is negative")),
    }
}

/// Reads which page is wanted.
pub(super) fn page(size: i32, token: String) -> Result<Page, Error> {
    Ok(Page { size: page_size(size, 100, 1000)?, after: token })
}

/// A number as messages have it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time of a record; nothing for 0.
fn when(micros: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    let nanos = i32::try_from(micros % 1_000_000).ok()? * 1000;
    (micros != 0).then_some(Timestamp { seconds, nanos })
}

/// A manifest.
pub(super) fn manifest(manifest: Manifest) -> api::Manifest {
    let record = manifest.record;
    api::Manifest {
        digest: manifest.digest.to_string(),
        media_type: record.media_type,
        size: signed(record.size),
        artifact_type: record.artifact_type,
        subject: record.subject,
        push_time: when(record.push_us),
        content_size: signed(record.content_size),
    }
}

/// A manifest that refers to another.
pub(super) fn referrer(referrer: Referrer) -> api::Descriptor {
    let record = referrer.manifest.record;
    api::Descriptor {
        media_type: record.media_type,
        digest: referrer.manifest.digest.to_string(),
        size: signed(record.size),
        artifact_type: record.artifact_type,
        annotations: referrer.annotations.into_iter().collect(),
    }
}

/// A package of a repository.
pub(super) fn package(project: &str, repository: &str, package: Package) -> api::Package {
    let image = package.image;
    api::Package {
        project: project.to_owned(),
        repository: repository.to_owned(),
        key: package_key(package.held, &image.name),
        name: image.name,
        r#type: package.held.into(),
        latest: image.latest,
        version_count: signed(package.version_count),
        create_time: when(image.create_us),
        modify_time: when(image.modify_us),
        created_by: image.created_by,
    }
}

/// A version of a package.
pub(super) fn version(version: Version) -> api::PackageVersion {
    api::PackageVersion {
        name: version.name,
        manifest: version.manifest.map(manifest),
        metadata: version.tag.metadata,
        create_time: when(version.tag.create_us),
        modify_time: when(version.tag.modify_us),
        modified_by: version.tag.modified_by,
    }
}

/// The token of the next page, and how many items all pages have.
pub(super) fn totals<T>(listed: &walk::Listed<T>) -> (String, i64) {
    (listed.next.clone().unwrap_or_default(), signed(listed.total))
}
