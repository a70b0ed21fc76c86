//! The gate in front of the services.

use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{hold_back, pass};
use crate::auth::Admission;
use crate::auth::authenticator::is_open;
use crate::auth::rights::Grants;

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
    /// Who may do everything is not asked.
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(grants) = request.extensions().get::<Grants>().cloned() else {
            return Either::Right(Box::pin(async { Ok(Status::internal("nobody knows the caller").into_http()) }));
        };
        let admission = admission(&request);
        if grants.are_everything() {
            grants.note_admission();
            admission.give();
            return Either::Left(self.inner.call(request));
        }
        // The one that is ready has to be the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Either::Right(Box::pin(async move {
            let (request, access) = match pass(request, &grants).await {
                Ok(passed) => passed,
                Err(status) => return Ok(status.into_http()),
            };
            grants.note_admission();
            admission.give();
            let response = inner.call(request).await?;
            let is_answer = !response.headers().contains_key(Status::GRPC_STATUS);
            match hold_back(access, &grants) {
                Err(status) if is_answer => Ok(status.into_http()),
                Ok(()) | Err(_) => Ok(response),
            }
        }))
    }
}

/// Where it is noted that the call was let through. That of one which anybody may make is noted nowhere.
fn admission(request: &http::Request<Body>) -> Admission {
    let of_connection = request.extensions().get().filter(|_| !is_open(request.uri().path()));
    of_connection.cloned().unwrap_or_default()
}
