//! Asks every call who its caller is, before anything of it is read.

use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either};
use http::header::AUTHORIZATION;
use steward_gateway::CallerNote;
use tonic::body::Body;
use tower::{Layer, Service};

use super::rights::Grants;
use super::vouch::VOUCHED_IDENTITY;
use super::{Authenticator, Trail};

/// Lets only those calls through whose caller is known or need not be. Whether the caller may make them is asked by the
/// [gate](super::GateLayer) behind it.
#[derive(Clone, Debug)]
pub struct AuthLayer {
    authenticator: Authenticator,
}

impl AuthLayer {
    /// Asks as `authenticator` says.
    pub fn new(authenticator: Authenticator) -> Self {
        AuthLayer { authenticator }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticated { inner, authenticator: self.authenticator.clone() }
    }
}

/// A service whose requests have [`Grants`](super::rights::Grants) among their extensions.
#[derive(Clone, Debug)]
pub struct Authenticated<S> {
    inner: S,
    authenticator: Authenticator,
}

impl<S> Service<http::Request<Body>> for Authenticated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    /// Mostly the caller is known at once.
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let claim = self.authenticator.read(&request);
        // What nobody behind has, nobody behind can tell.
        request.headers_mut().remove(AUTHORIZATION);
        request.headers_mut().remove(VOUCHED_IDENTITY);
        let note = request.extensions().get::<CallerNote>().cloned();
        if let Some(note) = &note {
            // Known even of those who are refused, so that the log does not name the proxy for them.
            note.write_address(claim.address);
        }
        let trail = request.extensions().get::<Trail>().cloned().unwrap_or_default();
        claim.leave(&trail);
        let claim = match self.authenticator.grants_at_once(claim, &trail) {
            Ok(grants) => return Either::Left(self.inner.call(admitted(request, note.as_ref(), grants))),
            Err(claim) => claim,
        };
        let authenticator = self.authenticator.clone();
        // The one that is ready has to be the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Either::Right(Box::pin(async move {
            let identity = match authenticator.check(claim).await {
                Ok(identity) => identity,
                Err(failure) => return Ok(tonic::Status::from(failure).into_http()),
            };
            let grants = authenticator.grants_noting(identity, trail).await;
            inner.call(admitted(request, note.as_ref(), grants)).await
        }))
    }
}

/// The request of a caller who is known, with what they may do: services find both out from it.
fn admitted(mut request: http::Request<Body>, note: Option<&CallerNote>, grants: Grants) -> http::Request<Body> {
    let user = &grants.caller().user;
    if let Some(note) = note {
        note.write_user(user.clone());
    }
    grants.trail().write_user(user.as_deref());
    request.extensions_mut().insert(grants);
    request
}

#[cfg(test)]
mod tests;
