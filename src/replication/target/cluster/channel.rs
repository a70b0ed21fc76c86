//! The way to another Steward: gRPC over the same connections that registries are spoken to over.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use super::super::TargetError;
use super::super::connect::{ConnectError, Connector};
use super::super::http::innermost;

/// How often a connection is tried that nothing comes from.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Calls another Steward as a user of it. Clones share the connection.
#[derive(Clone)]
pub(super) struct Channel {
    client: Client<Connector, Body>,
    authorization: Option<HeaderValue>,
}

/// Why a call did not get through.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) TargetError);

impl Channel {
    pub(super) fn new(connector: Connector, authorization: Option<HeaderValue>, patience: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .http2_only(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(patience)
            .build(connector);
        Channel { client, authorization }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<UnsyncBoxBody<bytes::Bytes, Status>>;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = self.client.request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(|error| Broken(broken(&host, &error)))?;
            Ok(answer.map(move |body| {
                body.map_err(move |error| Status::unavailable(format!("{host} broke off: {}", innermost(&error))))
                    .boxed_unsync()
            }))
        })
    }
}

fn broken(host: &str, error: &(dyn std::error::Error + 'static)) -> TargetError {
    match ConnectError::behind(error) {
        Some(error) => error.into(),
        None => TargetError::Unreachable(format!("{host} broke off: {}", innermost(error))),
    }
}
