//! The HTTP port: the gateway, and what operators ask for.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use super::browsers::{self, Browsers};
use super::operators::{Operators, guard_variables};
use super::readiness::Readiness;
use crate::auth::Proxies;
use crate::telemetry::{NewRequestId, REQUEST_ID, drop_odd_request_id, measure_http};

/// What the operators' routes need.
pub(super) struct Operations {
    /// The metrics.
    pub(super) metrics: PrometheusHandle,
    /// Who may read them.
    pub(super) operators: Operators,
    /// Whether requests can be served.
    pub(super) readiness: Readiness,
}

/// All routes of the HTTP port; clients of these proxies are told apart.
pub(super) fn router(gateway: Router, operations: Operations, browsers: Browsers, proxies: Proxies) -> Router {
    let Operations { metrics, operators, readiness } = operations;
    let ready = get(move || answer_readiness(readiness.clone()));
    let gateway = gateway.layer(from_fn_with_state(operators.clone(), guard_variables));
    let gateway = gateway.layer(MapRequestLayer::new(move |request: Request| proxies.note(request)));
    let routes = metrics_router(metrics, operators).route("/healthz", get(healthy)).route("/readyz", ready);
    around(gateway.merge(routes), browsers)
}

/// All routes of the restic port; those of the metrics only if there are any.
pub(super) fn restic_router(
    repositories: Router,
    metrics: Option<(PrometheusHandle, Operators)>,
    browsers: Browsers,
) -> Router {
    let operations = metrics.map_or_else(Router::new, |(metrics, operators)| metrics_router(metrics, operators));
    around(repositories.merge(operations.route("/healthz", get(healthy))), browsers)
}

fn metrics_router(metrics: PrometheusHandle, operators: Operators) -> Router {
    let render = move |request: Request| async move {
        match operators.admit("Http/Metrics", &request.map(|_| ())).await {
            Ok(()) => rendered(&metrics),
            Err(refused) => refused,
        }
    };
    Router::new().route("/metrics", get(render))
}

/// What all requests pass: a request id, a measurement, what is for browsers, and an answer even when a handler panics.
fn around(routes: Router, browsers: Browsers) -> Router {
    let request_id = HeaderName::from_static(REQUEST_ID);
    routes.layer(
        ServiceBuilder::new()
            .map_request(drop_odd_request_id::<axum::body::Body>)
            .layer(SetRequestIdLayer::new(request_id.clone(), NewRequestId))
            .layer(PropagateRequestIdLayer::new(request_id))
            .layer(from_fn(measure_http))
            .layer(from_fn_with_state(browsers, browsers::guard))
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
