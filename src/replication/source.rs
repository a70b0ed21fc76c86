//! What runs read of the artifacts of this server.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use steward_proto::artifact::v1 as artifact;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::download_blob_response::Part;
use tonic::{Code, Status};

use super::local::LocalChannel;
use super::local_calls::reason;
use super::target::{BlobSource, TargetError};

/// How many things are asked for at a time.
const PAGE: i32 = 500;

/// The repository that a run reads.
#[derive(Clone)]
pub(super) struct Source {
    client: ArtifactServiceClient<LocalChannel>,
    pub(super) project: String,
    pub(super) repository: String,
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SourceError {
    /// It is not there.
    #[error("{0}")]
    Gone(String),
    /// The changes are no longer all kept.
    #[error("the changes are no longer all kept")]
    Compacted,
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl From<Status> for SourceError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => SourceError::Gone(message),
            Code::OutOfRange if reason(&status) == "REVISION_COMPACTED" => SourceError::Compacted,
            _ => SourceError::Failed(message),
        }
    }
}

impl From<SourceError> for TargetError {
    fn from(error: SourceError) -> Self {
        TargetError::Source(error.to_string())
    }
}

/// Some things, and where to go on.
pub(super) type Page<T> = (Vec<T>, String);

impl Source {
    pub(super) fn new(client: ArtifactServiceClient<LocalChannel>, project: &str, repository: &str) -> Self {
        Source { client, project: project.to_owned(), repository: repository.to_owned() }
    }

    fn client(&self) -> ArtifactServiceClient<LocalChannel> {
        self.client.clone()
    }

    fn image(&self, image: &str) -> artifact::ImageName {
        let (project, repository) = (self.project.clone(), self.repository.clone());
        artifact::ImageName { project, repository, image: image.to_owned() }
    }

    pub(super) async fn repository(&self) -> Result<artifact::Repository, SourceError> {
        let request =
            artifact::GetRepositoryRequest { project: self.project.clone(), repository: self.repository.clone() };
        let answer = self.client().get_repository(request).await?.into_inner();
        Ok(answer.repository.unwrap_or_default())
    }

