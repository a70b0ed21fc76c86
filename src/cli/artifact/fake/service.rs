//! The service itself.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};
use steward_proto::artifact::v1::artifact_service_server::ArtifactService;
use steward_proto::artifact::v1::*;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{State, sha256};
use crate::cli::testing::{Answer, AnswerStream, not_here, refusal};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: Arc<Mutex<State>>,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Remembers a request.
    fn take<T: Clone + Send + Sync + 'static>(&self, request: Request<T>) -> T {
        let request = request.into_inner();
        self.state().asked.push(Box::new(request.clone()));
        request
    }
}

fn not_found(reason: &str) -> Status {
    refusal(Code::NotFound, reason)
}

/// The items of a page, and the token of the next: the number of the items before it. A page has two.
fn page<T: Clone>(items: &[T], token: &str) -> (Vec<T>, String) {
    let start = token.parse().unwrap_or(0).min(items.len());
    let end = items.len().min(start + 2);
    (items[start..end].to_vec(), if end < items.len() { end.to_string() } else { String::new() })
}

/// The parts of a download from `offset` on, in chunks of four bytes; broken off after the first of them.
fn parts(bytes: &Bytes, offset: i64, breaks_off: bool) -> Vec<Result<DownloadBlobResponse, Status>> {
    use download_blob_response::Part;
    let rest = bytes.slice(usize::try_from(offset).unwrap()..);
    let size = i64::try_from(bytes.len()).unwrap();
    let start = DownloadStart { size, offset, length: size - offset };
    let chunks = rest.chunks(4).map(|chunk| Part::Chunk(Bytes::copy_from_slice(chunk)));
    let parts = [Part::Start(start)].into_iter().chain(chunks);
    let mut parts: Vec<_> = parts.map(|part| Ok(DownloadBlobResponse { part: Some(part) })).collect();
    if breaks_off {
        parts.truncate(2);
        parts.push(Err(refusal(Code::Unavailable, "SHUTTING_DOWN")));
    }
    parts
}

#[tonic::async_trait]
impl ArtifactService for Service {
    type DownloadBlobStream = AnswerStream<DownloadBlobResponse>;
    type WatchArtifactsStream = AnswerStream<WatchArtifactsResponse>;

    async fn create_project(&self, request: Request<CreateProjectRequest>) -> Answer<CreateProjectResponse> {
        let CreateProjectRequest { name, display_name, description } = self.take(request);
        let project = Project { name, display_name, description, ..Project::default() };
        self.state().projects.push(project.clone());
        Ok(Response::new(CreateProjectResponse { project: Some(project) }))
    }

    async fn list_projects(&self, request: Request<ListProjectsRequest>) -> Answer<ListProjectsResponse> {
        let (projects, next_page_token) = page(&self.state().projects, &request.into_inner().page_token);
        Ok(Response::new(ListProjectsResponse { projects, next_page_token, total_size: 0 }))
    }

    async fn delete_project(&self, request: Request<DeleteProjectRequest>) -> Answer<DeleteProjectResponse> {
        let name = self.take(request).name;
        self.state().projects.retain(|project| project.name != name);
        Ok(Response::new(DeleteProjectResponse {}))
    }

    async fn create_repository(&self, request: Request<CreateRepositoryRequest>) -> Answer<CreateRepositoryResponse> {
        let request = self.take(request);
        let repository = Repository {
            project: request.project,
            name: request.name,
            r#type: request.r#type,
            public: request.public,
            description: request.description,
            ..Repository::default()
        };
        self.state().repositories.push(repository.clone());
        Ok(Response::new(CreateRepositoryResponse { repository: Some(repository) }))
    }

    async fn get_repository(&self, request: Request<GetRepositoryRequest>) -> Answer<GetRepositoryResponse> {
        let request = request.into_inner();
        let found = self.state().repositories.iter().find(|found| found.name == request.repository).cloned();
        let repository = Some(found.ok_or_else(|| not_found("REPOSITORY_NOT_FOUND"))?);
        Ok(Response::new(GetRepositoryResponse { repository }))
    }

    async fn list_repositories(&self, request: Request<ListRepositoriesRequest>) -> Answer<ListRepositoriesResponse> {
        let (repositories, next_page_token) = page(&self.state().repositories, &request.into_inner().page_token);
        Ok(Response::new(ListRepositoriesResponse { repositories, next_page_token, total_size: 0 }))
    }

