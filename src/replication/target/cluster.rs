//! Another Steward.

mod answer;
mod channel;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
mod uploads;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::{
    CommitFileRequest, CreateProjectRequest, CreateRepositoryRequest, DeleteFileRequest, DeleteManifestRequest, File,
    FileTarget, GetManifestRequest, GetRepositoryRequest, ImageName, ListProjectsRequest, Manifest,
    MissingBlobsRequest, PutManifestRequest, RepositoryCategory, RepositoryType, StatFilesRequest,
};
use tonic::{Code, Response, Status};

use self::channel::Channel;
use super::super::local::MAX_MESSAGE_BYTES;
use super::super::local_calls::reason;
use super::connect::Connector;
use super::content::{Counter, while_it_moves};
use super::limits::Limits;
use super::retry::retried;
use super::url::Url;
use super::{BlobPush, BlobRef, FilePut, ManifestPut, Pushed, Target, TargetError};

/// How much is asked for at a time.
const BATCH: usize = 1000;

/// Where a Steward is, and who this server is to it.
#[derive(Clone, Default)]
pub(in crate::replication) struct ClusterAddress {
    /// The address of its gRPC. A path is left out.
    pub(in crate::replication) url: String,
    /// Empty: nobody.
    pub(in crate::replication) username: String,
    pub(in crate::replication) password: String,
    /// In PEM; empty: what the system trusts is enough.
    pub(in crate::replication) certificate: String,
}

/// A repository of another Steward.
pub(super) struct Cluster {
    channel: Channel,
    origin: http::Uri,
    name: String,
    limits: Limits,
    repository: RemoteRepository,
}

/// The repository there.
#[derive(Clone, Debug, Default)]
pub(super) struct RemoteRepository {
    pub(super) project: String,
    pub(super) name: String,
    /// What it holds, and has to if it is there.
    pub(super) kind: RepositoryType,
    /// It is created if it is not there.
    pub(super) create: bool,
}

impl Cluster {
    /// A repository of the Steward at `address`.
    pub(super) fn new(
        address: &ClusterAddress,
        repository: RemoteRepository,
        connector: Connector,
        limits: Limits,
    ) -> Result<Self, TargetError> {
        let url = Url::parse(&address.url)?.at("/")?;
        let bad = |_| TargetError::Refused(format!("{url} is not a URL"));
        let origin = url.origin().parse().map_err(bad)?;
        let authorization = authorization(&address.username, &address.password)?;
        let channel = Channel::new(connector, authorization, limits.idle_timeout);
        let name = match (repository.project.as_str(), repository.name.as_str()) {
            ("", "") => url.origin(),
            (project, name) => format!("{}/{project}/{name}", url.origin()),
        };
        Ok(Cluster { channel, origin, name, limits, repository })
    }

