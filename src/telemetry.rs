//! Logs, metrics and request ids.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tower_http::request_id::{MakeRequestId, RequestId};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// The header and metadata key of request ids.
pub const REQUEST_ID: &str = "x-request-id";

/// Borders of the latency histograms, in seconds.
const LATENCY_BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Starts logging to standard error.
pub fn start_logging(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| format!("log.filter: {error}"))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Starts measuring. The handle renders what was measured in the text form of Prometheus.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_BUCKETS)
        .map_err(|error| error.to_string())?;
    let handle = builder.install_recorder().map_err(|error| error.to_string())?;
    describe();
    Ok(handle)
}

/// How often what was measured is put into its histograms; until then each measurement takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the measurements small until shutdown.
pub async fn keep_up(metrics: PrometheusHandle, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(UPKEEP_INTERVAL)).await.is_some() {
        metrics.run_upkeep();
    }
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("steward_grpc_requests_total", "Calls by method and gRPC code.");
    describe_histogram!("steward_grpc_request_seconds", "Time until a call is answered, or a stream begins.");
    describe_counter!("steward_http_requests_total", "Requests by method, route and status.");
    describe_histogram!("steward_http_request_seconds", "Time until a request is answered, or a stream begins.");
    describe_gauge!("steward_http_connections", "Open connections, by port.");
    describe_counter!("steward_tls_handshake_failures_total", "Connections that ended before they were encrypted.");
    describe_counter!("steward_access_log_dropped_total", "Lines that the access log could not keep up with.");
    describe_counter!(
        "steward_auth_failures_total",
        "Logins with a wrong user name or password, and tokens that were refused."
    );
    describe_counter!("steward_limits_refused_total", "Calls that a limit refused, by the limit and whose it is.");
    describe_gauge!(
        "steward_limits_calls",
        "Calls and streams that are open of those whom a limit holds for, by scope."
    );
    describe_gauge!("steward_limits_bytes", "Bytes under way that a limit counts, by scope; of the server: in memory.");
    describe_counter!("steward_audit_entries_total", "Entries of the audit that were written.");
    describe_counter!("steward_audit_lost_total", "Entries of the audit for which there was no room.");
    describe_counter!("steward_audit_failures_total", "Failures to write or sync the audit log.");
    describe_counter!("steward_audit_late_total", "Answers that did not wait any longer for their entry.");
    describe_gauge!("steward_lock_held", "Grants that live.");
    describe_gauge!("steward_lock_waiting", "Owners in the queues of locks.");
    describe_counter!("steward_lock_expired_total", "Grants that ended by time.");
    describe_counter!("steward_store_commits_total", "Durable transactions.");
    describe_counter!("steward_store_flushes_total", "Flushes; each makes a group of transactions durable.");
    describe_histogram!("steward_store_flush_seconds", "Time to write and flush one group.");
    describe_histogram!("steward_engine_run_seconds", "Time of one activation, by engine.");
    describe_gauge!("steward_engine_last_run_timestamp_seconds", "When an engine was last active, by engine.");
    describe_counter!("steward_engine_errors_total", "Failed activations, by engine.");
    describe_gauge!("steward_restic_objects", "Objects, by repository.");
    describe_gauge!("steward_restic_bytes", "Bytes of objects, by repository.");
    describe_gauge!("steward_restic_deleted_bytes", "Bytes that are deleted and can be restored, by repository.");
    describe_gauge!("steward_restic_last_snapshot_timestamp_seconds", "When the newest snapshot arrived, or 0.");
    describe_counter!("steward_restic_refusals_total", "Refused requests, by repository and reason.");
    describe_counter!("rest_server_blob_write_total", "Objects that were stored, by user, repository and type.");
    describe_counter!("rest_server_blob_write_bytes_total", "Bytes of objects that were stored.");
    describe_counter!("rest_server_blob_read_total", "Objects that were read, whole or in part.");
    describe_counter!("rest_server_blob_read_bytes_total", "Bytes of objects that were read.");
    describe_counter!("rest_server_blob_delete_total", "Objects that were deleted.");
    describe_counter!("rest_server_blob_delete_bytes_total", "Bytes of objects that were deleted.");
    metrics::counter!("steward_auth_failures_total").increment(0);
    metrics::counter!("steward_lock_expired_total").increment(0);
    metrics::counter!("steward_store_commits_total").increment(0);
    metrics::counter!("steward_store_flushes_total").increment(0);
}

/// Gives a request an id, unless it brought one that is fit to be logged.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok().map(RequestId::new)
    }
}

/// The longest request id of a caller that is taken over.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Whether a request id can stand in a line of a log without being taken for more than an id.
fn is_plain_id(id: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(byte);
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
}

/// Drops a request id that is too long or has odd characters, so that a new one is made.
pub fn drop_odd_request_id<B>(mut request: http::Request<B>) -> http::Request<B> {
    let is_odd = |id: &HeaderValue| !is_plain_id(id);
    if request.headers().get(REQUEST_ID).is_some_and(is_odd) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Measures the requests of the HTTP router by route.
pub async fn measure_http(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |p| p.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("steward_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("steward_http_request_seconds", "method" => method, "route" => route).record(started.elapsed());
    response
}

/// The method, or one word for all that nobody has heard of: labels from outside have to be few.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_cannot_be_taken_for_more_are_taken_over() {
        for (id, is_kept) in [
            ("pull-77", true),
            ("aZ09._:/+=@-", true),
            (&"a".repeat(128), true),
            (&"a".repeat(129), false),
            ("", false),
            ("a user=root", false),
            ("a\tb", false),
            ("a\"b", false),
            ("a,b", false),
        ] {
            let request = http::Request::builder().header(REQUEST_ID, id).body(()).expect("a request");
            assert_eq!(drop_odd_request_id(request).headers().contains_key(REQUEST_ID), is_kept, "{id:?}");
        }
    }
}