    async fn delete_repository(&self, request: Request<DeleteRepositoryRequest>) -> Answer<DeleteRepositoryResponse> {
        if !self.take(request).force {
            return Err(refusal(Code::FailedPrecondition, "REPOSITORY_NOT_EMPTY"));
        }
        Ok(Response::new(DeleteRepositoryResponse {}))
    }

    async fn put_file(&self, request: Request<Streaming<PutFileRequest>>) -> Answer<PutFileResponse> {
        use put_file_request::Part;
        let mut parts = request.into_inner();
        let (mut target, mut bytes) = (FileTarget::default(), BytesMut::new());
        while let Some(part) = parts.message().await? {
            match part.part.unwrap() {
                Part::Start(start) => {
                    self.state().asked.push(Box::new(start.clone()));
                    target = start.target.unwrap();
                    if !target.overwrite && self.state().files.contains_key(&target.path) {
                        return Err(refusal(Code::AlreadyExists, "FILE_EXISTS"));
                    }
                }
                Part::Chunk(chunk) => bytes.extend_from_slice(&chunk),
                Part::Finish(finish) => {
                    assert_eq!(usize::try_from(finish.size), Ok(bytes.len()));
                    let mut state = self.state();
                    if state.lies {
                        bytes.extend_from_slice(b"!");
                    }
                    let file = state.put(&target.path, bytes.freeze());
                    return Ok(Response::new(PutFileResponse { file: Some(file) }));
                }
            }
        }
        Err(refusal(Code::InvalidArgument, "UPLOAD_BROKEN_OFF"))
    }

    async fn get_file(&self, request: Request<GetFileRequest>) -> Answer<GetFileResponse> {
        let path = request.into_inner().path;
        let state = self.state();
        let is_folder = state.files.keys().any(|file| file.starts_with(&format!("{path}/")));
        let folder = || File { path: path.clone(), folder: true, ..File::default() };
        let found = state.files.get(&path).map(|(file, _)| file.clone()).or_else(|| is_folder.then(folder));
        Ok(Response::new(GetFileResponse { file: Some(found.ok_or_else(|| not_found("FILE_NOT_FOUND"))?) }))
    }

    /// As if everything below a folder was in it.
    async fn list_files(&self, request: Request<ListFilesRequest>) -> Answer<ListFilesResponse> {
        let request = self.take(request);
        let state = self.state();
        let found = state.files.values().filter(|(file, _)| file.path.starts_with(&request.folder));
        let mut found: Vec<_> = found.map(|(file, _)| file.clone()).collect();
        if request.include_folders {
            found.push(File { path: format!("{}z", request.folder), folder: true, ..File::default() });
        }
        let (files, next_page_token) = page(&found, &request.page_token);
        Ok(Response::new(ListFilesResponse { files, next_page_token, total_size: 0 }))
    }

    async fn update_file_metadata(
        &self,
        request: Request<UpdateFileMetadataRequest>,
    ) -> Answer<UpdateFileMetadataResponse> {
        let request = self.take(request);
        let mut state = self.state();
        let (file, _) = state.files.get_mut(&request.path).ok_or_else(|| not_found("FILE_NOT_FOUND"))?;
        file.metadata.extend(request.metadata);
        file.metadata.retain(|key, _| !request.delete_keys.contains(key));
        Ok(Response::new(UpdateFileMetadataResponse { file: Some(file.clone()) }))
    }

    async fn delete_file(&self, request: Request<DeleteFileRequest>) -> Answer<DeleteFileResponse> {
        let request = self.take(request);
        let mut state = self.state();
        let before = state.files.len();
        state.files.retain(|path, _| !path.starts_with(&request.path));
        let deleted = i64::try_from(before - state.files.len()).unwrap();
        Ok(Response::new(DeleteFileResponse { deleted }))
    }

    async fn download_blob(&self, request: Request<DownloadBlobRequest>) -> Answer<Self::DownloadBlobStream> {
        let request = self.take(request);
        let mut state = self.state();
        let hex = request.digest.strip_prefix("sha256:").unwrap();
        let file = state.files.get(&request.path).filter(|(file, _)| file.sha256 == hex);
        let of_file = file.map(|(_, bytes)| bytes.clone());
        let found = of_file.or_else(|| state.blobs.get(&request.digest).cloned());
        let mut bytes = found.ok_or_else(|| not_found("BLOB_NOT_FOUND"))?;
        if state.lies {
            bytes = Bytes::from(vec![b'!'; bytes.len()]);
        }
        let breaks_off = state.broken_downloads > 0;
        state.broken_downloads = state.broken_downloads.saturating_sub(1);
        let parts = parts(&bytes, request.offset.unwrap_or(0), breaks_off);
        Ok(Response::new(stream::iter(parts).boxed()))
    }

