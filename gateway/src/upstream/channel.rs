//! A gRPC channel whose type is forgotten, so that the handlers need not be generic over it.

use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// The services of this process, or a connection to a server.
pub(crate) type Channel = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// Forgets the type of a channel.
pub(crate) fn erase<C>(upstream: C) -> Channel
where
    C: GrpcService<Body> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    let service = AsService(upstream)
        .map_response(|response| response.map(Body::new))
        .map_err(|error| Status::from_error(error.into()));
    BoxCloneSyncService::new(service)
}

/// tonic asks for its own trait, which every tower service has; tower's tools need the way back.
#[derive(Clone)]
struct AsService<C>(C);

impl<C: GrpcService<Body>> Service<Request<Body>> for AsService<C> {
    type Response = Response<C::ResponseBody>;
    type Error = C::Error;
    type Future = C::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
