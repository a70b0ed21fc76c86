//! The REST backend API of restic, version 2 and on request version 1: backup repositories of encrypted objects.
//!
//! Quirk: restic accepts nothing but 200 as the success of anything that it writes or lists.
//! Quirk: the root repository shares its port with the other APIs, so named repositories are below `/restic/` there; on
//! a port of their own, as rest-server has it, every path is a repository.
//! Quirk: a wrong path is 400, and on the shared port Go's 404 when it cannot be told from another API's.
//! Quirk: no answer has an entity tag, a time of modification or the name of a server: restic takes an empty list for a
//! broken one when the server's name is rclone.

mod download;
mod gzip;
mod list;
mod listing;
mod object;
mod path;
mod refusal;
mod repository;
mod upload;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::CONNECTION;
use http::request::Parts;
use http::{Method, Version};
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tokio_util::sync::CancellationToken;

use self::path::Target;
use self::refusal::Refusal;
use crate::answer::NOT_FOUND;
use crate::incoming::Incoming;
use crate::options::Options;
use crate::upstream::{Caller, Channel};

/// For an answer, or for the start of one that is streamed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest message that is read: a part of a download or of a list.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// The routes of a port that serves other APIs too; what is no route of theirs either gets to the fallback. They are
/// apart only so that they can be measured apart.
const SHARED_ROUTES: [&str; 15] = [
    "/",
    "/config",
    "/data/",
    "/data/{*name}",
    "/index/",
    "/index/{*name}",
    "/keys/",
    "/keys/{*name}",
    "/locks/",
    "/locks/{*name}",
    "/snapshots/",
    "/snapshots/{*name}",
    "/restic",
    "/restic/",
    "/restic/{*path}",
];

/// Serves the root repository at `/`, the others below `/restic/`, and Go's 404 for what no API has.
pub(crate) fn shared_router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    let routes = SHARED_ROUTES.iter().fold(Router::new(), |router, route| router.route(route, any(serve_shared)));
    routes.fallback(serve_shared).with_state(Restic::new(channel, options, shutdown))
}

/// Serves repositories alone, of any depth.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/", any(serve))
        .route("/{*path}", any(serve))
        .fallback(serve)
        .with_state(Restic::new(channel, options, shutdown))
}

/// What the handlers need.
#[derive(Clone)]
struct Restic {
    client: ObjectServiceClient<Channel>,
    options: Options,
    shutdown: CancellationToken,
}

impl Restic {
    fn new(channel: Channel, options: Options, shutdown: CancellationToken) -> Self {
        let client = ObjectServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { client, options, shutdown }
    }
}

async fn serve_shared(state: State<Restic>, caller: Caller, request: Request) -> Response {
    match path::parse_shared(request.uri().path()) {
        Some(target) => answer(state.0, caller, target, request).await,
        None => NOT_FOUND.into_response(),
    }
}

async fn serve(state: State<Restic>, caller: Caller, request: Request) -> Response {
    let target = path::parse(request.uri().path());
    answer(state.0, caller, target, request).await
}

async fn answer(restic: Restic, caller: Caller, target: Result<Target, path::Error>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming::new(body, &parts, &restic.options);
    let shutdown = restic.shutdown.clone();
    let answered = match target {
        Ok(target) => dispatch(restic, caller, target, &parts, &mut incoming).await,
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|refusal| {
        let refusal = if incoming.is_left_open() { refusal } else { refusal.closing() };
        incoming.linger(shutdown);
        let mut response = refusal.into_response();
        if parts.version > Version::HTTP_11 {
            // There a stream is closed, never the connection that others share.
            response.headers_mut().remove(CONNECTION);
        }
        response
    })
}

async fn dispatch(
    restic: Restic,
    caller: Caller,
    target: Target,
    parts: &Parts,
    incoming: &mut Incoming,
) -> Result<Response, Refusal> {
    match (target, &parts.method) {
        (Target::Repository(path), &Method::POST) => {
            repository::create(restic, caller, path, parts.uri.query().unwrap_or_default()).await
        }
        (Target::Repository(path), &Method::DELETE) => repository::delete(restic, caller, path).await,
        // As rest-server says it. DELETE has its own answer, but nobody should be told to try.
        (Target::Repository(_), _) => Err(Refusal::method("POST")),
        (Target::List(repository, r#type), &Method::GET) => {
            list::list(restic, caller, repository, r#type, &parts.headers).await
        }
        (Target::List(..), _) => Err(Refusal::method("GET")),
        (Target::Object(key), &Method::HEAD) => object::head(restic, caller, key).await,
        (Target::Object(key), &Method::GET) => download::get(restic, caller, key, &parts.headers).await,
        (Target::Object(key), &Method::POST) => upload::store(restic, caller, key, &parts.headers, incoming).await,
        (Target::Object(key), &Method::DELETE) => object::delete(restic, caller, key).await,
        (Target::Object(_), _) => Err(Refusal::method("HEAD, GET, POST, DELETE")),
    }
}
