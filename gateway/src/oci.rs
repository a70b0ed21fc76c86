//! The distribution protocol of the OCI, version 1.1: images under `/v2/`.
//!
//! Quirk: an image is in a repository of a project, so a name has three components at least.
//! Quirk: a manifest is answered as it was pushed, whatever `Accept` says: clients name it in any number of header lines,
//! and a registry that converts would change the digest.
//! Quirk: locations are relative to the host, so that they hold behind every proxy.
//! Quirk: a range that makes no sense is 416, as the suite of the specification has it; a client that asked for a part
//! would take the whole for it.

mod blob;
mod list;
mod manifest;
mod path;
mod referrers;
mod refusal;
mod token;
mod upload;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use steward_proto::artifact::v1::ListImagesRequest;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::auth::v1::GetCallerRequest;
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use self::path::Target;
use self::refusal::Refusal;
use crate::body::Unread;
use crate::incoming::Incoming;
use crate::options::Options;
use crate::upstream::{Call, Caller, Channel};

/// For an answer, or for the start of one that is streamed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For an answer once all bytes of an upload are there: they may have to be read again to know their digest.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// How long a manifest may be, in bytes.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// The longest message that is read: a manifest and what is around it.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Serves it.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    let client = ArtifactServiceClient::new(channel.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*rest}", any(serve))
        .route(token::PATH, any(serve_token))
        .with_state(Registry { client, channel, options, shutdown })
}

/// What the handlers need.
#[derive(Clone)]
struct Registry {
    client: ArtifactServiceClient<Channel>,
    channel: Channel,
    options: Options,
    shutdown: CancellationToken,
}

/// A request, without its body.
struct Asked {
    registry: Registry,
    caller: Caller,
    parts: Parts,
}

impl Asked {
    /// Prepares a call for it.
    fn call(&self, rpc: &'static str) -> Call {
        Call::new(rpc, self.caller.clone(), TIMEOUT)
    }

    fn client(&self) -> ArtifactServiceClient<Channel> {
        self.registry.client.clone()
    }

    /// Tells a client that is not known how to get a token. Where a proxy asks who callers are, that is left to it.
    fn challenged(&self, refusal: Refusal, target: &Target) -> Refusal {
        if self.is_named_by_proxy() || !refusal.is_of_unknown() {
            return refusal;
        }
        match token::challenge(self, target) {
            Some(challenge) => refusal.with(WWW_AUTHENTICATE, challenge),
            None => refusal,
        }
    }

    /// Whether a proxy says who callers are.
    fn is_named_by_proxy(&self) -> bool {
        self.registry.options.user_header.is_some()
    }

    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Whether the caller has said a name and a password: then a failure is one of logging in.
    fn has_password(&self) -> bool {
        let scheme = self.header(AUTHORIZATION).and_then(|said| said.split(' ').next());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    }

    /// A header that is there once and is text.
    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

async fn serve(State(registry): State<Registry>, caller: Caller, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let version = parts.version;
    let shutdown = registry.shutdown.clone();
    let mut incoming = Incoming::new(body, &parts, &registry.options);
    let answered = match path::parse(parts.uri.path()) {
        Ok(target) => {
            let asked = Asked { registry, caller, parts };
            let answered = dispatch(&asked, target.clone(), &mut incoming).await;
            answered.map_err(|refusal| asked.challenged(refusal, &target))
        }
        Err(error) => Err(Refusal::of_path(error, &parts.method)),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    let protocol = HeaderName::from_static("docker-distribution-api-version");
    response.headers_mut().insert(protocol, HeaderValue::from_static("registry/2.0"));
    incoming.see_off(&mut response, version, shutdown);
    response
}

async fn serve_token(State(registry): State<Registry>, caller: Caller, parts: Parts, body: Unread) -> Response {
    token::issue(Asked { registry, caller, parts }, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn dispatch(asked: &Asked, target: Target, incoming: &mut Incoming) -> Result<Response, Refusal> {
    match (target, asked.parts.method.clone()) {
        (Target::Base, Method::GET | Method::HEAD) => base(asked).await,
        (Target::Catalog, Method::GET | Method::HEAD) => list::images(asked).await,
        (Target::Tags(name), Method::GET | Method::HEAD) => list::tags(asked, name).await,
        (Target::Referrers(name, digest), Method::GET | Method::HEAD) => referrers::list(asked, name, digest).await,
        (Target::Base | Target::Catalog | Target::Tags(_) | Target::Referrers(..), _) => {
            Err(Refusal::method("GET, HEAD"))
        }
        (Target::Manifest(name, reference), Method::GET) => manifest::get(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::HEAD) => manifest::head(asked, name, reference).await,
        (Target::Manifest(name, reference), Method::PUT) => manifest::put(asked, name, reference, incoming).await,
        (Target::Manifest(name, reference), Method::DELETE) => manifest::delete(asked, name, reference).await,
        (Target::Manifest(..), _) => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
        (Target::Blob(name, digest), Method::GET) => blob::get(asked, name, digest).await,
        (Target::Blob(name, digest), Method::HEAD) => blob::head(asked, name, digest).await,
        (Target::Blob(name, digest), Method::DELETE) => blob::delete(asked, name, digest).await,
        (Target::Blob(..), _) => Err(Refusal::method("GET, HEAD, DELETE")),
        (Target::Uploads(name), Method::POST) => upload::start(asked, name, incoming).await,
        (Target::Uploads(_), _) => Err(Refusal::method("POST")),
        (Target::Upload(upload), Method::PATCH) => upload::append(asked, upload, incoming).await,
        (Target::Upload(upload), Method::PUT) => upload::finish(asked, upload, incoming).await,
        (Target::Upload(upload), Method::GET | Method::HEAD) => upload::status(asked, upload).await,
        (Target::Upload(upload), Method::DELETE) => upload::cancel(asked, upload).await,
        (Target::Upload(_), _) => Err(Refusal::method("GET, HEAD, PATCH, PUT, DELETE")),
    }
}

/// Tells that this is a registry, to those who may know it: clients sign in by this.
async fn base(asked: &Asked) -> Result<Response, Refusal> {
    if asked.is_named_by_proxy() || asked.parts.headers.contains_key(AUTHORIZATION) {
        let call = asked.call("ListImages");
        let request = call.request(ListImagesRequest { page_size: 1, ..ListImagesRequest::default() });
        match call.run(asked.client().list_images(request)).await {
            Ok(_) => {}
            // Whoever may not see the list is known all the same.
            Err(failure) if failure.status().code() == Code::PermissionDenied => {}
            Err(failure) => return Err(failure.into()),
        }
    } else {
        // Clients sign in only if they are asked here, so this call is one that strangers may not make, whatever they may
        // see. Only the server knows whether it asks anybody.
        let call = asked.call("GetCaller");
        let mut client = RightsServiceClient::new(asked.registry.channel.clone());
        call.run(client.get_caller(call.request(GetCallerRequest {}))).await?;
    }
    Ok(json("application/json", &serde_json::Map::new()))
}

/// Answers `value` as JSON.
fn json(content_type: &'static str, value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value).expect("texts, numbers and lists are always JSON");
    (StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response()
}

/// A header of something that a service has said. A text that cannot be one is left out.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
