//! The service itself.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};
use steward_proto::restic::v1::object_service_server::ObjectService;
use steward_proto::restic::v1::verify_repository_response::Event;
use steward_proto::restic::v1::watch_response::Kind;
use steward_proto::restic::v1::*;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{State, key, name_of};
use crate::cli::restic::text;
use crate::cli::testing::{Answer, AnswerStream, not_here, refusal};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: Arc<Mutex<State>>,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn find(&self, path: &str) -> Result<Repository, Status> {
        self.state().repositories.get(path).cloned().ok_or_else(not_found)
    }

    fn store(&self, key: &ObjectKey, bytes: Bytes) -> Result<UploadResponse, Status> {
        let mut state = self.state();
        if !key.name.is_empty() && key.name != name_of(&bytes) {
            return Err(refusal(Code::InvalidArgument, "CONTENT_MISMATCH"));
        }
        if state.busy_count > 0 {
            state.busy_count -= 1;
            return Err(refusal(Code::Unavailable, "BUSY"));
        }
        state.uploads.push(format!("{} {}", key.repository, text::object(key)));
        let place = (key.repository.clone(), key.r#type(), key.name.clone());
        let already_existed = state.objects.insert(place, bytes).is_some();
        Ok(UploadResponse { object: Some(Object { key: Some(key.clone()), ..Object::default() }), already_existed })
    }
}

fn all<T: Send + 'static>(items: Vec<T>) -> Response<AnswerStream<T>> {
    Response::new(stream::iter(items.into_iter().map(Ok)).boxed())
}

fn not_found() -> Status {
    refusal(Code::NotFound, "NOT_FOUND")
}

/// The items of a page, and the token of the next: the number of the items before it.
fn page<T: Clone>(items: &[T], size: usize, token: &str) -> (Vec<T>, String) {
    let start = token.parse().unwrap_or(0);
    let end = items.len().min(start + size);
    (items[start..end].to_vec(), if end < items.len() { end.to_string() } else { String::new() })
}

#[tonic::async_trait]
impl ObjectService for Service {
    type DownloadStream = AnswerStream<DownloadResponse>;
    type StreamObjectsStream = AnswerStream<StreamObjectsResponse>;
    type WatchStream = AnswerStream<WatchResponse>;
    type VerifyRepositoryStream = AnswerStream<VerifyRepositoryResponse>;

    async fn create_repository(&self, request: Request<CreateRepositoryRequest>) -> Answer<CreateRepositoryResponse> {
        let path = request.into_inner().path;
        let new = Repository { path: path.clone(), ..Repository::default() };
        let created = self.state().repositories.insert(path, new.clone()).is_none();
        Ok(Response::new(CreateRepositoryResponse { repository: Some(new), created }))
    }

    async fn get_repository(&self, request: Request<GetRepositoryRequest>) -> Answer<GetRepositoryResponse> {
        let repository = self.find(&request.into_inner().path)?;
        Ok(Response::new(GetRepositoryResponse { repository: Some(repository) }))
    }

    /// Two on a page.
    async fn list_repositories(&self, request: Request<ListRepositoriesRequest>) -> Answer<ListRepositoriesResponse> {
        let request = request.into_inner();
        let stored: Vec<_> = self.state().repositories.values().cloned().collect();
        let stored: Vec<_> = stored.into_iter().filter(|item| item.path.starts_with(&request.path_prefix)).collect();
        let (repositories, next_page_token) = page(&stored, 2, &request.page_token);
        Ok(Response::new(ListRepositoriesResponse { repositories, next_page_token, total_size: 0 }))
    }

    async fn update_repository(&self, request: Request<UpdateRepositoryRequest>) -> Answer<UpdateRepositoryResponse> {
        let request = request.into_inner();
        let repository = Repository { max_bytes: request.max_bytes, ..self.find(&request.path)? };
        Ok(Response::new(UpdateRepositoryResponse { repository: Some(repository) }))
    }