    async fn get_manifest(&self, request: Request<GetManifestRequest>) -> Answer<GetManifestResponse> {
        let reference = self.take(request).reference;
        let found = self.state().manifests.get(&reference).cloned();
        let (manifest, content) = found.ok_or_else(|| not_found("MANIFEST_NOT_FOUND"))?;
        Ok(Response::new(GetManifestResponse { manifest: Some(manifest), content }))
    }

    async fn delete_manifest(&self, request: Request<DeleteManifestRequest>) -> Answer<DeleteManifestResponse> {
        let reference = self.take(request).reference;
        let removed = self.state().manifests.remove(&reference);
        removed.map(|_| Response::new(DeleteManifestResponse {})).ok_or_else(|| not_found("MANIFEST_NOT_FOUND"))
    }

    /// Two at a time.
    async fn list_tags(&self, request: Request<ListTagsRequest>) -> Answer<ListTagsResponse> {
        let after = request.into_inner().after;
        let state = self.state();
        let behind: Vec<_> =
            state.versions.iter().map(|version| version.name.clone()).filter(|tag| *tag > after).collect();
        let tags = behind.iter().take(2).cloned().collect();
        Ok(Response::new(ListTagsResponse { tags, has_more: behind.len() > 2 }))
    }

    async fn list_referrers(&self, request: Request<ListReferrersRequest>) -> Answer<ListReferrersResponse> {
        let request = self.take(request);
        let (referrers, next_page_token) = page(&self.state().referrers, &request.page_token);
        Ok(Response::new(ListReferrersResponse { referrers, next_page_token }))
    }

    async fn list_packages(&self, request: Request<ListPackagesRequest>) -> Answer<ListPackagesResponse> {
        let (packages, next_page_token) = page(&self.state().packages, &request.into_inner().page_token);
        Ok(Response::new(ListPackagesResponse { packages, next_page_token, total_size: 0 }))
    }

    async fn list_versions(&self, request: Request<ListVersionsRequest>) -> Answer<ListVersionsResponse> {
        let request = self.take(request);
        let (versions, next_page_token) = page(&self.state().versions, &request.page_token);
        Ok(Response::new(ListVersionsResponse { versions, next_page_token, total_size: 0 }))
    }

    async fn update_version_metadata(
        &self,
        request: Request<UpdateVersionMetadataRequest>,
    ) -> Answer<UpdateVersionMetadataResponse> {
        let request = self.take(request);
        let version = PackageVersion { metadata: request.metadata, ..PackageVersion::default() };
        Ok(Response::new(UpdateVersionMetadataResponse { version: Some(version) }))
    }

    /// What is behind the stamp, and then nothing more until the server stops.
    async fn watch_artifacts(&self, request: Request<WatchArtifactsRequest>) -> Answer<Self::WatchArtifactsStream> {
        let after = self.take(request).after_stamp.unwrap_or(0);
        let changes: Vec<_> = self.state().changes.iter().filter(|change| change.stamp > after).cloned().collect();
        let changes = changes.into_iter().map(|change| Ok(WatchArtifactsResponse { change: Some(change) }));
        Ok(Response::new(stream::iter(changes).chain(stream::pending()).boxed()))
    }

    async fn start_upload(&self, request: Request<StartUploadRequest>) -> Answer<StartUploadResponse> {
        self.take(request);
        let mut state = self.state();
        let id = format!("upload-{}", state.uploads.len());
        state.uploads.insert(id.clone(), Vec::new());
        let upload = Some(Upload { id, ..Upload::default() });
        state.answered("start_upload", StartUploadResponse { upload, blob: None })
    }

    async fn write_upload(&self, request: Request<Streaming<WriteUploadRequest>>) -> Answer<WriteUploadResponse> {
        use write_upload_request::Part;
        let mut parts = request.into_inner();
        let mut id = String::new();
        while let Some(part) = parts.message().await? {
            let mut state = self.state();
            match part.part.unwrap() {
                Part::Start(start) => {
                    let there = state.uploads[&start.upload_id].len();
                    assert_eq!(start.offset, Some(i64::try_from(there).unwrap()));
                    id.clone_from(&start.upload_id);
                    state.asked.push(Box::new(start));
                }
                Part::Chunk(chunk) => {
                    state.uploads.get_mut(&id).unwrap().extend_from_slice(&chunk);
                    if state.broken_uploads > 0 {
                        state.broken_uploads -= 1;
                        return Err(refusal(Code::Unavailable, "SHUTTING_DOWN"));
                    }
                }
                Part::Finish(_) => return state.answered("write_upload", WriteUploadResponse::default()),
            }
        }
        Err(refusal(Code::InvalidArgument, "UPLOAD_BROKEN_OFF"))
    }