    fn client(&self) -> ArtifactServiceClient<Channel> {
        ArtifactServiceClient::with_origin(self.channel.clone(), self.origin.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Waits for an answer, whatever it is; not for ever.
    async fn call<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<Response<T>, Status>, TargetError> {
        self.call_while_it_moves(&Counter::default(), 1, call).await
    }

    /// Waits for an answer as long as bytes are taken, and `patience` times as long as usual after that.
    async fn call_while_it_moves<T>(
        &self,
        counter: &Counter,
        patience: u32,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<Response<T>, Status>, TargetError> {
        while_it_moves(counter, self.limits.idle_timeout * patience, &self.name, call).await
    }

    fn error(&self, status: &Status) -> TargetError {
        answer::error(&self.name, status)
    }

    fn target(&self, image: &str) -> ImageName {
        let RemoteRepository { project, name, .. } = self.repository.clone();
        ImageName { project, repository: name, image: image.to_owned() }
    }

    /// Asks whether a Steward is there that takes the credentials.
    pub(super) async fn ping(&self) -> Result<(), TargetError> {
        let request = ListProjectsRequest { page_size: 1, ..ListProjectsRequest::default() };
        let mut client = self.client();
        self.call(client.list_projects(request)).await?.map_err(|status| self.error(&status))?;
        Ok(())
    }

    /// Looks for the repository. `None`: it is not there.
    async fn kind_there(&self) -> Result<Option<RepositoryType>, TargetError> {
        let RemoteRepository { project, name, .. } = self.repository.clone();
        let mut client = self.client();
        match self.call(client.get_repository(GetRepositoryRequest { project, repository: name })).await? {
            Ok(answer) => Ok(answer.into_inner().repository.map(|repository| repository.r#type())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.error(&status)),
        }
    }

    async fn create(&self) -> Result<(), TargetError> {
        let RemoteRepository { project, name, kind, .. } = self.repository.clone();
        let mut client = self.client();
        let request = CreateProjectRequest { name: project.clone(), ..CreateProjectRequest::default() };
        match self.call(client.create_project(request)).await? {
            Ok(_) => {}
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(self.error(&status)),
        }
        let mut request = CreateRepositoryRequest { project, name, ..CreateRepositoryRequest::default() };
        request.set_type(kind);
        request.set_category(RepositoryCategory::Local);
        match self.call(client.create_repository(request)).await? {
            Ok(_) => Ok(()),
            // Somebody else was faster; what it is is looked at again.
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(status) => Err(self.error(&status)),
        }
    }

    async fn prepare_once(&self) -> Result<(), TargetError> {
        let mut there = self.kind_there().await?;
        if there.is_none() && self.repository.create {
            self.create().await?;
            there = self.kind_there().await?;
        }
        let wanted = self.repository.kind;
        match there {
            Some(kind) if kind == wanted => Ok(()),
            Some(kind) => {
                let (is, should) = (kind.as_str_name(), wanted.as_str_name());
                Err(TargetError::Refused(format!("{} is of the type {is}, not {should}", self.name)))
            }
            None => Err(TargetError::Refused(format!("{} is not there, and is not to be created", self.name))),
        }
    }

    async fn find_manifest(&self, image: &str, reference: &str) -> Result<Option<Manifest>, TargetError> {
        let name = Some(self.target(image));
        let request = GetManifestRequest { name, reference: reference.to_owned(), without_content: true };
        let mut client = self.client();
        match self.call(client.get_manifest(request)).await? {
            Ok(answer) => Ok(answer.into_inner().manifest),
            // One that is damaged is made good by putting it again.
            Err(status) if status.code() == Code::NotFound || reason(&status) == "DATA_DAMAGED" => Ok(None),
            Err(status) => Err(self.error(&status)),
        }
    }

    async fn missing(&self, image: &str, digests: &[String]) -> Result<Vec<String>, TargetError> {
        let request = MissingBlobsRequest { target: Some(self.target(image)), digests: digests.to_vec() };
        let mut client = self.client();
        match self.call(client.missing_blobs(request)).await? {
            Ok(answer) => Ok(answer.into_inner().digests),
            // A repository that is not there, as a plan may find it, lacks them all.
            Err(status) if status.code() == Code::NotFound => Ok(digests.to_vec()),
            Err(status) => Err(self.error(&status)),
        }
    }

    async fn store_manifest(&self, put: &ManifestPut<'_>) -> Result<(), TargetError> {
        let digest = &put.manifest.digest;
        let request = PutManifestRequest {
            name: Some(self.target(put.image)),
            reference: digest.clone(),
            tags: put.tags.to_vec(),
            media_type: put.manifest.media_type.clone(),
            content: put.content.clone(),
            metadata: put.metadata.clone(),
            only_if_digest: None,
        };
        let mut client = self.client();
        self.call(client.put_manifest(request)).await?.map_err(|status| self.error(&status))?;
        for reference in std::iter::once(digest).chain(put.tags) {
            let there = self.find_manifest(put.image, reference).await?.map(|manifest| manifest.digest);
            if there.as_ref() != Some(digest) {
                let there = there.unwrap_or_else(|| "nothing".to_owned());
                let name = &self.name;
                let image = put.image;
                return Err(TargetError::Mismatch(format!("{name} has {there} as {image}:{reference}, not {digest}")));
            }
        }
        Ok(())
    }

    async fn stat(&self, paths: Vec<String>) -> Result<Vec<File>, TargetError> {
        let RemoteRepository { project, name, .. } = self.repository.clone();
        let mut client = self.client();
        match self.call(client.stat_files(StatFilesRequest { project, repository: name, paths })).await? {
            Ok(answer) => Ok(answer.into_inner().files),
            Err(status) if status.code() == Code::NotFound => Ok(Vec::new()),
            Err(status) => Err(self.error(&status)),
        }
    }

    async fn commit(&self, put: &FilePut<'_>) -> Result<(), TargetError> {
        let file = put.file;
        let RemoteRepository { project, name, .. } = self.repository.clone();
        let target = FileTarget {
            project,
            repository: name,
            path: file.path.clone(),
            overwrite: put.overwrite,
            metadata: if put.with_metadata { file.metadata.clone() } else { std::collections::HashMap::new() },
            expire_time: file.expire_time,
            only_if_sha256: String::new(),
            ttl: None,
        };
        let request = CommitFileRequest {
            target: Some(target),
            digest: format!("sha256:{}", file.sha256),
            // Computed there: it has to believe nobody.
            md5: String::new(),
            crc64ecma: String::new(),
        };
        let mut client = self.client();
        let answer = self.call(client.commit_file(request)).await?.map_err(|status| self.error(&status))?;
        let there = answer.into_inner().file.unwrap_or_default();
        if there.sha256 == file.sha256 {
            return Ok(());
        }
        Err(TargetError::Mismatch(format!("{} has other bytes as {}", self.name, file.path)))
    }
}

/// Whether an error is that something is not there, or not any more what it was.
fn is_absent(status: &Status) -> bool {
    status.code() == Code::NotFound || matches!(reason(status).as_str(), "FILE_CONFLICT" | "TAG_CONFLICT")
}

fn authorization(user: &str, password: &str) -> Result<Option<HeaderValue>, TargetError> {
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    let mut header = header.map_err(|_| TargetError::Denied("the credentials do not fit into a header".to_owned()))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

#[async_trait]
impl Target for Cluster {
    fn name(&self) -> &str {
        &self.name
    }

    async fn prepare(&self) -> Result<(), TargetError> {
        retried(&self.limits, "asking for the repository", || self.prepare_once()).await
    }

    async fn manifest_digest(&self, image: &str, reference: &str) -> Result<Option<String>, TargetError> {
        let found = retried(&self.limits, reference, || self.find_manifest(image, reference)).await?;
        Ok(found.map(|manifest| manifest.digest))
    }

    async fn missing_blobs<'a>(&self, image: &str, blobs: &'a [BlobRef]) -> Result<Vec<&'a BlobRef>, TargetError> {
        let mut all = Vec::new();
        for batch in blobs.chunks(BATCH) {
            let digests: Vec<String> = batch.iter().map(|blob| blob.digest.clone()).collect();
            let missing = retried(&self.limits, "asking for blobs", || self.missing(image, &digests)).await?;
            let missing: std::collections::HashSet<String> = missing.into_iter().collect();
            all.extend(batch.iter().filter(|blob| missing.contains(&blob.digest)));
        }
        Ok(all)
    }

    async fn push_blob(&self, push: BlobPush<'_>) -> Result<Pushed, TargetError> {
        self.upload(push.image, &push).await
    }

    async fn put_manifest(&self, put: ManifestPut<'_>) -> Result<(), TargetError> {
        retried(&self.limits, &put.manifest.digest, || self.store_manifest(&put)).await
    }

    async fn delete_tag(&self, image: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        let delete = || async {
            let name = Some(self.target(image));
            let request = DeleteManifestRequest { name, reference: tag.to_owned(), only_if_digest: digest.to_owned() };
            let mut client = self.client();
            match self.call(client.delete_manifest(request)).await? {
                Ok(_) => Ok(true),
                Err(status) if is_absent(&status) => Ok(false),
                Err(status) => Err(self.error(&status)),
            }
        };
        retried(&self.limits, tag, delete).await
    }

    async fn file_digests(&self, files: &[File]) -> Result<Vec<Option<String>>, TargetError> {
        let mut digests = Vec::with_capacity(files.len());
        for batch in files.chunks(BATCH) {
            let paths: Vec<String> = batch.iter().map(|file| file.path.clone()).collect();
            let found = retried(&self.limits, "asking for files", || self.stat(paths.clone())).await?;
            let found: std::collections::HashMap<String, String> =
                found.into_iter().filter(|file| !file.folder).map(|file| (file.path, file.sha256)).collect();
            digests.extend(batch.iter().map(|file| found.get(&file.path).cloned()));
        }
        Ok(digests)
    }

    fn file_digest(&self, file: &File, _with_metadata: bool) -> String {
        file.sha256.clone()
    }

    async fn put_file(&self, put: FilePut<'_>) -> Result<Pushed, TargetError> {
        let size = u64::try_from(put.file.size).unwrap_or(0);
        let blob = BlobRef { digest: format!("sha256:{}", put.file.sha256), size };
        let push = BlobPush {
            image: "",
            blob: &blob,
            mount_from: &[],
            source: put.source,
            sessions: put.sessions,
            meter: put.meter,
        };
        let pushed = self.upload(&put.file.path, &push).await?;
        retried(&self.limits, &put.file.path, || self.commit(&put)).await?;
        Ok(pushed)
    }

    async fn delete_file(&self, path: &str, sha256: &str) -> Result<bool, TargetError> {
        let delete = || async {
            let RemoteRepository { project, name, .. } = self.repository.clone();
            let request = DeleteFileRequest {
                project,
                repository: name,
                path: path.to_owned(),
                folder: false,
                only_if_sha256: sha256.to_owned(),
            };
            let mut client = self.client();
            match self.call(client.delete_file(request)).await? {
                Ok(_) => Ok(true),
                Err(status) if is_absent(&status) => Ok(false),
                Err(status) => Err(self.error(&status)),
            }
        };
        retried(&self.limits, path, delete).await
    }
}
