//! The legacy API of block volumes, snapshots and clones: one path, and everything else in the query string.
//!
//! The original was a C++ server on brpc, and its JSON was written by jsoncpp. `Action` says what to do; both
//! generations of actions are served.
//!
//! Quirk: the method and the body are ignored; only the query string counts. With
//! [`only_get`](crate::VolumeOptions::only_get) other methods are refused.
//! Quirk: empty segments of the path are skipped and what follows the name of the service is ignored, so
//! `//SnapshotCloneService/x` is the service too. Escapes in the path are not read.
//! Quirk: `Code` is a number written as a text. The status is 200 for `"0"`, 400 for `"-5"`, and 500 for all others;
//! but 429 for a caller who asks too much, or logs in too often, whose code is `"-20"`, as where there are too many
//! tasks.
//! Quirk: an error has `"UUID" : ""` in it, whatever it is about.
//! Quirk: the content type of the request is the content type of the answer.
//! Quirk: what is to be deleted and is not there was deleted: that is a success.
//! Quirk: an answer has at most 10000 rows, however many were asked for.
//! Quirk: which parameter is wrong travels in the header `x-error-field`, so that the bodies stay as they were.

mod action;
mod answer;
mod clones;
mod code;
mod files;
mod page;
mod query;
mod refusal;
mod row;
mod snapshots;
mod styled;
mod tasks;
mod vars;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Version, request};
use steward_proto::volume::v1::VolumeName;
use steward_proto::volume::v1::operation_service_client::OperationServiceClient;
use steward_proto::volume::v1::snapshot_service_client::SnapshotServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use tokio_util::sync::CancellationToken;

use self::action::Action;
use self::answer::Answer;
use self::code::Code;
use self::query::Query;
use self::refusal::Refusal;
use crate::answer::{NOT_FOUND, only};
use crate::incoming::Incoming;
use crate::options::{Options, VolumeOptions};
use crate::upstream::{Call, Caller, Channel};

/// For the answer of one call.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest message that is read: a page of a thousand rows, each with a long path and all of its labels.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The names of the service.
const NAMES: [&str; 2] = ["SnapshotCloneService", "curve.snapshotcloneserver.SnapshotCloneService"];

/// Serves the API by calls over `channel`, unless it is turned off.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    if !options.volumes.enabled {
        return Router::new();
    }
    let methods = || methods(options.volumes);
    let routes = NAMES.iter().fold(Router::new(), |routes, name| {
        let paths = [format!("/{name}"), format!("/{name}/"), format!("/{name}/{{*rest}}")];
        paths.iter().fold(routes, |routes, path| routes.route(path, methods()))
    });
    routes
        // What starts so is no other API's.
        .route("//{*path}", methods())
        .merge(vars::router())
        .with_state(Storage::new(channel, options, shutdown))
}

fn methods(options: VolumeOptions) -> MethodRouter<Storage> {
    if options.only_get { only("GET", get(serve)) } else { any(serve) }
}

/// What the handlers need.
#[derive(Clone)]
struct Storage {
    volumes: VolumeServiceClient<Channel>,
    snapshots: SnapshotServiceClient<Channel>,
    operations: OperationServiceClient<Channel>,
    options: Options,
    shutdown: CancellationToken,
}

impl Storage {
    fn new(channel: Channel, options: Options, shutdown: CancellationToken) -> Self {
        Self {
            volumes: VolumeServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            snapshots: SnapshotServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            operations: OperationServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES),
            options,
            shutdown,
        }
    }
}

/// A request for one action.
struct Asked<'a> {
    storage: &'a Storage,
    caller: Caller,
    query: Query<'a>,
    action: Action,
}

impl Asked<'_> {
    /// Prepares a call for it.
    fn call(&self, rpc: &'static str) -> Call {
        Call::new(rpc, self.caller.clone(), TIMEOUT)
    }
}

async fn serve(State(storage): State<Storage>, caller: Caller, request: Request) -> Response {
    if !is_service(request.uri().path()) {
        return NOT_FOUND.into_response();
    }
    let (parts, body) = request.into_parts();
    let incoming = Incoming::new(body, &parts, &storage.options);
    let answered = dispatch(&storage, caller, parts.uri.query().unwrap_or_default()).await;
    let mut response = answered.unwrap_or_else(Answer::from).into_response(storage.options.volumes.messages);
    finish(&mut response, &parts, incoming, storage.shutdown);
    response
}

/// Tells whether a path is the service: its first segment that is not empty has to be one of the names.
pub(crate) fn is_service(path: &str) -> bool {
    path.split('/').find(|segment| !segment.is_empty()).is_some_and(|segment| NAMES.contains(&segment))
}

async fn dispatch(storage: &Storage, caller: Caller, query: &str) -> Result<Answer, Refusal> {
    if storage.shutdown.is_cancelled() {
        return Err(Code::Stopped.into());
    }
    let query = Query::new(query);
    let action = Action::parse(&query.required("Action")?).ok_or(Refusal::malformed("Action"))?;
    query.required("Version")?;
    let asked = Asked { storage, caller, query, action };
    match action {
        Action::CreateFile => files::create(&asked).await,
        Action::DeleteFile => files::delete(&asked).await,
        Action::ListFile => files::list(&asked).await,
        Action::CreateSnapshot => snapshots::create(&asked).await,
        Action::DeleteSnapshot => snapshots::delete(&asked).await,
        Action::CancelSnapshot => snapshots::cancel(&asked).await,
        Action::GetFileSnapshotInfo => snapshots::info(&asked).await,
        Action::GetFileSnapshotList => snapshots::list(&asked).await,
        Action::Clone => clones::clone(&asked).await,
        Action::Recover => clones::recover(&asked).await,
        Action::Flatten => clones::flatten(&asked).await,
        Action::GetCloneTasks => tasks::of_user(&asked).await,
        Action::GetCloneTaskList => tasks::list(&asked).await,
        Action::CleanCloneTask => tasks::clean(&asked).await,
        Action::GetCloneRefStatus => clones::references(&asked).await,
    }
}

/// Gives an answer the content type of its request, and reads away the body that nobody wants.
fn finish(response: &mut Response, parts: &request::Parts, incoming: Incoming, shutdown: CancellationToken) {
    let content_type = parts.headers.get(CONTENT_TYPE).cloned();
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    // Over HTTP/2 a stream is closed, never the connection that others share.
    if !incoming.is_left_open() && parts.version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    incoming.linger(shutdown);
}

/// Names a volume by its path.
#[expect(clippy::unnecessary_wraps, reason = "a message in a message is always an option")]
fn at(path: &str) -> Option<VolumeName> {
    Some(VolumeName { path: path.to_owned(), ..VolumeName::default() })
}
