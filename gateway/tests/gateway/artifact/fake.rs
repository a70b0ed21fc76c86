//! Services of artifacts and of replication that answer what they were told to, and remember what they were asked.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use axum::Router;
use futures::StreamExt;
use futures::stream::{BoxStream, iter, pending};
use steward_gateway::{ArtifactOptions, Chunks, Direct, Options, Pieces, router};
use steward_proto::artifact::v1::artifact_service_server::{ArtifactService, ArtifactServiceServer};
use steward_proto::artifact::v1::*;
use steward_proto::auth::v1::rights_service_server::{RightsService, RightsServiceServer};
use steward_proto::auth::v1::{CheckRightRequest, CheckRightResponse, GetCallerRequest, GetCallerResponse};
use steward_proto::replication::v1::cluster_service_server::ClusterServiceServer;
use steward_proto::replication::v1::replication_service_server::ReplicationServiceServer;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::restic::refusal;

/// What came of one upload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Received<S> {
    pub(crate) start: Option<S>,
    pub(crate) content: Vec<u8>,
    pub(crate) finish: Option<i64>,
}

type Known = HashMap<TypeId, Box<dyn Any + Send>>;

#[derive(Default)]
struct State {
    answers: Known,
    refusals: HashMap<&'static str, Status>,
    asked: Vec<Box<dyn Any + Send>>,
    calls: Vec<&'static str>,
    parts: Vec<Result<download_blob_response::Part, Status>>,
    is_direct: bool,
    hangs: bool,
}

/// The services. The answer to a call is the message of the type of the answer that it was given.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Has all calls that are answered with such a message answered with this one.
    pub(crate) fn answering<R: Send + 'static>(self, answer: R) -> Self {
        self.change(|state| state.answers.insert(TypeId::of::<R>(), Box::new(answer)));
        self
    }

    /// Refuses one call, or all with `*`.
    pub(crate) fn refusing(self, rpc: &'static str, status: Status) -> Self {
        self.change(|state| state.refusals.insert(rpc, status));
        self
    }

    /// What a download consists of.
    pub(crate) fn sending(self, parts: Vec<Result<download_blob_response::Part, Status>>) -> Self {
        self.change(|state| state.parts = parts);
        self
    }

    /// Bytes do not come and go as messages.
    pub(crate) fn directly(self, is_direct: bool) -> Self {
        self.change(|state| state.is_direct = is_direct);
        self
    }

    /// Streams do not end after their last message.
    pub(crate) fn hanging(self) -> Self {
        self.change(|state| state.hangs = true);
        self
    }

    pub(crate) fn router(&self) -> Router {
        self.router_with(ArtifactOptions::default())
    }

    pub(crate) fn router_with(&self, artifacts: ArtifactOptions) -> Router {
        let service = ArtifactServiceServer::new(self.clone()).max_decoding_message_size(5 << 20);
        let options = Options { artifacts, ..Options::default() };
        let services = Routes::new(service.max_encoding_message_size(5 << 20))
            .add_service(RightsServiceServer::new(self.clone()))
            .add_service(ReplicationServiceServer::new(self.clone()))
            .add_service(ClusterServiceServer::new(self.clone()));
        router(services.prepare(), options, CancellationToken::new())
    }

    /// The names of all calls.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.change(|state| state.calls.clone())
    }

    /// All requests of a type, or all that came of uploads.
    pub(crate) fn asked<Q: Clone + 'static>(&self) -> Vec<Q> {
        self.change(|state| state.asked.iter().filter_map(|asked| asked.downcast_ref::<Q>()).cloned().collect())
    }

    /// Checks what requests of a type there were.
    #[track_caller]
    pub(crate) fn expect<Q: Clone + Debug + PartialEq + 'static>(&self, expected: &[Q]) {
        assert_eq!(self.asked::<Q>(), expected);
    }

    fn called<Q: Send + 'static>(&self, rpc: &'static str, request: Q) -> Result<(), Status> {
        self.change(|state| {
            state.calls.push(rpc);
            state.asked.push(Box::new(request));
            let refusal = state.refusals.get(rpc).or(state.refusals.get("*"));
            refusal.cloned().map_or(Ok(()), Err)
        })
    }

    /// What it was told to answer.
    pub(crate) fn answer<R: Clone + Default + 'static>(&self) -> Response<R> {
        let known = |state: &mut State| state.answers.get(&TypeId::of::<R>())?.downcast_ref::<R>().cloned();
        Response::new(self.change(known).unwrap_or_default())
    }

    /// Answers a call, or refuses it.
    pub(crate) fn unary<Q: Send + 'static, R: Clone + Default + 'static>(
        &self,
        rpc: &'static str,
        request: Request<Q>,
    ) -> Result<Response<R>, Status> {
        self.called(rpc, request.into_inner())?;
        Ok(self.answer())
    }

    /// Reads an upload to its finish, or to where it breaks off.
    async fn receive<M, S: Clone + Send + 'static, R: Clone + Default + 'static>(
        &self,
        rpc: &'static str,
        request: Request<Streaming<M>>,
        read: fn(M) -> Read<S>,
    ) -> Result<Response<R>, Status> {
        let is_direct = self.change(|state| state.is_direct);
        let direct = request.extensions().get::<Direct<Chunks>>().filter(|_| is_direct);
        let mut direct = direct.map(|direct| direct.take().unwrap());
        let mut messages = request.into_inner();
        let mut received = Received { start: None, content: Vec::new(), finish: None };
        let ended = loop {
            match messages.message().await?.map(read) {
                Some(Read::Start(start)) => {
                    received.start = Some(start);
                    while let Some(chunk) = match &mut direct {
                        Some(chunks) => chunks.next().await,
                        None => None,
                    } {
                        received.content.extend(chunk);
                    }
                }
                Some(Read::Chunk(chunk)) => received.content.extend(chunk),
                Some(Read::Finish(size)) => {
                    received.finish = Some(size);
                    break Ok(());
                }
                None => break Err(refusal(tonic::Code::InvalidArgument, "UPLOAD_BROKEN_OFF", "no finish")),
            }
        };
        self.called(rpc, received)?;
        ended.map(|()| self.answer())
    }
}

