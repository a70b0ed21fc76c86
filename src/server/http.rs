//! The HTTP port: the gateway, and what operators ask for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use crate::auth::Authenticator;
use crate::telemetry::{NewRequestId, REQUEST_ID, drop_odd_request_id, measure_http};

/// Says whether requests can be served, or why not.
pub(super) type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What the operators' routes need.
#[derive(Clone)]
struct Operations {
    metrics: PrometheusHandle,
    readiness: Readiness,
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
pub(super) fn router(gateway: Router, metrics: PrometheusHandle, readiness: Readiness) -> Router {
    let operations = Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(Operations { metrics, readiness });
    around(gateway.merge(operations))
}

/// All routes of the restic port.
pub(super) fn restic_router(
    repositories: Router,
    metrics: PrometheusHandle,
    access: MetricsAccess,
    authenticator: Authenticator,
) -> Router {
    let mut operations = Router::new().route("/healthz", get(healthy));
    match access {
        MetricsAccess::Off => {}
        MetricsAccess::Anyone => operations = operations.route("/metrics", get(async move || rendered(&metrics))),
        MetricsAccess::Users { are_private } => {
            let render = move |request: Request| async move {
                let request = request.map(|_| ());
                let user = authenticator.identify(request).await.ok().and_then(|identity| identity.user);
                let may_read = user.is_some_and(|user| !are_private || user == "metrics");
                if may_read { rendered(&metrics) } else { unauthorized() }
            };
            operations = operations.route("/metrics", get(render));
        }
    }
    around(repositories.merge(operations))
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

async fn ready(State(operations): State<Operations>) -> Response {
    match (operations.readiness)().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn render_metrics(State(operations): State<Operations>) -> Response {
    rendered(&operations.metrics)
}

fn rendered(metrics: &PrometheusHandle) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")]).into_response()
}
