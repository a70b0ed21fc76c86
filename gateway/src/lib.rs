//! Steward's HTTP gateway: the documented legacy APIs, translated into gRPC calls.
//!
//! Every module decodes the requests of one legacy API, calls the gRPC service of that area once, and encodes the
//! answer byte for byte as the API documents it. The gateway keeps no state and decides nothing: what it needs to know
//! it asks. It depends on `steward-proto` alone, so it works over any channel: in the server's own process, or over
//! the network.
//!
//! - `go` reads and writes what Go's standard library would, for the APIs that were served by it.
//! - `upstream` is the channel: the time limit and the caller of a call, and what an error means.
//! - `direct` is how bytes get past it, where the services are in the same process; `feed` and `content` are how they
//!   come from a body and become one.
//! - `answer`, `body`, `incoming` and `range` are what the APIs answer and read alike.
//! - `locks` is the API of cluster-wide locks on image layers.
//! - `restic` is restic's REST backend: backup repositories.
//! - `envelope` is how the APIs of artifacts answer.
//! - `oci` is the distribution protocol of the OCI: images; `blobs` is what it reads bytes by, as `files` does.
//! - `files` is generic files by path, `repositories` the projects and repositories that they and images are in.
//! - `replication` is the API of distribution tasks.
//! - `transcode` is the API of a farm of transcoding workers.
//! - `volumes` is the API of block volumes, snapshots and clones, by query strings.
//!
//! A further API is a further module with a `router` that is merged in [`router`].

mod answer;
mod blobs;
mod body;
mod content;
mod direct;
mod envelope;
mod feed;
mod files;
mod go;
mod incoming;
mod locks;
mod oci;
mod options;
mod peer;
mod range;
mod replication;
mod repositories;
mod restic;
mod transcode;
mod upstream;
mod volumes;

use axum::body::HttpBody;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderName, Method, Uri};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::client::GrpcService;

pub use direct::{Chunks, Direct, Pieces};
pub use options::{
    AbsentSuccess, ArtifactOptions, ListShape, Options, PathStyle, TranscodeOptions, VolumeMessages, VolumeOptions,
};
pub use peer::{CallerNote, ClientAddress, ClientUser, Peer, network};

/// Serves all legacy APIs by calls over `upstream`, and Go's 404 for every other path; below `/api`, a 404 as JSON.
///
/// Answers that do not end by themselves, such as event streams, are cut off when `shutdown` is cancelled. A header
/// `x-request-id` of a request is passed on with its call, and so are its credentials and what says where it comes from:
/// `authorization`, `x-forwarded-for`, the header of [`Options::user_header`], and the extensions [`Peer`] and
/// [`ClientUser`]. By the extension [`ClientAddress`] clients share the memory of bodies that are read whole.
pub fn router<C>(upstream: C, options: Options, shutdown: CancellationToken) -> Router
where
    C: GrpcService<Body> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<tonic::codegen::StdError> + Send,
{
    let (channel, room) = (upstream::erase(upstream), body::Room::new(options.whole_body_bytes));
    let inferring = locks::router(channel.clone(), AbsentSuccess::Infer, shutdown.clone());
    let router = Router::new()
        .merge(locks::router(channel.clone(), options.absent_success, shutdown.clone()))
        .nest("/infer", inferring)
        .merge(transcode::router(channel.clone(), options.clone(), shutdown.clone()))
        .merge(volumes::router(channel.clone(), options.clone(), shutdown.clone()))
        .merge(oci::router(channel.clone(), options.clone(), shutdown.clone()))
        .merge(files::router(channel.clone(), options.clone(), shutdown.clone()))
        .merge(repositories::router(channel.clone(), &options))
        .merge(replication::router(channel.clone(), &options, shutdown.clone()))
        // It has the fallback too: what looks like one of its paths can only be told from a typing error there.
        .merge(restic::shared_router(channel, options.clone(), shutdown));
    with_user_header(router.layer(Extension(room)), options.user_header)
}

/// Serves backup repositories alone by calls over `upstream`: every path is a repository or something in one.
///
/// It stands in for rest-server, on a port of its own. What holds for [`router`] holds here.
pub fn restic_router<C>(upstream: C, options: Options, shutdown: CancellationToken) -> Router
where
    C: GrpcService<Body> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<tonic::codegen::StdError> + Send,
{
    let user_header = options.user_header.clone();
    with_user_header(restic::router(upstream::erase(upstream), options, shutdown), user_header)
}

/// Whether a request may change something. That of volumes does so by any method, and so does a cluster that is tried, or
/// a node that looks at its lock.
pub fn may_change(method: &Method, uri: &Uri) -> bool {
    let path = uri.path();
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || volumes::is_service(path)
        || path == "/replication/api/cluster/tryConnect"
        || locks::may_claim(path.strip_prefix("/infer").unwrap_or(path), uri.query().unwrap_or_default())
}

/// Calls pass this header on.
fn with_user_header(router: Router, name: Option<HeaderName>) -> Router {
    match name {
        Some(name) => router.layer(Extension(upstream::UserHeader(name))),
        None => router,
    }
}
