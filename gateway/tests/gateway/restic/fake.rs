//! An object service that answers what it was told to, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use futures::StreamExt;
use futures::stream::{BoxStream, iter, pending};
use steward_gateway::{Chunks, Direct, Options, Pieces, restic_router, router};
use steward_proto::restic::v1::object_service_server::{ObjectService, ObjectServiceServer};
use steward_proto::restic::v1::upload_request::Part;
use steward_proto::restic::v1::*;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use super::refusal;
pub(super) use super::script::{Asked, Received, Script, Uploads};

#[derive(Clone)]
pub(super) struct Fake {
    script: Arc<Script>,
    asked: Arc<Mutex<Asked>>,
}

impl Fake {
    pub(super) fn new(script: Script) -> Self {
        Self { script: Arc::new(script), asked: Arc::default() }
    }

    pub(super) fn refusing(refusal: Status) -> Self {
        let uploads = Uploads::Refuse(refusal.clone());
        Self::new(Script { refusal: Some(refusal), uploads, ..Script::default() })
    }

    pub(super) fn shared(&self) -> Router {
        router(ObjectServiceServer::new(self.clone()), Options::default(), CancellationToken::new())
    }

    pub(super) fn alone(&self) -> Router {
        self.alone_with(Options::default())
    }

    pub(super) fn alone_with(&self, options: Options) -> Router {
        restic_router(ObjectServiceServer::new(self.clone()), options, CancellationToken::new())
    }

    pub(super) fn asked<T>(&self, read: impl FnOnce(&Asked) -> T) -> T {
        read(&self.asked.lock().unwrap())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Asked) -> T) -> T {
        change(&mut self.asked.lock().unwrap())
    }

    fn called(&self, call: String) -> Result<(), Status> {
        self.change(|asked| asked.calls.push(call));
        self.script.refusal.clone().map_or(Ok(()), Err)
    }

    fn stream<T: Send + 'static>(&self, messages: Vec<Result<T, Status>>) -> BoxStream<'static, Result<T, Status>> {
        let delay = self.script.delay;
        let messages = iter(messages).then(move |message| async move {
            tokio::time::sleep(delay).await;
            message
        });
        if self.script.hangs { messages.chain(pending()).boxed() } else { messages.boxed() }
    }
}

/// Counts a call as ended when it is answered and when it is dropped.
struct Ending(Fake);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.change(|asked| asked.ended_uploads += 1);
    }
}

