//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use steward_proto::artifact::v1 as pb;

use super::text;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(super) struct Project {
    name: String,
    display_name: String,
    description: String,
    created_by: String,
    create_time: Option<String>,
    modified_by: String,
    modify_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Repository {
    project: String,
    name: String,
    r#type: String,
    public: bool,
    description: String,
    created_by: String,
    create_time: Option<String>,
    modified_by: String,
    modify_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct File {
    project: String,
    repository: String,
    path: String,
    folder: bool,
    size: i64,
    sha256: String,
    md5: String,
    crc64ecma: String,
    metadata: BTreeMap<String, String>,
    created_by: String,
    create_time: Option<String>,
    modified_by: String,
    modify_time: Option<String>,
    expire_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Package {
    project: String,
    repository: String,
    key: String,
    name: String,
    r#type: String,
    latest: String,
    version_count: i64,
    create_time: Option<String>,
    modify_time: Option<String>,
    created_by: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Version {
    name: String,
    manifest: Option<Manifest>,
    metadata: BTreeMap<String, String>,
    create_time: Option<String>,
    modify_time: Option<String>,
    modified_by: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Manifest {
    digest: String,
    media_type: String,
    size: i64,
    artifact_type: String,
    subject: String,
    push_time: Option<String>,
    content_size: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Descriptor {
    media_type: String,
    digest: String,
    size: i64,
    artifact_type: String,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tag {
    pub(super) name: String,
}

/// What is gone.
#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    pub(super) name: String,
    /// How many files; of anything else 1.
    pub(super) deleted: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Change {
    stamp: i64,
    path: String,
    image: String,
    tag: String,
    digest: String,
    before: String,
    subject: String,
}

/// In an order that does not change from call to call.
fn sorted(metadata: HashMap<String, String>) -> BTreeMap<String, String> {
    metadata.into_iter().collect()
}

impl From<pb::Project> for Project {
    fn from(project: pb::Project) -> Self {
        Project {
            name: project.name,
            display_name: project.display_name,
            description: project.description,
            created_by: project.created_by,
            create_time: time::json(project.create_time),
            modified_by: project.modified_by,
            modify_time: time::json(project.modify_time),
        }
    }
}

impl From<pb::Repository> for Repository {
    fn from(repository: pb::Repository) -> Self {
        Repository {
            r#type: text::held(repository.r#type()),
            project: repository.project,
            name: repository.name,
            public: repository.public,
            description: repository.description,
            created_by: repository.created_by,
            create_time: time::json(repository.create_time),
            modified_by: repository.modified_by,
            modify_time: time::json(repository.modify_time),
        }
    }
}

impl From<pb::File> for File {
    fn from(file: pb::File) -> Self {
        File {
            project: file.project,
            repository: file.repository,
            path: file.path,
            folder: file.folder,
            size: file.size,
            sha256: file.sha256,
            md5: file.md5,
            crc64ecma: file.crc64ecma,
            metadata: sorted(file.metadata),
            created_by: file.created_by,
            create_time: time::json(file.create_time),
            modified_by: file.modified_by,
            modify_time: time::json(file.modify_time),
            expire_time: time::json(file.expire_time),
        }
    }
}

impl From<pb::Package> for Package {
    fn from(package: pb::Package) -> Self {
        Package {
            r#type: text::held(package.r#type()),
            project: package.project,
            repository: package.repository,
            key: package.key,
            name: package.name,
            latest: package.latest,
            version_count: package.version_count,
            create_time: time::json(package.create_time),
            modify_time: time::json(package.modify_time),
            created_by: package.created_by,
        }
    }
}

impl From<pb::PackageVersion> for Version {
    fn from(version: pb::PackageVersion) -> Self {
        Version {
            name: version.name,
            manifest: version.manifest.map(Manifest::from),
            metadata: sorted(version.metadata),
            create_time: time::json(version.create_time),
            modify_time: time::json(version.modify_time),
            modified_by: version.modified_by,
        }
    }
}

impl From<pb::Manifest> for Manifest {
    fn from(manifest: pb::Manifest) -> Self {
        Manifest {
            digest: manifest.digest,
            media_type: manifest.media_type,
            size: manifest.size,
            artifact_type: manifest.artifact_type,
            subject: manifest.subject,
            push_time: time::json(manifest.push_time),
            content_size: manifest.content_size,
        }
    }
}

impl From<pb::Descriptor> for Descriptor {
    fn from(descriptor: pb::Descriptor) -> Self {
        Descriptor {
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            size: descriptor.size,
            artifact_type: descriptor.artifact_type,
            annotations: sorted(descriptor.annotations),
        }
    }
}

impl From<pb::ArtifactChange> for Change {
    fn from(change: pb::ArtifactChange) -> Self {
        let pb::ArtifactChange { stamp, path, image, tag, digest, before, subject } = change;
        Change { stamp, path, image, tag, digest, before, subject }
    }
}
