//! Generic files by path: `/generic/{project}/{repository}/{path}`.
//!
//! Quirk: a success is 200 whatever was done, and has an envelope, `{"code" : 0, …}`, but where it is the file itself.
//! Quirk: what has the path already is 400, not 409, unless `X-BKREPO-OVERWRITE` is `true`.
//! Quirk: to delete a folder deletes all that is in it.
//! Quirk: to read a folder is as to read nothing: 404.

mod answer;
mod download;
mod metadata;
mod node;
mod path;
mod refusal;
mod upload;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::Method;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use steward_proto::artifact::v1::DeleteFileRequest;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tokio_util::sync::CancellationToken;

use self::answer::{Envelope, Language, Trace};
use self::path::FileName;
use self::refusal::Refusal;
use crate::incoming::Incoming;
use crate::options::Options;
use crate::upstream::{Call, Caller, Channel};

/// For an answer, or for the start of one that is streamed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For an answer once all bytes of a file are there.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// The longest message that is read.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Serves it.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    let client = ArtifactServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Router::new().route("/generic/{*rest}", any(serve)).with_state(Files { client, options, shutdown })
}

/// What the handlers need.
#[derive(Clone)]
struct Files {
    client: ArtifactServiceClient<Channel>,
    options: Options,
    shutdown: CancellationToken,
}

/// A request, without its body.
struct Asked {
    files: Files,
    caller: Caller,
    parts: Parts,
    trace: Trace,
}

impl Asked {
    /// Prepares a call for it.
    fn call(&self, rpc: &'static str) -> Call {
        Call::new(rpc, self.caller.clone(), TIMEOUT)
    }

    fn client(&self) -> ArtifactServiceClient<Channel> {
        self.files.client.clone()
    }

    /// A header that is there once and is text.
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

async fn serve(State(files): State<Files>, caller: Caller, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (version, shutdown) = (parts.version, files.shutdown.clone());
    let mut incoming = Incoming::new(body, &parts, &files.options);
    let language = Language::of(&parts.headers);
    let trace = Trace::of(&parts.headers);
    let asked = Asked { files, caller, parts, trace: trace.clone() };
    let answered = match path::parse(asked.parts.uri.path()) {
        Ok(name) => dispatch(&asked, name, &mut incoming).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answered.unwrap_or_else(|refusal| refusal.answer(language, &trace));
    response.headers_mut().insert(HeaderName::from_static("x-bkrepo-rid"), trace.header());
    incoming.see_off(&mut response, version, shutdown);
    response
}

async fn dispatch(asked: &Asked, name: FileName, incoming: &mut Incoming) -> Result<Response, Refusal> {
    match asked.parts.method {
        Method::GET => download::get(asked, name).await,
        Method::HEAD => download::head(asked, name).await,
        Method::PUT => upload::put(asked, name, incoming).await,
        Method::DELETE => delete(asked, name).await,
        _ => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
    }
}

async fn delete(asked: &Asked, name: FileName) -> Result<Response, Refusal> {
    let call = asked.call("DeleteFile");
    let request = DeleteFileRequest {
        project: name.project,
        repository: name.repository,
        path: name.path,
        folder: true,
        ..DeleteFileRequest::default()
    };
    call.run(asked.client().delete_file(call.request(request))).await?;
    Ok(Envelope::success(&(), &asked.trace).into_response())
}

/// A header of something that a service has said. A text that cannot be one is left out.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
