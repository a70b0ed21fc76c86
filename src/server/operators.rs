//! Who may read what operators ask for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use steward_gateway::{ClientUser, Peer};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::audit::Audit;
use crate::auth::rights::{Area, Right};
use crate::auth::{Authenticator, Trail};
use crate::error::{Category, Failure};

/// Below it are words about the server, for tools of another one.
const VARIABLES: &str = "/vars/";
/// When to try again what the server cannot tell now, in seconds.
const RETRY_SECONDS: u64 = 1;

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Nobody: there are none.
    Off,
    /// Users; where repositories are private, the user `metrics` alone.
    Users {
        /// Whether they are.
        are_private: bool,
    },
    /// Who is on this machine, and who showed a certificate that is trusted.
    Local,
    /// Who has the right to read `metrics` in the area admin.
    Readers,
    /// Anybody.
    Anyone,
}

/// A request without its body.
pub(super) type Head = axum::http::Request<()>;

/// Lets those through who may read what operators ask for.
#[derive(Clone)]
pub(super) struct Operators(Arc<Inner>);

struct Inner {
    access: MetricsAccess,
    authenticator: Option<Authenticator>,
    audit: Audit,
}

impl Operators {
    /// Without an authenticator nobody is a user. Refusals are noted in the audit.
    pub(super) fn new(access: MetricsAccess, authenticator: Option<Authenticator>, audit: Audit) -> Self {
        Operators(Arc::new(Inner { access, authenticator, audit }))
    }

    /// What is answered to who may not read it.
    pub(super) async fn admit(&self, method: &str, head: &Head) -> Result<(), Response> {
        match self.0.access {
            MetricsAccess::Anyone => Ok(()),
            MetricsAccess::Off => Err(StatusCode::NOT_FOUND.into_response()),
            MetricsAccess::Local if is_local(head) => Ok(()),
            MetricsAccess::Local => Err(StatusCode::FORBIDDEN.into_response()),
            MetricsAccess::Users { .. } | MetricsAccess::Readers => self.admit_user(method, head).await,
        }
    }

    async fn admit_user(&self, method: &str, head: &Head) -> Result<(), Response> {
        let Some(authenticator) = &self.0.authenticator else { return Err(unauthorized()) };
        let trail = Trail::kept();
        let may_read = self.may_read(authenticator, head, &trail).await;
        may_read.map_err(|failure| {
            let status = Status::from(failure);
            self.0.audit.refused_read(method, &trail, &status);
            answer(&status)
        })
    }

    async fn may_read(&self, authenticator: &Authenticator, head: &Head, trail: &Trail) -> Result<(), Failure> {
        let identity = authenticator.identify(head, trail).await?;
        let is_metrics = identity.user.as_deref() == Some("metrics");
        match self.0.access {
            MetricsAccess::Users { are_private } if identity.user.is_none() || (are_private && !is_metrics) => {
                Err(Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", "these are another user's"))
            }
            MetricsAccess::Readers => authenticator.grants(identity).await.require(Area::Admin, Right::Read, "metrics"),
            _ => Ok(()),
        }
    }
}

/// Lets nobody else read the words about the server that tools of another one ask for.
pub(super) async fn guard_variables(State(operators): State<Operators>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(VARIABLES) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let head = Head::from_parts(parts, ());
    if let Err(refused) = operators.admit("Http/Variables", &head).await {
        return refused;
    }
    next.run(Request::from_parts(head.into_parts().0, body)).await
}

fn answer(status: &Status) -> Response {
    let code = match status.code() {
        Code::Unauthenticated => return unauthorized(),
        Code::PermissionDenied => return StatusCode::FORBIDDEN.into_response(),
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let seconds = delay.map_or(RETRY_SECONDS, |delay| delay.as_secs().max(RETRY_SECONDS));
    (code, [(header::RETRY_AFTER, seconds.to_string())]).into_response()
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")]).into_response()
}

fn is_local(request: &Head) -> bool {
    let is_of_this_machine = match request.extensions().get() {
        Some(Peer(Some(address))) => address.to_canonical().is_loopback(),
        Some(Peer(None)) => true,
        None => false,
    };
    // A proxy asks for others, on this machine or with a certificate of its own.
    let is_for_others = ["x-forwarded-for", "forwarded"].iter().any(|name| request.headers().contains_key(*name));
    !is_for_others && (is_of_this_machine || request.extensions().get::<ClientUser>().is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn only_this_machine_and_certificates_are_local() {
        let ask = |peer: Option<Peer>, header: Option<&str>, certificate: bool| {
            let mut request = Head::new(());
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            if certificate {
                request.extensions_mut().insert(ClientUser("monitor".into()));
            }
            if let Some(name) = header {
                let name: HeaderName = name.parse().expect("a name");
                request.headers_mut().insert(name, header::HeaderValue::from_static("127.0.0.1"));
            }
            is_local(&request)
        };
        let at = |address: &str| Some(Peer(Some(address.parse().expect("an address"))));
        assert!(ask(at("127.0.0.1"), None, false) && ask(at("::1"), None, false) && ask(Some(Peer(None)), None, false));
        assert!(ask(at("::ffff:127.0.0.1"), None, false));
        assert!(!ask(at("192.0.2.7"), None, false) && !ask(None, None, false));
        assert!(!ask(at("127.0.0.1"), Some("X-Forwarded-For"), false), "a proxy on this machine");
        assert!(!ask(at("192.0.2.7"), Some("X-Forwarded-For"), false), "who only says so");
        assert!(ask(at("192.0.2.7"), None, true));
        for proxy in ["127.0.0.1", "192.0.2.7"] {
            assert!(!ask(at(proxy), Some("X-Forwarded-For"), true), "a proxy with a certificate of its own");
            assert!(!ask(at(proxy), Some("Forwarded"), true), "a proxy with a certificate of its own");
        }
    }

    #[test]
    fn every_failure_has_its_answer() {
        for (failure, status, retry_after) in [
            (Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", ""), 401, None),
            (Failure::new(Category::PermissionDenied, "PERMISSION_DENIED", ""), 403, None),
            (
                Failure::new(Category::ResourceExhausted, "TOO_MANY_ATTEMPTS", "").retry_after(Duration::from_secs(10)),
                429,
                Some("10"),
            ),
            (Failure::new(Category::Unavailable, "ISSUER_UNREACHABLE", ""), 503, Some("1")),
            (Failure::new(Category::Internal, "INTERNAL", ""), 500, None),
        ] {
            let answer = answer(&failure.into());
            let told = answer.headers().get(header::RETRY_AFTER).map(|seconds| seconds.to_str().expect("text"));
            assert_eq!((answer.status().as_u16(), told), (status, retry_after));
            assert_eq!(answer.headers().contains_key(header::WWW_AUTHENTICATE), status == 401);
        }
    }
}
