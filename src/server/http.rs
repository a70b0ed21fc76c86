//! The HTTP port: the gateway, and what operators ask for.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use steward_gateway::Peer;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use super::readiness::Readiness;
use crate::audit::Audit;
use crate::auth::Authenticator;
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
        MetricsAccess::Users { are_private } => {
            let render = move |request: Request| async move {
                let address = request.extensions().get::<Peer>().and_then(|peer| peer.0);
                let user = match &authenticator {
                    Some(authenticator) => authenticator.identify(request.map(|_| ())).await.ok(),
                    None => None,
                };
                if user.is_none() {
                    audit.failed_login("Http/Metrics", address);
                }
                let user = user.and_then(|identity| identity.user);
                let may_read = user.is_some_and(|user| !are_private || user == "metrics");
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
