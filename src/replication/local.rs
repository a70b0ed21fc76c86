//! The way to the artifacts of this server: the same service that clients call, in this process.

use std::convert::Infallible;

use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use crate::auth::Grants;

/// A service in this process, its type forgotten.
pub type LocalChannel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// The largest message: a manifest and what is around it.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

/// Calls `services` as nobody in particular, who may do everything.
pub fn local_channel<S>(services: S) -> LocalChannel
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let called = services.map_request(|mut request: http::Request<Body>| {
        request.extensions_mut().insert(Grants::everything());
        request
    });
    BoxCloneSyncService::new(called.map_err(|never| match never {}))
}

/// A client of the artifact service over a channel.
pub(super) fn artifacts(channel: LocalChannel) -> ArtifactServiceClient<LocalChannel> {
    ArtifactServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}
