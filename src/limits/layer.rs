//! Lets calls through as far as the limits of their callers allow. It stands behind the layer that knows the caller.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use steward_gateway::{Chunks, Direct, Pieces};
use tonic::body::Body;
use tower::{Layer, Service};

use super::admission::Limits;
use super::answer::{self, Answer};
use super::call::Call;
use super::refusal::Refusal;
use super::upload::{self, Counting, Upload};

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
    S: Service<http::Request<Upload>, Response = http::Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self.limits.admit(request.extensions().get()) {
            Ok(Some(call)) => counted(&mut self.inner, request, call),
            Ok(None) => Answering::Passed {
                answering: self.inner.call(request.map(Upload::uncounted)),
                call: None,
                download: None,
            },
            Err(refusal) => Answering::Refused { refusal },
        }
    }
}

/// Makes a call of which all that it takes up is counted.
fn counted<S>(inner: &mut S, request: http::Request<Body>, call: Arc<Call>) -> Answering<S::Future>
where
    S: Service<http::Request<Upload>, Response = http::Response<Body>>,
{
    let mut counting = Counting::Messages;
    if let Some(direct) = request.extensions().get::<Direct<Chunks>>()
        && let Some(chunks) = direct.take()
    {
        direct.leave(upload::direct(chunks, &call));
        counting = Counting::Nothing;
    }
    let download = request.extensions().get::<Direct<Pieces>>().filter(|_| call.is_limited()).cloned();
    let answering = inner.call(request.map(|body| Upload::of(body, &call, counting)));
    Answering::Passed { answering, call: Some(call), download }
}

pin_project! {
    /// A call on its way through the limits.
    #[project = Projected]
    pub enum Answering<F> {
        Refused { refusal: Refusal },
        Passed { #[pin] answering: F, call: Option<Arc<Call>>, download: Option<Direct<Pieces>> },
    }
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<http::Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Refused { refusal } => Poll::Ready(Ok(refusal.status().into_http())),
            Projected::Passed { answering, call, download } => {
                let response = ready!(answering.poll(cx))?;
                Poll::Ready(Ok(match call.take() {
                    Some(call) => answered(response, call, download.take()),
                    None => response,
                }))
            }
        }
    }
}

/// The answer of a call that is counted, as its caller gets it.
fn answered(response: http::Response<Body>, call: Arc<Call>, download: Option<Direct<Pieces>>) -> http::Response<Body> {
    call.answered();
    if let Some(refusal) = call.refusal().filter(|_| has_failed(&response)) {
        return refusal.status().into_http();
    }
    if let Some(direct) = download
        && let Some(pieces) = direct.take()
    {
        direct.leave(answer::direct(pieces, Arc::clone(&call)));
    }
    if call.is_limited() { response.map(|body| Body::new(Answer::of(body, call))) } else { response }
}

/// What the service itself answers tells less than that there was no room.
fn has_failed(response: &http::Response<Body>) -> bool {
    response.headers().get("grpc-status").is_some_and(|status| status != "0")
}
