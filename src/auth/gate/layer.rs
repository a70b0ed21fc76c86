//! The gate in front of the services.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use pin_project_lite::pin_project;
use steward_proto::access::{self, Access};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::peek::Peeked;
use super::{Passed, hold_back, pass};
use crate::auth::authenticator::is_open;
use crate::auth::rights::Grants;
use crate::auth::{Admission, Trail};

/// Lets only those calls through that their callers may make. It stands behind the [layer](crate::auth::AuthLayer) that
/// knows the caller, and behind the limits, which count what it reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateLayer;

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { inner }
    }
}

/// A service whose callers may do what they ask for.
#[derive(Clone, Debug)]
pub struct Gated<S> {
    inner: S,
}

impl<S> Service<http::Request<Body>> for Gated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Passing<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(grants) = request.extensions().get::<Grants>().cloned() else {
            let refusal = Status::internal("nobody knows the caller").into_http();
            return Passing { state: State::Refused { refusal: Some(refusal) } };
        };
        let admission = admission(&request);
        if grants.are_everything() {
            grants.note_admission();
            admission.give();
            let answering = self.inner.call(noting(request, grants.trail()));
            return Passing { state: State::Answering { answering, access: None, grants } };
        }
        // The one that is ready has to be the one that is called.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let asked = grants.clone();
        let asking = Box::pin(async move { pass(request, &asked).await });
        Passing { state: State::Asking { asking, admission, inner, grants } }
    }
}

pin_project! {
    /// A call on its way through the gate.
    pub struct Passing<S: Service<http::Request<Body>>> {
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, F> {
        Refused { refusal: Option<http::Response<Body>> },
        Asking { asking: BoxFuture<'static, Result<Passed, Status>>, admission: Admission, inner: S, grants: Grants },
        Answering { #[pin] answering: F, access: Option<&'static Access>, grants: Grants },
    }
}

impl<S> Future for Passing<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                // Nobody asks twice.
                Projected::Refused { refusal } => return Poll::Ready(Ok(refusal.take().unwrap_or_default())),
                Projected::Asking { asking, admission, inner, grants } => {
                    let (request, access) = match ready!(asking.as_mut().poll(cx)) {
                        Ok(passed) => passed,
                        Err(status) => return Poll::Ready(Ok(status.into_http())),
                    };
                    grants.note_admission();
                    admission.give();
                    State::Answering { answering: inner.call(request), access, grants: grants.clone() }
                }
                Projected::Answering { answering, access, grants } => {
                    let response = ready!(answering.poll(cx))?;
                    return Poll::Ready(Ok(shown(response, *access, grants)));
                }
            };
            state.set(next);
        }
    }
}

/// The answer, unless it has to be held back. What is a refusal anyway is told as it is.
fn shown(response: http::Response<Body>, access: Option<&Access>, grants: &Grants) -> http::Response<Body> {
    let is_refusal = response.headers().contains_key(Status::GRPC_STATUS);
    match hold_back(access, grants) {
        Err(status) if !is_refusal => status.into_http(),
        Ok(()) | Err(_) => response,
    }
}

/// The same request. Of a call that is recorded it is noted what it is about, since nobody asks.
fn noting(request: http::Request<Body>, trail: &Trail) -> http::Request<Body> {
    let access = trail.is_kept().then(|| access::find(request.uri().path())).flatten();
    match access.and_then(|access| access.needs.first()) {
        Some(need) => request.map(|body| Body::new(Peeked::new(body, need.resource, trail.clone()))),
        None => request,
    }
}

/// Where it is noted that the call was let through. That of one which anybody may make is noted nowhere.
fn admission(request: &http::Request<Body>) -> Admission {
    let of_connection = request.extensions().get().filter(|_| !is_open(request.uri().path()));
    of_connection.cloned().unwrap_or_default()
}
