//! The HTTP port: the gateway, and what operators ask for.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use crate::telemetry::{NewRequestId, REQUEST_ID, drop_odd_request_id, measure_http};

/// Says whether requests can be served, or why not.
pub(super) type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What the operators' routes need.
#[derive(Clone)]
struct Operations {
    metrics: PrometheusHandle,
    readiness: Readiness,
}

/// All routes of the HTTP port.
pub(super) fn router(gateway: Router, metrics: PrometheusHandle, readiness: Readiness) -> Router {
    let operations = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(Operations { metrics, readiness });
    let request_id = HeaderName::from_static(REQUEST_ID);
    gateway.merge(operations).layer(
        ServiceBuilder::new()
            .map_request(drop_odd_request_id::<axum::body::Body>)
            .layer(SetRequestIdLayer::new(request_id.clone(), NewRequestId))
            .layer(PropagateRequestIdLayer::new(request_id))
            .layer(axum::middleware::from_fn(measure_http))
            .layer(CatchPanicLayer::new()),
    )
}

async fn ready(State(operations): State<Operations>) -> Response {
    match (operations.readiness)().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn render_metrics(State(operations): State<Operations>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], operations.metrics.render()).into_response()
}

/// Serves the routes until shutdown; then what is running is finished.
pub(super) fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> impl Future<Output = io::Result<()>> {
    // Small answers must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).into_future()
}
