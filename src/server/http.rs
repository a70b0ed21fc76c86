//! The HTTP port: the gateway, and what operators ask for.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use steward_gateway::{ClientUser, Peer};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use super::readiness::Readiness;
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::auth::rights::{Area, Right};
use crate::telemetry::{NewRequestId, REQUEST_ID, drop_odd_request_id, measure_http};

/// What the operators' routes need.
pub(super) struct Operations {
    /// The metrics.
    pub(super) metrics: PrometheusHandle,
    /// Who may read them.
    pub(super) access: MetricsAccess,
    /// Who knows the users; without one nobody is a user.
    pub(super) authenticator: Option<Authenticator>,
    /// Where failed logins are noted.
    pub(super) audit: Audit,
    /// Whether requests can be served.
    pub(super) readiness: Readiness,
}

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

/// All routes of the HTTP port.
pub(super) fn router(gateway: Router, operations: Operations) -> Router {
    let Operations { metrics, access, authenticator, audit, readiness } = operations;
    let ready = get(move || answer_readiness(readiness.clone()));
    let routes =
        metrics_router(metrics, access, authenticator, audit).route("/healthz", get(healthy)).route("/readyz", ready);
    around(gateway.merge(routes))
}

/// All routes of the restic port.
pub(super) fn restic_router(
    repositories: Router,
    metrics: PrometheusHandle,
    access: MetricsAccess,
    authenticator: Option<Authenticator>,
) -> Router {
    let operations = metrics_router(metrics, access, authenticator, Audit::off()).route("/healthz", get(healthy));
    around(repositories.merge(operations))
}

fn metrics_router(
    metrics: PrometheusHandle,
    access: MetricsAccess,
    authenticator: Option<Authenticator>,
    audit: Audit,
) -> Router {
    let routes = Router::new();
    match access {
        MetricsAccess::Off => routes,
        MetricsAccess::Anyone => routes.route("/metrics", get(async move || rendered(&metrics))),
        MetricsAccess::Local => {
            let render = move |request: Request| async move {
                if is_local(&request) { rendered(&metrics) } else { StatusCode::FORBIDDEN.into_response() }
            };
            routes.route("/metrics", get(render))
        }
        MetricsAccess::Users { .. } | MetricsAccess::Readers => {
            let needed = (access == MetricsAccess::Readers).then_some(Right::Read);
            let are_private = access == MetricsAccess::Users { are_private: true };
            let render = move |request: Request| async move {
                let address = request.extensions().get::<Peer>().and_then(|peer| peer.0);
                let Some(authenticator) = &authenticator else { return unauthorized() };
                let Ok(identity) = authenticator.identify(request.map(|_| ())).await else {
                    audit.failed_login("Http/Metrics", address);
                    return unauthorized();
                };
                let is_metrics = identity.user.as_deref() == Some("metrics");
                let is_user = identity.user.is_some() && (!are_private || is_metrics);
                let may_read = match needed {
                    None => is_user,
                    Some(right) => authenticator.grants(identity).await.allow(Area::Admin, right, "metrics"),
                };
                if may_read { rendered(&metrics) } else { unauthorized() }
            };
            routes.route("/metrics", get(render))
        }
    }
}

/// What all requests pass: a request id, a measurement, and an answer even when a handler panics.
fn around(routes: Router) -> Router {
    let request_id = HeaderName::from_static(REQUEST_ID);
    routes.layer(
        ServiceBuilder::new()
            .map_request(drop_odd_request_id::<axum::body::Body>)
            .layer(SetRequestIdLayer::new(request_id.clone(), NewRequestId))
            .layer(PropagateRequestIdLayer::new(request_id))
            .layer(axum::middleware::from_fn(measure_http))
            .layer(CatchPanicLayer::new()),
    )
}

fn is_local(request: &Request) -> bool {
    let is_of_this_machine = match request.extensions().get() {
        Some(Peer(Some(address))) => address.to_canonical().is_loopback(),
        Some(Peer(None)) => true,
        None => false,
    };
    // A proxy on this machine asks for others.
    let is_for_others = ["x-forwarded-for", "forwarded"].iter().any(|name| request.headers().contains_key(*name));
    (is_of_this_machine && !is_for_others) || request.extensions().get::<ClientUser>().is_some()
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn answer_readiness(readiness: Readiness) -> Response {
    match readiness().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => {
            tracing::warn!(reason, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
        }
    }
}

fn rendered(metrics: &PrometheusHandle) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")]).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_this_machine_and_certificates_are_local() {
        let ask = |peer: Option<Peer>, header: Option<&str>, certificate: bool| {
            let mut request = Request::new(Body::empty());
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
    }
}
