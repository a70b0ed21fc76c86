//! A Steward that does as the test says: its calls by path, without the server behind them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use prost::Message;
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::write_upload_request::Part;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::super::testing::{Certificate, Cut, serve};
use crate::blob::{Algorithm, Digest};

/// What it does with the next call of a name.
#[derive(Clone, Debug)]
pub(super) enum Do {
    Fail(tonic::Code, &'static str),
    /// Takes so many bytes of what comes, and cuts the connection.
    Cut(usize),
    /// Does what it should, and cuts the connection before it answers.
    ThenCut,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) scripts: VecDeque<(&'static str, Do)>,
    pub(super) calls: Vec<String>,
    pub(super) authorization: Option<String>,
    pub(super) repositories: HashMap<String, api::RepositoryType>,
    pub(super) uploads: HashMap<String, BytesMut>,
    pub(super) blobs: HashMap<String, Bytes>,
    pub(super) manifests: HashMap<String, api::PutManifestRequest>,
    pub(super) files: HashMap<String, api::File>,
    next: usize,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

type Answer = Result<Vec<u8>, Status>;

fn not_found(reason: &'static str) -> Status {
    failure(tonic::Code::NotFound, reason)
}

fn failure(code: tonic::Code, reason: &'static str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "steward", HashMap::new());
    Status::with_error_details(code, reason.to_lowercase(), details)
}

fn read<T: Message + Default>(message: &[u8]) -> T {
    T::decode(message).unwrap()
}

impl Fake {
    pub(super) async fn start(tls: Option<&Certificate>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| handle(Arc::clone(&shared), request));
        Fake { address: serve(router, tls).await, state }
    }

    pub(super) fn on(&self, call: &'static str, what: Do) {
        self.with(|state| state.scripts.push_back((call, what)));
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    pub(super) fn calls(&self, name: &str) -> usize {
        self.with(|state| state.calls.iter().filter(|call| *call == name).count())
    }
}

async fn handle(state: Arc<Mutex<State>>, request: Request) -> Response {
    let cut = request.extensions().get::<Cut>().unwrap().clone();
    let (head, mut body) = request.into_parts();
    let name = head.uri.path().rsplit('/').next().unwrap().to_owned();
    let script = {
        let mut state = state.lock();
        state.calls.push(name.clone());
        state.authorization = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let at = state.scripts.iter().position(|(call, _)| *call == name);
        at.and_then(|at| state.scripts.remove(at)).map(|(_, what)| what)
    };
    let limit = if let Some(Do::Cut(limit)) = script { limit } else { usize::MAX };
    let (mut read, mut messages) = (BytesMut::new(), Vec::new());
    let mut taken = 0;
    while taken < limit {
        let Some(Ok(frame)) = body.frame().await else { break };
        let data = frame.into_data().unwrap_or_default();
        taken += data.len();
        read.extend_from_slice(&data);
        while read.len() >= 5 {
            let length = (&read[1..5]).get_u32() as usize;
            if read.len() < 5 + length {
                break;
            }
            read.advance(5);
            messages.push(read.split_to(length).freeze());
        }
    }
    let answer = match script {
        Some(Do::Fail(code, reason)) => Err(failure(code, reason)),
        _ => state.lock().answer(&name, &messages),
    };
    if matches!(script, Some(Do::Cut(_) | Do::ThenCut)) {
        cut.now().await;
    }
    match answer {
        Ok(message) => response(&message),
        Err(status) => status.into_http(),
    }
}

fn response(message: &[u8]) -> Response {
    let mut data = BytesMut::new();
    data.put_u8(0);
    data.put_u32(u32::try_from(message.len()).unwrap());
    data.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [Ok::<_, std::convert::Infallible>(Frame::data(data.freeze())), Ok(Frame::trailers(trailers))];
    let body = Body::new(StreamBody::new(futures::stream::iter(frames)));
    Response::builder().header(CONTENT_TYPE, "application/grpc").body(body).unwrap()
}

fn key(name: Option<&api::ImageName>, rest: &str) -> String {
    let name = name.unwrap();
    format!("{}/{}/{}@{rest}", name.project, name.repository, name.image)
}

impl State {
    fn answer(&mut self, name: &str, messages: &[Bytes]) -> Answer {
        let first = messages.first().cloned().unwrap_or_default();
        match name {
            "ListProjects" => Ok(api::ListProjectsResponse::default().encode_to_vec()),
            "GetRepository" => {
                let request: api::GetRepositoryRequest = read(&first);
                let kind = self.repositories.get(&format!("{}/{}", request.project, request.repository));
                let kind = *kind.ok_or_else(|| not_found("REPOSITORY_NOT_FOUND"))?;
                let mut repository = api::Repository::default();
                repository.set_type(kind);
                Ok(api::GetRepositoryResponse { repository: Some(repository) }.encode_to_vec())
            }
            "CreateProject" => Err(failure(tonic::Code::AlreadyExists, "PROJECT_EXISTS")),
            "CreateRepository" => {
                let request: api::CreateRepositoryRequest = read(&first);
                self.repositories.insert(format!("{}/{}", request.project, request.name), request.r#type());
                Ok(api::CreateRepositoryResponse::default().encode_to_vec())
            }
            "MissingBlobs" => {
                let request: api::MissingBlobsRequest = read(&first);
                let digests = request.digests.into_iter().filter(|digest| !self.blobs.contains_key(digest)).collect();
                Ok(api::MissingBlobsResponse { digests }.encode_to_vec())
            }
            "MountBlob" => Err(not_found("BLOB_NOT_FOUND")),
            "StartUpload" | "GetUpload" | "WriteUpload" | "FinishUpload" => self.upload(name, messages),
            "PutManifest" | "GetManifest" | "DeleteManifest" => self.manifest(name, &first),
            "CommitFile" | "StatFiles" | "DeleteFile" => self.file(name, &first),
            _ => Err(Status::unimplemented(name.to_owned())),
        }
    }

    fn upload(&mut self, name: &str, messages: &[Bytes]) -> Answer {
        let first = messages.first().cloned().unwrap_or_default();
        let there = |id: &str, offset: usize| {
            Some(api::Upload { id: id.to_owned(), offset: i64::try_from(offset).unwrap(), ..api::Upload::default() })
        };
        let gone = || not_found("UPLOAD_NOT_FOUND");
        match name {
            "StartUpload" => {
                let request: api::StartUploadRequest = read(&first);
                if let Some(bytes) = self.blobs.get(&request.digest) {
                    let size = i64::try_from(bytes.len()).unwrap();
                    let blob = Some(api::Blob { digest: request.digest, size });
                    return Ok(api::StartUploadResponse { upload: None, blob }.encode_to_vec());
                }
                self.next += 1;
                let id = format!("upload-{}", self.next);
                self.uploads.insert(id.clone(), BytesMut::new());
                Ok(api::StartUploadResponse { upload: there(&id, 0), blob: None }.encode_to_vec())
            }
            "GetUpload" => {
                let request: api::GetUploadRequest = read(&first);
                let bytes = self.uploads.get(&request.upload_id).ok_or_else(gone)?;
                Ok(api::GetUploadResponse { upload: there(&request.upload_id, bytes.len()) }.encode_to_vec())
            }
            "WriteUpload" => {
                let Some(Part::Start(start)) = read::<api::WriteUploadRequest>(&first).part else {
                    return Err(Status::invalid_argument("no start"));
                };
                let bytes = self.uploads.get_mut(&start.upload_id).ok_or_else(gone)?;
                if start.offset != i64::try_from(bytes.len()).ok() {
                    return Err(failure(tonic::Code::OutOfRange, "UPLOAD_OFFSET"));
                }
                for message in &messages[1..] {
                    if let Some(Part::Chunk(chunk)) = read::<api::WriteUploadRequest>(message).part {
                        bytes.extend_from_slice(&chunk);
                    }
                }
                Ok(api::WriteUploadResponse { upload: there(&start.upload_id, bytes.len()) }.encode_to_vec())
            }
            _ => {
                let request: api::FinishUploadRequest = read(&first);
                let bytes = self.uploads.remove(&request.upload_id).ok_or_else(gone)?.freeze();
                if Digest::of(Algorithm::Sha256, &bytes).to_string() != request.digest {
                    return Err(failure(tonic::Code::InvalidArgument, "DIGEST_MISMATCH"));
                }
                let size = i64::try_from(bytes.len()).unwrap();
                self.blobs.insert(request.digest.clone(), bytes);
                let blob = Some(api::Blob { digest: request.digest, size });
                Ok(api::FinishUploadResponse { blob }.encode_to_vec())
            }
        }
    }

    fn manifest(&mut self, name: &str, message: &Bytes) -> Answer {
        match name {
            "PutManifest" => {
                let request: api::PutManifestRequest = read(message);
                for reference in std::iter::once(&request.reference).chain(&request.tags) {
                    self.manifests.insert(key(request.name.as_ref(), reference), request.clone());
                }
                Ok(api::PutManifestResponse::default().encode_to_vec())
            }
            "GetManifest" => {
                let request: api::GetManifestRequest = read(message);
                let known = self.manifests.get(&key(request.name.as_ref(), &request.reference));
                let known = known.ok_or_else(|| not_found("MANIFEST_NOT_FOUND"))?;
                let digest = Digest::of(Algorithm::Sha256, &known.content).to_string();
                let manifest = Some(api::Manifest { digest, ..api::Manifest::default() });
                Ok(api::GetManifestResponse { manifest, content: Bytes::new() }.encode_to_vec())
            }
            _ => {
                let request: api::DeleteManifestRequest = read(message);
                let key = key(request.name.as_ref(), &request.reference);
                let known = self.manifests.get(&key).ok_or_else(|| not_found("MANIFEST_NOT_FOUND"))?;
                if known.reference != request.only_if_digest {
                    return Err(failure(tonic::Code::FailedPrecondition, "TAG_CONFLICT"));
                }
                self.manifests.remove(&key);
                Ok(Vec::new())
            }
        }
    }

    fn file(&mut self, name: &str, message: &Bytes) -> Answer {
        match name {
            "CommitFile" => {
                let request: api::CommitFileRequest = read(message);
                let target = request.target.unwrap();
                if !self.blobs.contains_key(&request.digest) {
                    return Err(not_found("BLOB_NOT_FOUND"));
                }
                if self.files.contains_key(&target.path) && !target.overwrite {
                    return Err(failure(tonic::Code::AlreadyExists, "FILE_EXISTS"));
                }
                let sha256 = request.digest.replace("sha256:", "");
                let (path, metadata) = (target.path, target.metadata);
                let file = api::File { path: path.clone(), sha256, metadata, ..api::File::default() };
                self.files.insert(path, file.clone());
                Ok(api::CommitFileResponse { file: Some(file), unchanged: false }.encode_to_vec())
            }
            "StatFiles" => {
                let request: api::StatFilesRequest = read(message);
                let files = request.paths.iter().filter_map(|path| self.files.get(path).cloned()).collect();
                Ok(api::StatFilesResponse { files }.encode_to_vec())
            }
            _ => {
                let request: api::DeleteFileRequest = read(message);
                let known = self.files.get(&request.path).ok_or_else(|| not_found("FILE_NOT_FOUND"))?;
                if known.sha256 != request.only_if_sha256 {
                    return Err(failure(tonic::Code::FailedPrecondition, "FILE_CONFLICT"));
                }
                self.files.remove(&request.path);
                Ok(api::DeleteFileResponse { deleted: 1 }.encode_to_vec())
            }
        }
    }
}