enum Read<S> {
    Start(S),
    Chunk(bytes::Bytes),
    Finish(i64),
}

macro_rules! service {
    ($($rpc:ident: $request:ident => $response:ident,)*) => {
        #[tonic::async_trait]
        impl ArtifactService for Fake {
            type DownloadBlobStream = BoxStream<'static, Result<DownloadBlobResponse, Status>>;
            type WatchArtifactsStream = BoxStream<'static, Result<WatchArtifactsResponse, Status>>;

            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                self.unary(stringify!($rpc), request)
            })*

            async fn put_file(
                &self,
                request: Request<Streaming<PutFileRequest>>,
            ) -> Result<Response<PutFileResponse>, Status> {
                let read = |message: PutFileRequest| match message.part.unwrap() {
                    put_file_request::Part::Start(start) => Read::Start(start),
                    put_file_request::Part::Chunk(chunk) => Read::Chunk(chunk),
                    put_file_request::Part::Finish(finish) => Read::Finish(finish.size),
                };
                self.receive("put_file", request, read).await
            }

            async fn write_upload(
                &self,
                request: Request<Streaming<WriteUploadRequest>>,
            ) -> Result<Response<WriteUploadResponse>, Status> {
                let read = |message: WriteUploadRequest| match message.part.unwrap() {
                    write_upload_request::Part::Start(start) => Read::Start(start),
                    write_upload_request::Part::Chunk(chunk) => Read::Chunk(chunk),
                    write_upload_request::Part::Finish(finish) => Read::Finish(finish.size),
                };
                self.receive("write_upload", request, read).await
            }

            async fn download_blob(
                &self,
                request: Request<DownloadBlobRequest>,
            ) -> Result<Response<Self::DownloadBlobStream>, Status> {
                let direct = request.extensions().get::<Direct<Pieces>>().cloned();
                self.called("download_blob", request.into_inner())?;
                let (mut parts, is_direct, hangs) =
                    self.change(|state| (state.parts.clone(), state.is_direct, state.hangs));
                if is_direct && !parts.is_empty() {
                    let pieces = iter(parts.split_off(1)).map(|piece| match piece? {
                        download_blob_response::Part::Chunk(chunk) => Ok(chunk),
                        download_blob_response::Part::Start(_) => Err(Status::internal("no chunk")),
                    });
                    direct.unwrap().leave(if hangs { pieces.chain(pending()).boxed() } else { pieces.boxed() });
                }
                let messages = iter(parts).map(|part| part.map(|part| DownloadBlobResponse { part: Some(part) }));
                Ok(Response::new(if hangs { messages.chain(pending()).boxed() } else { messages.boxed() }))
            }

            async fn watch_artifacts(
                &self,
                _: Request<WatchArtifactsRequest>,
            ) -> Result<Response<Self::WatchArtifactsStream>, Status> {
                Err(Status::internal("not in the script"))
            }
        }
    };
}

