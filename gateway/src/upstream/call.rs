//! One gRPC call: the request id goes with it, and it ends in time.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::request::Parts;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use super::Failure;
use crate::answer::PlainError;

const REQUEST_ID: &str = "x-request-id";

/// The id of the HTTP request, when it has one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(REQUEST_ID).cloned()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.as_ref().and_then(|id| id.to_str().ok());
        formatter.write_str(id.unwrap_or("-"))
    }
}

/// A call about to be made on behalf of an HTTP request.
#[derive(Debug)]
pub(crate) struct Call {
    rpc: &'static str,
    request_id: RequestId,
    timeout: Duration,
}

impl Call {
    /// Describes a call of `rpc` that fails unless it is answered within `timeout`.
    pub(crate) fn new(rpc: &'static str, request_id: RequestId, timeout: Duration) -> Self {
        Self { rpc, request_id, timeout }
    }

    /// Wraps a message into a request that carries the request id.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let id = self.request_id.0.as_ref().and_then(|id| MetadataValue::try_from(id.as_bytes()).ok());
        if let Some(id) = id {
            request.metadata_mut().insert(REQUEST_ID, id);
        }
        request
    }

    /// Waits for the answer; of a stream, only for its start. Giving up drops the call, which cancels it.
    pub(crate) async fn run<R>(&self, answer: impl Future<Output = Result<Response<R>, Status>>) -> Result<R, Failure> {
        // The in-process channel enforces no deadlines, so this cannot be left to a `grpc-timeout`.
        let result = match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {:?}", self.timeout))),
        };
        result.map(Response::into_inner).map_err(|status| self.fail(status))
    }

    /// Reports an answer that the contract of the service rules out.
    pub(crate) fn unexpected(&self, answer: &'static str) -> PlainError {
        self.fail(Status::internal(answer)).report()
    }

    fn fail(&self, status: Status) -> Failure {
        Failure::new(self.rpc, self.request_id.clone(), status)
    }
}