fn described(key: Option<&ObjectKey>) -> String {
    let key = key.unwrap();
    format!("{}|{}|{}", key.repository, key.r#type().as_str_name().replace("OBJECT_TYPE_", ""), key.name)
}

#[tonic::async_trait]
impl ObjectService for Fake {
    type DownloadStream = BoxStream<'static, Result<DownloadResponse, Status>>;
    type StreamObjectsStream = BoxStream<'static, Result<StreamObjectsResponse, Status>>;
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;
    type VerifyRepositoryStream = BoxStream<'static, Result<VerifyRepositoryResponse, Status>>;

    async fn create_repository(
        &self,
        request: Request<CreateRepositoryRequest>,
    ) -> Result<Response<CreateRepositoryResponse>, Status> {
        self.called(format!("create {}", request.into_inner().path))?;
        Ok(Response::new(CreateRepositoryResponse::default()))
    }

    async fn delete_repository(
        &self,
        request: Request<DeleteRepositoryRequest>,
    ) -> Result<Response<DeleteRepositoryResponse>, Status> {
        self.called(format!("delete {}", request.into_inner().path))?;
        Err(refusal(Code::Unimplemented, "UNIMPLEMENTED", "remove its directory"))
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        let _ending = Ending(self.clone());
        let direct = request.extensions().get::<Direct<Chunks>>().filter(|_| self.script.is_direct);
        let mut direct = direct.map(|direct| direct.take().unwrap());
        let mut parts = request.into_inner();
        let upload = self.change(|asked| {
            asked.uploads.push(Received::default());
            asked.uploads.len() - 1
        });
        loop {
            let part = parts.message().await?.and_then(|message| message.part);
            let note = |note: &dyn Fn(&mut Received)| self.change(|asked| note(&mut asked.uploads[upload]));
            match part {
                Some(Part::Start(start)) => {
                    note(&|received| received.start = Some(start.clone()));
                    match &self.script.uploads {
                        Uploads::Store => {}
                        Uploads::Exists => {
                            return Ok(Response::new(UploadResponse { object: None, already_existed: true }));
                        }
                        Uploads::Refuse(status) => return Err(status.clone()),
                        Uploads::Stall => std::future::pending().await,
                    }
                    while let Some(chunk) = match &mut direct {
                        Some(chunks) => chunks.next().await,
                        None => None,
                    } {
                        note(&|received| received.take(&chunk));
                    }
                }
                Some(Part::Chunk(chunk)) => {
                    assert!(direct.is_none(), "a chunk came as a message");
                    note(&|received| received.take(&chunk));
                }
                Some(Part::Finish(finish)) => {
                    note(&|received| received.finish = Some(finish.size));
                    return Ok(Response::new(UploadResponse::default()));
                }
                None => return Err(refusal(Code::InvalidArgument, "UPLOAD_BROKEN_OFF", "no finish")),
            }
        }
    }

    async fn download(&self, request: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let direct = request.extensions().get::<Direct<Pieces>>().cloned();
        let request = request.into_inner();
        let call = format!("download {}", described(request.key.as_ref()));
        self.change(|asked| asked.downloads.push(request));
        self.called(call)?;
        let mut parts = self.script.parts.clone();
        if self.script.is_direct && !parts.is_empty() {
            let pieces = self.stream(parts.split_off(1)).map(|piece| match piece? {
                download_response::Part::Chunk(chunk) => Ok(chunk),
                download_response::Part::Start(_) => Err(Status::internal("no chunk")),
            });
            direct.unwrap().leave(pieces.boxed());
        }
        let messages = parts.into_iter().map(|part| part.map(|part| DownloadResponse { part: Some(part) }));
        Ok(Response::new(self.stream(messages.collect())))
    }

    async fn get_object(&self, request: Request<GetObjectRequest>) -> Result<Response<GetObjectResponse>, Status> {
        let key = request.into_inner().key;
        self.called(format!("get {}", described(key.as_ref())))?;
        let object = Object { key, size: self.script.size, arrive_time: None };
        Ok(Response::new(GetObjectResponse { object: Some(object) }))
    }

    async fn stream_objects(
        &self,
        request: Request<StreamObjectsRequest>,
    ) -> Result<Response<Self::StreamObjectsStream>, Status> {
        let request = request.into_inner();
        self.called(format!("list {}|{}", request.repository, request.r#type().as_str_name()))?;
        let entry = |(name, size)| ObjectEntry { name, size };
        let batch = |entries: Vec<_>| StreamObjectsResponse { entries: entries.into_iter().map(entry).collect() };
        let batches = self.script.batches.iter().cloned().map(|entries| entries.map(batch));
        Ok(Response::new(self.stream(batches.collect())))
    }

    async fn delete_object(
        &self,
        request: Request<DeleteObjectRequest>,
    ) -> Result<Response<DeleteObjectResponse>, Status> {
        self.called(format!("delete {}", described(request.into_inner().key.as_ref())))?;
        Ok(Response::new(DeleteObjectResponse::default()))
    }

    async fn get_repository(
        &self,
        _: Request<GetRepositoryRequest>,
    ) -> Result<Response<GetRepositoryResponse>, Status> {
        Err(unscripted())
    }

    async fn list_repositories(
        &self,
        _: Request<ListRepositoriesRequest>,
    ) -> Result<Response<ListRepositoriesResponse>, Status> {
        Err(unscripted())
    }

    async fn update_repository(
        &self,
        _: Request<UpdateRepositoryRequest>,
    ) -> Result<Response<UpdateRepositoryResponse>, Status> {
        Err(unscripted())
    }

    async fn list_objects(&self, _: Request<ListObjectsRequest>) -> Result<Response<ListObjectsResponse>, Status> {
        Err(unscripted())
    }

    async fn list_deleted_objects(
        &self,
        _: Request<ListDeletedObjectsRequest>,
    ) -> Result<Response<ListDeletedObjectsResponse>, Status> {
        Err(unscripted())
    }

    async fn undelete_objects(
        &self,
        _: Request<UndeleteObjectsRequest>,
    ) -> Result<Response<UndeleteObjectsResponse>, Status> {
        Err(unscripted())
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(unscripted())
    }

    async fn verify_repository(
        &self,
        _: Request<VerifyRepositoryRequest>,
    ) -> Result<Response<Self::VerifyRepositoryStream>, Status> {
        Err(unscripted())
    }
}

fn unscripted() -> Status {
    Status::internal("not in the script")
}
