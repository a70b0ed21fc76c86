//! The gRPC services and what is around each call.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use steward_proto::DESCRIPTORS;
use steward_proto::artifact::v1::artifact_service_server::ArtifactServiceServer;
use steward_proto::audit::v1::audit_service_server::AuditServiceServer;
use steward_proto::auth::v1::registry_token_service_server::RegistryTokenServiceServer;
use steward_proto::auth::v1::rights_service_server::RightsServiceServer;
use steward_proto::auth::v1::secret_service_server::SecretServiceServer;
use steward_proto::auth::v1::token_service_server::TokenServiceServer;
use steward_proto::lock::v1::lock_service_server::LockServiceServer;
use steward_proto::replication::v1::cluster_service_server::ClusterServiceServer;
use steward_proto::replication::v1::replication_service_server::ReplicationServiceServer;
use steward_proto::restic::v1::object_service_server::ObjectServiceServer;
use steward_proto::transcode::v1::library_service_server::LibraryServiceServer;
use steward_proto::transcode::v1::log_service_server::LogServiceServer;
use steward_proto::transcode::v1::task_service_server::TaskServiceServer;
use steward_proto::transcode::v1::video_service_server::VideoServiceServer;
use steward_proto::transcode::v1::worker_service_server::WorkerServiceServer;
use steward_proto::volume::v1::export_service_server::ExportServiceServer;
use steward_proto::volume::v1::operation_service_server::OperationServiceServer;
use steward_proto::volume::v1::policy_service_server::PolicyServiceServer;
use steward_proto::volume::v1::snapshot_service_server::SnapshotServiceServer;
use steward_proto::volume::v1::volume_service_server::VolumeServiceServer;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};

use super::timeout::TimeoutLayer;
use super::{artifacts, methods};
use crate::artifact::ArtifactServer;
use crate::audit::{Audit, AuditLayer, AuditServer};
use crate::auth::{AuthLayer, AuthServer, Authenticator, GateLayer};
use crate::limits::{LimitLayer, Limits};
use crate::lock::LockServer;
use crate::restic::ObjectServer;
use crate::telemetry::{NewRequestId, REQUEST_ID, drop_odd_request_id};
use crate::transcode::FarmServer;
use crate::volume::VolumeServer;

/// The largest message of a caller, in bytes: far more than any request of the areas needs.
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// The largest message of an upload, in bytes: a chunk of 1 MiB and what is around it.
const MAX_CHUNK_BYTES: usize = 1024 * 1024 + 1024;
/// The largest message with a manifest, in bytes: 4 MiB and what is around it.
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
/// The largest message of what anybody may ask, in bytes: the name of a service or of a type.
pub(super) const MAX_OPEN_BYTES: usize = 4 * 1024;

/// The services whose health is told by name.
pub(super) const SERVICES: &[&str] = &[
    "steward.artifact.v1.ArtifactService",
    "steward.auth.v1.RegistryTokenService",
    "steward.auth.v1.RightsService",
    "steward.auth.v1.TokenService",
    "steward.auth.v1.SecretService",
    "steward.audit.v1.AuditService",
    "steward.lock.v1.LockService",
    "steward.replication.v1.ClusterService",
    "steward.replication.v1.ReplicationService",
    "steward.restic.v1.ObjectService",
    "steward.transcode.v1.LibraryService",
    "steward.transcode.v1.LogService",
    "steward.transcode.v1.TaskService",
    "steward.transcode.v1.VideoService",
    "steward.transcode.v1.WorkerService",
    "steward.volume.v1.ExportService",
    "steward.volume.v1.OperationService",
    "steward.volume.v1.PolicyService",
    "steward.volume.v1.SnapshotService",
    "steward.volume.v1.VolumeService",
];

/// The services of those who look after the server.
pub(super) struct Operators {
    pub(super) auth: AuthServer,
    pub(super) audit: AuditServer,
}

