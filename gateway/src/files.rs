//! Generic files by path: `/generic/{project}/{repository}/{path}`.
//!
//! Quirk: a success is 200 whatever was done, and has an envelope, `{"code" : 0, …}`, but where it is the file itself.
//! Quirk: what has the path already is 400, not 409, unless `X-BKREPO-OVERWRITE` is `true`.
//! Quirk: to delete a folder deletes all that is in it.
//! Quirk: to read a folder is as to read nothing: 404.

mod condition;
mod download;
mod metadata;
mod path;
mod refusal;
mod upload;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use http::header::HeaderValue;
use http::request::Parts;
use serde::Serialize;
use steward_proto::artifact::v1::DeleteFileRequest;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tokio_util::sync::CancellationToken;

use self::condition::Condition;
use self::path::FileName;
use self::refusal::Refusal;
use crate::envelope::{self, LocalTimes};
use crate::incoming::Incoming;
use crate::options::Options;
use crate::upstream::{Call, Channel};

/// For an answer, or for the start of one that is streamed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For an answer once all bytes of a file are there.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// The longest message that is read.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Serves it.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    let client = ArtifactServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let times = LocalTimes::new(options.artifacts.time_zone.clone());
    Router::new().route("/generic/{*rest}", any(serve)).with_state(Files { client, times, options, shutdown })
}

/// What the handlers need.
#[derive(Clone)]
struct Files {
    client: ArtifactServiceClient<Channel>,
    times: LocalTimes,
    options: Options,
    shutdown: CancellationToken,
}

/// A request, without its body.
struct Asked {
    files: Files,
    common: envelope::Asked,
    parts: Parts,
}

impl Asked {
    /// Prepares a call for it.
    fn call(&self, rpc: &'static str) -> Call {
        Call::new(rpc, self.common.caller.clone(), TIMEOUT)
    }

    /// A success, with its envelope.
    fn success<T: Serialize>(&self, data: T) -> Response {
        self.common.answer(&self.files.times, Ok(data))
    }

    fn client(&self) -> ArtifactServiceClient<Channel> {
        self.files.client.clone()
    }

    /// A header that is there once and is text.
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

async fn serve(State(files): State<Files>, common: envelope::Asked, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (version, shutdown) = (parts.version, files.shutdown.clone());
    let mut incoming = Incoming::new(body, &parts, &files.options);
    let asked = Asked { files, common, parts };
    let answered = match path::parse(asked.parts.uri.path()) {
        Ok(name) => dispatch(&asked, name, &mut incoming).await,
        Err(refusal) => Err(refusal),
    };
    let (common, times) = (&asked.common, &asked.files.times);
    let mut response = answered.unwrap_or_else(|refusal| common.answer::<()>(times, Err(refusal.into())));
    common.sign(response.headers_mut(), times);
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
    let condition = Condition::of(asked)?;
    if condition == Condition::Absent {
        return Err(Refusal::invalid("If-None-Match"));
    }
    let call = asked.call("DeleteFile");
    let request = DeleteFileRequest {
        project: name.project,
        repository: name.repository,
        path: name.path,
        // A folder has no bytes that somebody can have meant.
        folder: condition == Condition::None,
        only_if_sha256: condition.sha256(),
    };
    let deleted = call.run(asked.client().delete_file(call.request(request))).await;
    deleted.map_err(|failure| condition.failed(failure))?;
    Ok(asked.common.done(&asked.files.times, Ok(())))
}

/// A header of something that a service has said. A text that cannot be one is left out.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
