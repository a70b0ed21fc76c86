//! The gate in front of the services.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use pin_project_lite::pin_project;
use steward_proto::access::{self, Access};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::peek::Peeked;
use super::{check, declared, hold_back, longest_message, needs_message};
use crate::auth::authenticator::is_open;
use crate::auth::first_message::Reading;
use crate::auth::rights::Grants;
use crate::auth::{Acquaintance, Trail};

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

impl<S, B> Service<http::Request<B>> for Gated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone,
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Passing<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Some(grants) = request.extensions().get::<Grants>().cloned() else {
            return Passing::refused(Status::internal("nobody knows the caller"));
        };
        if grants.are_everything() {
            let request = noting(request, grants.trail());
            return self.passed(request, grants, None);
        }
        match declared(request.uri().path()) {
            Ok(Some(access)) if needs_message(access) => self.ask(request, grants, access),
            Ok(access) => match access.map_or(Ok(()), |access| check(access, &[], &grants)) {
                Ok(()) => self.passed(request.map(Body::new), grants, access),
                Err(status) => Passing::refused(status),
            },
            Err(status) => Passing::refused(status),
        }
    }
}

impl<S> Gated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone,
{
    /// Makes a call that its caller may make.
    fn let_in(&mut self, request: http::Request<Body>, grants: &Grants) -> S::Future {
        grants.note_admission();
        note_admission(&request);
        self.inner.call(request)
    }

    /// The same, of a call of which nothing has to be read before.
    fn passed<B>(
        &mut self,
        request: http::Request<Body>,
        grants: Grants,
        access: Option<&'static Access>,
    ) -> Passing<S, B> {
        let answering = self.let_in(request, &grants);
        Passing { state: State::Answering { answering, access, grants } }
    }

    /// Looks at the message of a call first.
    fn ask<B>(&mut self, request: http::Request<B>, grants: Grants, access: &'static Access) -> Passing<S, B> {
        // The one that is ready has to be the one that is called.
        let clone = self.inner.clone();
        let gate = Gated { inner: std::mem::replace(&mut self.inner, clone) };
        let (head, body) = request.into_parts();
        let reading = Reading::of(body, longest_message(access));
        Passing { state: State::Asking { reading, head: Some(head), access, gate, grants } }
    }
}

pin_project! {
    /// A call on its way through the gate.
    pub struct Passing<S: Service<http::Request<Body>>, B> {
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, F, B> {
        Refused { refusal: Option<http::Response<Body>> },
        Asking { reading: Reading<B>, head: Option<Parts>, access: &'static Access, gate: Gated<S>, grants: Grants },
        Answering { #[pin] answering: F, access: Option<&'static Access>, grants: Grants },
    }
}

impl<S: Service<http::Request<Body>>, B> Passing<S, B> {
    fn refused(status: Status) -> Self {
        Passing { state: State::Refused { refusal: Some(status.into_http()) } }
    }
}

impl<S, B> Future for Passing<S, B>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone,
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin + Send + 'static,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                // Nobody asks twice.
                Projected::Refused { refusal } => return Poll::Ready(Ok(refusal.take().unwrap_or_default())),
                Projected::Asking { reading, head, access, gate, grants } => {
                    let begun = ready!(Pin::new(reading).poll(cx));
                    let begun = begun.and_then(|begun| check(access, begun.message(), grants).map(|()| begun));
                    let (begun, head) = match (begun, head.take()) {
                        (Ok(begun), Some(head)) => (begun, head),
                        // Nobody asks once more behind the end.
                        (Ok(_), None) => return Poll::Ready(Ok(http::Response::default())),
                        (Err(status), _) => return Poll::Ready(Ok(status.into_http())),
                    };
                    let (access, grants) = (Some(*access), grants.clone());
                    let answering = gate.let_in(http::Request::from_parts(head, begun.into_body()), &grants);
                    state.set(State::Answering { answering, access, grants });
                }
                Projected::Answering { answering, access, grants } => {
                    let response = ready!(answering.poll(cx))?;
                    return Poll::Ready(Ok(shown(response, *access, grants)));
                }
            }
        }
    }
}

/// The answer, unless it has to be held back. What is a refusal anyway is told as it is.
fn shown(response: http::Response<Body>, access: Option<&Access>, grants: &Grants) -> http::Response<Body> {
    let is_refusal = |response: &http::Response<Body>| response.headers().contains_key(Status::GRPC_STATUS);
    match hold_back(access, grants) {
        Err(status) if !is_refusal(&response) => status.into_http(),
        Ok(()) | Err(_) => response,
    }
}

/// The same request. Of a call that is recorded it is noted what it is about, since nobody asks.
fn noting<B>(request: http::Request<B>, trail: &Trail) -> http::Request<Body>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin + Send + 'static,
{
    let access = trail.is_kept().then(|| access::find(request.uri().path())).flatten();
    match access.and_then(|access| access.needs.first()) {
        Some(need) => request.map(|body| Body::new(Peeked::new(body, need.resource, trail.clone()))),
        None => request.map(Body::new),
    }
}

/// Notes for its connection that a call is let through. One that anybody may make is noted nowhere.
fn note_admission(request: &http::Request<Body>) {
    let of_connection = request.extensions().get::<Acquaintance>();
    if let Some(acquaintance) = of_connection.filter(|_| !is_open(request.uri().path())) {
        acquaintance.admit();
    }
}