/// All services of the areas; what is around them is [`around`].
pub(super) fn areas(
    lock: LockServer,
    objects: ObjectServer,
    farm: FarmServer,
    volumes: VolumeServer,
    copied: artifacts::Servers,
    operators: Operators,
) -> Routes {
    Routes::new(LockServiceServer::new(lock).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(object_service(objects))
        .add_service(WorkerServiceServer::new(farm.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(TaskServiceServer::new(farm.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(LogServiceServer::new(farm.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(LibraryServiceServer::new(farm.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(VideoServiceServer::new(farm).max_decoding_message_size(MAX_CHUNK_BYTES))
        .add_service(VolumeServiceServer::new(volumes.clone()).max_decoding_message_size(MAX_CHUNK_BYTES))
        .add_service(SnapshotServiceServer::new(volumes.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(OperationServiceServer::new(volumes.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(ExportServiceServer::new(volumes.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(PolicyServiceServer::new(volumes).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(artifact_service(copied.artifacts))
        .add_service(ReplicationServiceServer::new(copied.replication).max_decoding_message_size(MAX_CHUNK_BYTES))
        .add_service(ClusterServiceServer::new(copied.clusters).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(RegistryTokenServiceServer::new(copied.tokens).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(TokenServiceServer::new(operators.auth.clone()).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(RightsServiceServer::new(operators.auth).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(SecretServiceServer::new(copied.secrets).max_decoding_message_size(MAX_REQUEST_BYTES))
        .add_service(AuditServiceServer::new(operators.audit).max_decoding_message_size(MAX_REQUEST_BYTES))
}

/// The service of artifacts, which replication calls too.
pub(super) fn artifact_service(artifacts: ArtifactServer) -> ArtifactServiceServer<ArtifactServer> {
    ArtifactServiceServer::new(artifacts)
        .max_decoding_message_size(MAX_MANIFEST_BYTES)
        .max_encoding_message_size(MAX_MANIFEST_BYTES)
}

/// The service of restic's objects, which is also served alone.
pub(super) fn object_service(objects: ObjectServer) -> ObjectServiceServer<ObjectServer> {
    ObjectServiceServer::new(objects).max_decoding_message_size(MAX_CHUNK_BYTES)
}

/// Reflection, for clients that know the protocol only from here.
pub(super) fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of errors, so that clients of the reflection can show them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(builder().build_v1()?.max_decoding_message_size(MAX_OPEN_BYTES))
        .add_service(builder().build_v1alpha()?.max_decoding_message_size(MAX_OPEN_BYTES)))
}

/// What every call passes, over the network or in process: a request id, a measurement, the audit, a deadline, the
/// question who the caller is, what that caller may take up, and whether the caller may do what it asks for.
pub(super) fn around<S>(
    service: S,
    timeout: Duration,
    authenticator: Authenticator,
    audit: Audit,
    limits: Limits,
) -> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = S::Error, Future: Send> + Clone
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    ServiceBuilder::new()
        .map_request(drop_odd_request_id)
        .layer(SetRequestIdLayer::new(http::HeaderName::from_static(REQUEST_ID), NewRequestId))
        .layer(PropagateRequestIdLayer::new(http::HeaderName::from_static(REQUEST_ID)))
        .layer(tower::layer::layer_fn(Measure))
        .layer(AuditLayer::new(audit, methods::subject))
        .layer(TimeoutLayer::new(timeout))
        .layer(AuthLayer::new(authenticator))
        .layer(LimitLayer::new(limits))
        .layer(GateLayer)
        .service(service)
}

/// The services, with what is around them, as a port serves them: calls alone, which no page can make of its own accord.
pub(super) fn router<S>(service: S) -> Router
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let services = service.map_request(|call: axum::extract::Request| call.map(Body::new));
    Router::new().fallback_service(services).layer(from_fn(refuse_others))
}

/// Refuses what is not declared as a call. A browser lets a page of another site send that to no server without asking
/// it first, but adds the certificate or the password of its user to anything else.
async fn refuse_others(request: axum::extract::Request, next: Next) -> axum::response::Response {
    if request.headers().get(CONTENT_TYPE).is_some_and(is_call) {
        next.run(request).await
    } else {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "only calls of gRPC are served here\n").into_response()
    }
}

/// Whether this is `application/grpc`, perhaps with the format of its messages or with parameters.
fn is_call(content_type: &HeaderValue) -> bool {
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Counts calls and measures the time until they are answered.
#[derive(Clone)]
struct Measure<S>(S);

impl<S> Service<http::Request<Body>> for Measure<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let started = Instant::now();
        // Labels from outside have to be few: what no service has is one of them.
        let method = methods::find(request.uri().path()).map_or("other", |method| method.label);
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = answer.await?;
            let code =
                tonic::Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
            metrics::counter!("steward_grpc_requests_total", "method" => method, "code" => code_label(code))
                .increment(1);
            metrics::histogram!("steward_grpc_request_seconds", "method" => method).record(started.elapsed());
            Ok(response)
        })
    }
}

fn code_label(code: tonic::Code) -> String {
    format!("{code:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_declared_as_a_call_is_one() {
        let is_call = |declared| is_call(&HeaderValue::from_static(declared));
        for declared in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(is_call(declared), "{declared}");
        }
        for declared in ["", "text/plain", "application/grpc-web", "text/plain;application/grpc", "application/json"] {
            assert!(!is_call(declared), "{declared}");
        }
    }
}