    async fn delete_repository(&self, _: Request<DeleteRepositoryRequest>) -> Answer<DeleteRepositoryResponse> {
        Err(not_here())
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Answer<UploadResponse> {
        let mut parts = request.into_inner();
        let (mut key, mut bytes) = (ObjectKey::default(), BytesMut::new());
        while let Some(part) = parts.message().await? {
            match part.part.unwrap() {
                upload_request::Part::Start(start) => {
                    key = start.key.unwrap();
                    if self.state().full.contains(&key.repository) {
                        return Err(refusal(Code::ResourceExhausted, "QUOTA_EXCEEDED"));
                    }
                }
                upload_request::Part::Chunk(chunk) => {
                    bytes.extend_from_slice(&chunk);
                    let mut state = self.state();
                    state.largest_chunk = state.largest_chunk.max(chunk.len());
                }
                upload_request::Part::Finish(finish) => {
                    assert_eq!(usize::try_from(finish.size), Ok(bytes.len()));
                    return self.store(&key, bytes.freeze()).map(Response::new);
                }
            }
        }
        Err(refusal(Code::InvalidArgument, "UPLOAD_BROKEN_OFF"))
    }

    async fn download(&self, request: Request<DownloadRequest>) -> Answer<Self::DownloadStream> {
        let key = request.into_inner().key.unwrap();
        let place = (key.repository.clone(), key.r#type(), key.name);
        let bytes = self.state().objects.get(&place).cloned().ok_or_else(not_found)?;
        let length = i64::try_from(bytes.len()).unwrap();
        let start = DownloadStart { object: None, first: 0, length };
        let parts = [download_response::Part::Start(start), download_response::Part::Chunk(bytes)];
        Ok(all(parts.map(|part| DownloadResponse { part: Some(part) }).into()))
    }

    async fn get_object(&self, _: Request<GetObjectRequest>) -> Answer<GetObjectResponse> {
        Err(not_here())
    }

    async fn list_objects(&self, _: Request<ListObjectsRequest>) -> Answer<ListObjectsResponse> {
        Err(not_here())
    }

    /// One in a batch.
    async fn stream_objects(&self, request: Request<StreamObjectsRequest>) -> Answer<Self::StreamObjectsStream> {
        let request = request.into_inner();
        self.find(&request.repository)?;
        let mut batches = Vec::new();
        for ((repository, kind, name), bytes) in &self.state().objects {
            if *repository == request.repository && *kind == request.r#type() {
                let entry = ObjectEntry { name: name.clone(), size: i64::try_from(bytes.len()).unwrap() };
                batches.push(StreamObjectsResponse { entries: vec![entry] });
            }
        }
        Ok(all(batches))
    }

    async fn delete_object(&self, _: Request<DeleteObjectRequest>) -> Answer<DeleteObjectResponse> {
        Err(not_here())
    }

    /// One on a page.
    async fn list_deleted_objects(
        &self,
        request: Request<ListDeletedObjectsRequest>,
    ) -> Answer<ListDeletedObjectsResponse> {
        let (objects, next_page_token) = page(&self.state().deleted, 1, &request.into_inner().page_token);
        Ok(Response::new(ListDeletedObjectsResponse { objects, next_page_token, total_size: 0 }))
    }

    async fn undelete_objects(&self, request: Request<UndeleteObjectsRequest>) -> Answer<UndeleteObjectsResponse> {
        self.state().undeletes.push(request.into_inner());
        Ok(Response::new(UndeleteObjectsResponse { restored_count: 2, restored_bytes: 2048 }))
    }

    /// A snapshot with one object at revision 5, a change at 6, then silence; nothing after a resume.
    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        let object = Object {
            key: Some(key(ObjectType::Snapshot, "ab")),
            size: 5,
            arrive_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        };
        let step = |kind: Kind, revision, object| WatchResponse { kind: kind.into(), object, revision };
        let steps = [
            step(Kind::Stored, 5, Some(object.clone())),
            step(Kind::Synced, 5, None),
            step(Kind::Stored, 6, Some(object)),
        ];
        let sent = if request.from_revision == 0 { steps.len() } else { 0 };
        self.state().watches.push(request);
        Ok(Response::new(stream::iter(steps.into_iter().take(sent).map(Ok)).chain(stream::pending()).boxed()))
    }

    async fn verify_repository(
        &self,
        request: Request<VerifyRepositoryRequest>,
    ) -> Answer<Self::VerifyRepositoryStream> {
        let request = request.into_inner();
        self.find(&request.repository)?;
        let findings = self.state().findings.get(&request.repository).cloned().unwrap_or_default();
        self.state().verifications.push(request);
        let mut end = VerifyProgress { object_count: 3, object_bytes: 1024, done: true, ..VerifyProgress::default() };
        end.finding_count = i64::try_from(findings.len()).unwrap();
        let mut events = vec![Event::Progress(VerifyProgress { done: false, ..end })];
        events.extend(findings.into_iter().map(Event::Finding));
        if !self.state().breaks_off {
            events.push(Event::Progress(end));
        }
        Ok(all(events.into_iter().map(|event| VerifyRepositoryResponse { event: Some(event) }).collect()))
    }
}