service! {
    create_project: CreateProjectRequest => CreateProjectResponse,
    get_project: GetProjectRequest => GetProjectResponse,
    list_projects: ListProjectsRequest => ListProjectsResponse,
    delete_project: DeleteProjectRequest => DeleteProjectResponse,
    create_repository: CreateRepositoryRequest => CreateRepositoryResponse,
    get_repository: GetRepositoryRequest => GetRepositoryResponse,
    list_repositories: ListRepositoriesRequest => ListRepositoriesResponse,
    delete_repository: DeleteRepositoryRequest => DeleteRepositoryResponse,
    commit_file: CommitFileRequest => CommitFileResponse,
    get_file: GetFileRequest => GetFileResponse,
    stat_files: StatFilesRequest => StatFilesResponse,
    list_files: ListFilesRequest => ListFilesResponse,
    update_file_metadata: UpdateFileMetadataRequest => UpdateFileMetadataResponse,
    delete_file: DeleteFileRequest => DeleteFileResponse,
    start_upload: StartUploadRequest => StartUploadResponse,
    get_upload: GetUploadRequest => GetUploadResponse,
    finish_upload: FinishUploadRequest => FinishUploadResponse,
    cancel_upload: CancelUploadRequest => CancelUploadResponse,
    missing_blobs: MissingBlobsRequest => MissingBlobsResponse,
    get_blob: GetBlobRequest => GetBlobResponse,
    mount_blob: MountBlobRequest => MountBlobResponse,
    delete_blob: DeleteBlobRequest => DeleteBlobResponse,
    put_manifest: PutManifestRequest => PutManifestResponse,
    get_manifest: GetManifestRequest => GetManifestResponse,
    delete_manifest: DeleteManifestRequest => DeleteManifestResponse,
    list_manifests: ListManifestsRequest => ListManifestsResponse,
    list_tags: ListTagsRequest => ListTagsResponse,
    list_referrers: ListReferrersRequest => ListReferrersResponse,
    list_images: ListImagesRequest => ListImagesResponse,
    list_packages: ListPackagesRequest => ListPackagesResponse,
    get_package: GetPackageRequest => GetPackageResponse,
    delete_package: DeletePackageRequest => DeletePackageResponse,
    list_versions: ListVersionsRequest => ListVersionsResponse,
    get_version: GetVersionRequest => GetVersionResponse,
    update_version_metadata: UpdateVersionMetadataRequest => UpdateVersionMetadataResponse,
    delete_version: DeleteVersionRequest => DeleteVersionResponse,
    list_changes: ListChangesRequest => ListChangesResponse,
}

#[tonic::async_trait]
impl RightsService for Fake {
    async fn get_caller(&self, request: Request<GetCallerRequest>) -> Result<Response<GetCallerResponse>, Status> {
        self.unary("get_caller", request)
    }

    async fn check_right(&self, request: Request<CheckRightRequest>) -> Result<Response<CheckRightResponse>, Status> {
        // Who is not refused by name may do everything.
        self.called("check_right", request.into_inner())?;
        Ok(Response::new(CheckRightResponse { allowed: true, explanation: String::new() }))
    }
}
