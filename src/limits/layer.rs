//! Lets calls through as far as the limits of their callers allow. It stands behind the layer that knows the caller.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either};
use steward_gateway::{Chunks, Direct, Pieces};
use tonic::body::Body;
use tower::{Layer, Service};

use super::admission::Limits;
use super::answer::{self, Answer};
use super::call::Call;
use super::upload::{self, Counting, Upload};
use crate::auth::Grants;

/// Puts limits on calls.
#[derive(Clone)]
pub struct LimitLayer {
    limits: Limits,
}

impl LimitLayer {
    /// These.
    pub fn new(limits: Limits) -> Self {
        LimitLayer { limits }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited { inner, limits: self.limits.clone() }
    }
}

/// A service whose calls are limited.
#[derive(Clone)]
pub struct Limited<S> {
    inner: S,
    limits: Limits,
}

impl<S> Service<http::Request<Body>> for Limited<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    /// What is not counted is left alone.
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self.limits.admit(request.extensions().get().map(Grants::caller)) {
            Ok(None) => Either::Left(self.inner.call(request)),
            Ok(Some(call)) => Either::Right(Box::pin(counted(&mut self.inner, request, call))),
            Err(refusal) => Either::Right(Box::pin(async move { Ok(refusal.status().into_http()) })),
        }
    }
}

/// Makes a call of which all that it takes up is counted.
fn counted<S>(
    inner: &mut S,
    request: http::Request<Body>,
    call: Arc<Call>,
) -> impl Future<Output = Result<S::Response, S::Error>> + Send + use<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + 'static,
    S::Future: Send + 'static,
{
    let mut counting = Counting::Messages;
    if let Some(direct) = request.extensions().get::<Direct<Chunks>>()
        && let Some(chunks) = direct.take()
    {
        direct.leave(upload::direct(chunks, &call));
        counting = Counting::Nothing;
    }
    let download = request.extensions().get::<Direct<Pieces>>().filter(|_| call.is_limited()).cloned();
    let answering = inner.call(request.map(|body| Body::new(Upload::of(body, &call, counting))));
    async move {
        let response = answering.await?;
        call.answered();
        if let Some(refusal) = call.refusal().filter(|_| has_failed(&response)) {
            return Ok(refusal.status().into_http());
        }
        if let Some(direct) = download
            && let Some(pieces) = direct.take()
        {
            direct.leave(answer::direct(pieces, Arc::clone(&call)));
        }
        Ok(if call.is_limited() { response.map(|body| Body::new(Answer::of(body, call))) } else { response })
    }
}

/// What the service itself answers tells less than that there was no room.
fn has_failed(response: &http::Response<Body>) -> bool {
    response.headers().get("grpc-status").is_some_and(|status| status != "0")
}