    pub(super) async fn packages(&self, page_token: String) -> Result<Page<artifact::Package>, SourceError> {
        let request = artifact::ListPackagesRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            page_size: PAGE,
            page_token,
            name_contains: String::new(),
        };
        let answer = self.client().list_packages(request).await?.into_inner();
        Ok((answer.packages, answer.next_page_token))
    }

    pub(super) async fn versions(
        &self,
        key: &str,
        page_token: String,
    ) -> Result<Page<artifact::PackageVersion>, SourceError> {
        let request = artifact::ListVersionsRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            key: key.to_owned(),
            page_size: PAGE,
            page_token,
            name_contains: String::new(),
        };
        let answer = self.client().list_versions(request).await?.into_inner();
        Ok((answer.versions, answer.next_page_token))
    }

    pub(super) async fn version(&self, key: &str, version: &str) -> Result<artifact::PackageVersion, SourceError> {
        let request = artifact::GetVersionRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            key: key.to_owned(),
            version: version.to_owned(),
        };
        let answer = self.client().get_version(request).await?.into_inner();
        Ok(answer.version.unwrap_or_default())
    }

    /// A file or folder.
    pub(super) async fn file(&self, path: &str) -> Result<artifact::File, SourceError> {
        let request = artifact::GetFileRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            path: path.to_owned(),
        };
        let answer = self.client().get_file(request).await?.into_inner();
        Ok(answer.file.unwrap_or_default())
    }

    pub(super) async fn files(&self, folder: &str, page_token: String) -> Result<Page<artifact::File>, SourceError> {
        let request = artifact::ListFilesRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            folder: folder.to_owned(),
            deep: true,
            include_folders: false,
            include_metadata: true,
            page_size: PAGE,
            page_token,
            pattern: String::new(),
        };
        let answer = self.client().list_files(request).await?.into_inner();
        Ok((answer.files, answer.next_page_token))
    }

    /// Those of some files that are there; at most 1000.
    pub(super) async fn stat_files(&self, paths: Vec<String>) -> Result<Vec<artifact::File>, SourceError> {
        let request =
            artifact::StatFilesRequest { project: self.project.clone(), repository: self.repository.clone(), paths };
        Ok(self.client().stat_files(request).await?.into_inner().files)
    }

    /// A manifest by tag or digest, and its bytes.
    pub(super) async fn manifest(
        &self,
        image: &str,
        reference: &str,
    ) -> Result<(artifact::Manifest, Bytes), SourceError> {
        let request = artifact::GetManifestRequest {
            name: Some(self.image(image)),
            reference: reference.to_owned(),
            without_content: false,
        };
        let answer = self.client().get_manifest(request).await?.into_inner();
        Ok((answer.manifest.unwrap_or_default(), answer.content))
    }

    /// The digest of a manifest by tag or digest; `None`: it is gone.
    pub(super) async fn manifest_digest(&self, image: &str, reference: &str) -> Result<Option<String>, SourceError> {
        let request = artifact::GetManifestRequest {
            name: Some(self.image(image)),
            reference: reference.to_owned(),
            without_content: true,
        };
        match self.client().get_manifest(request).await.map_err(SourceError::from) {
            Ok(answer) => Ok(answer.into_inner().manifest.map(|manifest| manifest.digest)),
            Err(SourceError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The digests of what refers to a manifest, at most `limit`.
    pub(super) async fn referrers(&self, image: &str, subject: &str, limit: usize) -> Result<Vec<String>, SourceError> {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = artifact::ListReferrersRequest {
                name: Some(self.image(image)),
                subject: subject.to_owned(),
                artifact_type: String::new(),
                page_size: PAGE,
                page_token,
            };
            let answer = match self.client().list_referrers(request).await.map_err(SourceError::from) {
                Ok(answer) => answer.into_inner(),
                Err(SourceError::Gone(_)) => return Ok(found),
                Err(error) => return Err(error),
            };
            found.extend(answer.referrers.into_iter().map(|referrer| referrer.digest));
            if found.len() > limit {
                return Err(SourceError::Failed(format!("{subject} has more than {limit} referrers")));
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    pub(super) async fn changes(&self, after_stamp: u64) -> Result<artifact::ListChangesResponse, SourceError> {
        let request = artifact::ListChangesRequest {
            project: self.project.clone(),
            repository: self.repository.clone(),
            after_stamp: i64::try_from(after_stamp).unwrap_or(i64::MAX),
            page_size: PAGE,
        };
        Ok(self.client().list_changes(request).await?.into_inner())
    }

    /// The bytes of a blob of an image.
    pub(super) fn blob(&self, image: &str, digest: &str, size: u64) -> LocalBlob {
        let (name, digest) = (Some(self.image(image)), digest.to_owned());
        LocalBlob { client: self.client(), name, path: String::new(), digest, size }
    }

    /// The bytes of a file.
    pub(super) fn file_bytes(&self, file: &artifact::File) -> LocalBlob {
        let (digest, size) = (format!("sha256:{}", file.sha256), u64::try_from(file.size).unwrap_or(0));
        LocalBlob { client: self.client(), name: Some(self.image("")), path: file.path.clone(), digest, size }
    }
}

/// A blob of this server.
pub(super) struct LocalBlob {
    client: ArtifactServiceClient<LocalChannel>,
    name: Option<artifact::ImageName>,
    /// Of a file; empty: the blob is an image's.
    path: String,
    digest: String,
    size: u64,
}

#[async_trait]
impl BlobSource for LocalBlob {
    async fn read(
        &self,
        offset: u64,
        length: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, TargetError>>, TargetError> {
        let length = length.min(self.size.saturating_sub(offset));
        if length == 0 {
            return Ok(stream::empty().boxed());
        }
        let request = artifact::DownloadBlobRequest {
            name: self.name.clone(),
            digest: self.digest.clone(),
            offset: Some(i64::try_from(offset).unwrap_or(i64::MAX)),
            length: Some(i64::try_from(length).unwrap_or(i64::MAX)),
            path: self.path.clone(),
        };
        let mut client = self.client.clone();
        let parts = client.download_blob(request).await.map_err(|status| lost(&self.digest, &status))?.into_inner();
        let digest = self.digest.clone();
        let state = (parts, length, digest);
        let bytes = stream::try_unfold(state, |(mut parts, mut left, digest)| async move {
            loop {
                let part = parts.message().await.map_err(|status| lost(&digest, &status))?;
                match part.map(|answer| answer.part) {
                    Some(Some(Part::Chunk(chunk))) if !chunk.is_empty() => {
                        let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                            return Err(TargetError::Source(format!("blob {digest} is longer than it should be")));
                        };
                        left = rest;
                        return Ok(Some((chunk, (parts, left, digest))));
                    }
                    Some(_) => {}
                    None if left == 0 => return Ok(None),
                    None => return Err(TargetError::Source(format!("blob {digest} ends {left} bytes too early"))),
                }
            }
        });
        Ok(bytes.boxed())
    }
}

fn lost(digest: &str, status: &Status) -> TargetError {
    TargetError::Source(format!("blob {digest} cannot be read: {}", status.message()))
}