    async fn get_upload(&self, request: Request<GetUploadRequest>) -> Answer<GetUploadResponse> {
        let id = self.take(request).upload_id;
        let mut state = self.state();
        let there = state.uploads.get(&id).map(Vec::len).ok_or_else(|| not_found("UPLOAD_NOT_FOUND"))?;
        let upload = Some(Upload { id, offset: i64::try_from(there).unwrap(), ..Upload::default() });
        state.answered("get_upload", GetUploadResponse { upload })
    }

    async fn finish_upload(&self, request: Request<FinishUploadRequest>) -> Answer<FinishUploadResponse> {
        let request = self.take(request);
        let mut state = self.state();
        let bytes = state.uploads.remove(&request.upload_id).ok_or_else(|| not_found("UPLOAD_NOT_FOUND"))?;
        assert_eq!(request.digest, format!("sha256:{}", sha256(&bytes)));
        state.blobs.insert(request.digest, Bytes::from(bytes));
        state.answered("finish_upload", FinishUploadResponse::default())
    }

    async fn commit_file(&self, request: Request<CommitFileRequest>) -> Answer<CommitFileResponse> {
        let request = self.take(request);
        let target = request.target.unwrap();
        let mut state = self.state();
        let mut bytes = state.blobs.get(&request.digest).cloned().ok_or_else(|| not_found("BLOB_NOT_FOUND"))?;
        let there = state.files.get(&target.path).map(|(file, _)| format!("sha256:{}", file.sha256));
        if !target.overwrite && there.is_some_and(|there| there != request.digest) {
            return Err(refusal(Code::AlreadyExists, "FILE_EXISTS"));
        }
        if state.lies {
            bytes = [&bytes[..], b"!"].concat().into();
        }
        let file = Some(state.put(&target.path, bytes));
        state.answered("commit_file", CommitFileResponse { file, unchanged: false })
    }

    async fn get_project(&self, _: Request<GetProjectRequest>) -> Answer<GetProjectResponse> {
        Err(not_here())
    }

    async fn stat_files(&self, _: Request<StatFilesRequest>) -> Answer<StatFilesResponse> {
        Err(not_here())
    }

    async fn cancel_upload(&self, _: Request<CancelUploadRequest>) -> Answer<CancelUploadResponse> {
        Err(not_here())
    }

    async fn missing_blobs(&self, _: Request<MissingBlobsRequest>) -> Answer<MissingBlobsResponse> {
        Err(not_here())
    }

    async fn get_blob(&self, _: Request<GetBlobRequest>) -> Answer<GetBlobResponse> {
        Err(not_here())
    }

    async fn mount_blob(&self, _: Request<MountBlobRequest>) -> Answer<MountBlobResponse> {
        Err(not_here())
    }

    async fn delete_blob(&self, _: Request<DeleteBlobRequest>) -> Answer<DeleteBlobResponse> {
        Err(not_here())
    }

    async fn put_manifest(&self, _: Request<PutManifestRequest>) -> Answer<PutManifestResponse> {
        Err(not_here())
    }

    async fn list_manifests(&self, _: Request<ListManifestsRequest>) -> Answer<ListManifestsResponse> {
        Err(not_here())
    }

    async fn list_images(&self, _: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        Err(not_here())
    }

    async fn get_package(&self, _: Request<GetPackageRequest>) -> Answer<GetPackageResponse> {
        Err(not_here())
    }

    async fn delete_package(&self, _: Request<DeletePackageRequest>) -> Answer<DeletePackageResponse> {
        Err(not_here())
    }

    async fn get_version(&self, _: Request<GetVersionRequest>) -> Answer<GetVersionResponse> {
        Err(not_here())
    }

    async fn delete_version(&self, _: Request<DeleteVersionRequest>) -> Answer<DeleteVersionResponse> {
        Err(not_here())
    }

    async fn list_changes(&self, _: Request<ListChangesRequest>) -> Answer<ListChangesResponse> {
        Err(not_here())
    }
}
