//! Clusters: `/replication/api/cluster/…`.
//!
//! Quirk: what is not there is null, not an error, unless it is to be changed.
//! Quirk: a password and a secret key are never answered.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::get_cluster_request::Which;

use super::Copies;
use super::config::some_text;
use super::secret::Secret;
use crate::envelope::{
    Answered, Asked, Body, Code, LocalTimes, Paging, Path, Query, Refusal, all, null_as_default, read_json,
};

/// The most clusters that a list has.
const MAX_CLUSTERS: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    name: String,
    url: String,
    #[serde(default)]
    certificate: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    app_id: Option<String>,
    #[serde(default)]
    access_key: Option<String>,
    #[serde(default)]
    secret_key: Option<Secret>,
    #[serde(default)]
    r#type: Option<ClusterType>,
    #[serde(default, deserialize_with = "null_as_default")]
    ping: Option<bool>,
    #[serde(default)]
    detect_type: Option<DetectType>,
    #[serde(default)]
    udp_port: Option<i32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ClusterType {
    Center,
    Edge,
    Standalone,
    Remote,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum DetectType {
    Ping,
    Report,
}

impl From<ClusterType> for pb::ClusterType {
    fn from(kind: ClusterType) -> Self {
        match kind {
            ClusterType::Center => Self::Center,
            ClusterType::Edge => Self::Edge,
            ClusterType::Standalone => Self::Standalone,
            ClusterType::Remote => Self::Remote,
        }
    }
}

impl From<Spec> for pb::ClusterSpec {
    fn from(spec: Spec) -> Self {
        let detect_type = match spec.detect_type {
            None | Some(DetectType::Ping) => pb::DetectType::Ping,
            Some(DetectType::Report) => pb::DetectType::Report,
        };
        pb::ClusterSpec {
            name: spec.name,
            r#type: spec.r#type.map_or(pb::ClusterType::Standalone, Into::into).into(),
            url: spec.url,
            username: spec.username.unwrap_or_default(),
            password: spec.password.map(Secret::reveal),
            certificate: spec.certificate.unwrap_or_default(),
            app_id: spec.app_id.unwrap_or_default(),
            access_key: spec.access_key.unwrap_or_default(),
            secret_key: spec.secret_key.map(Secret::reveal),
            detect_type: detect_type.into(),
            ping: spec.ping,
            udp_port: spec.udp_port.unwrap_or_default(),
        }
    }
}

/// A cluster, as a client reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCluster {
    id: String,
    name: String,
    status: &'static str,
    error_reason: Option<String>,
    r#type: &'static str,
    url: String,
    username: Option<String>,
    certificate: Option<String>,
    app_id: Option<String>,
    access_key: Option<String>,
    udp_port: Option<i32>,
    created_by: String,
    extension: Option<()>,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
    detect_type: &'static str,
    last_report_time: Option<String>,
}

impl ShownCluster {
    fn of(cluster: pb::Cluster, times: &LocalTimes) -> Self {
        ShownCluster {
            status: match cluster.status() {
                pb::ClusterStatus::Unhealthy => "UNHEALTHY",
                pb::ClusterStatus::Unspecified | pb::ClusterStatus::Healthy => "HEALTHY",
            },
            r#type: match cluster.r#type() {
                pb::ClusterType::Center => "CENTER",
                pb::ClusterType::Edge => "EDGE",
                pb::ClusterType::Remote => "REMOTE",
                pb::ClusterType::Unspecified | pb::ClusterType::Standalone => "STANDALONE",
            },
            detect_type: match cluster.detect_type() {
                pb::DetectType::Unspecified | pb::DetectType::Ping => "PING",
                pb::DetectType::Report => "REPORT",
            },
            created_date: times.text(cluster.create_time),
            last_modified_date: times.text(cluster.modify_time),
            last_report_time: times.text(cluster.last_report_time),
            id: cluster.id,
            name: cluster.name,
            error_reason: some_text(cluster.error_reason),
            url: cluster.url,
            username: some_text(cluster.username),
            certificate: some_text(cluster.certificate),
            app_id: some_text(cluster.app_id),
            access_key: some_text(cluster.access_key),
            udp_port: Some(cluster.udp_port).filter(|port| *port != 0),
            created_by: cluster.created_by,
            extension: None,
            last_modified_by: cluster.modified_by,
        }
    }
}

/// Handles `POST /create`.
pub(super) async fn create(State(copies): State<Copies>, asked: Asked, body: Body) -> Response {
    let created = async {
        let spec: Spec = read_json(body)?;
        let call = Copies::call(&asked, "CreateCluster");
        let message = pb::CreateClusterRequest { cluster: Some(spec.into()) };
        let created = call.run(copies.clusters.clone().create_cluster(call.request(message))).await;
        created.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&copies.times, created.await)
}

/// Handles `POST /update`.
pub(super) async fn update(State(copies): State<Copies>, asked: Asked, body: Body) -> Response {
    let updated = async {
        let spec: Spec = read_json(body)?;
        let call = Copies::call(&asked, "UpdateCluster");
        let message = pb::UpdateClusterRequest { cluster: Some(spec.into()) };
        let updated = call.run(copies.clusters.clone().update_cluster(call.request(message))).await;
        let updated = updated.map_err(|failure| Refusal::of(&failure))?;
        Ok(updated.cluster.map(|cluster| ShownCluster::of(cluster, &copies.times)))
    };
    asked.answer(&copies.times, updated.await)
}

/// Handles `GET /info?name=`.
pub(super) async fn by_name(State(copies): State<Copies>, asked: Asked, query: Query) -> Response {
    let found = async { find(&copies, &asked, Which::Name(query.required("name")?)).await };
    asked.answer(&copies.times, found.await)
}

/// Handles `GET /info/{id}`.
pub(super) async fn by_id(State(copies): State<Copies>, Path(id): Path<String>, asked: Asked) -> Response {
    asked.answer(&copies.times, find(&copies, &asked, Which::Id(id)).await)
}

/// Handles `GET /info/center`.
pub(super) async fn center(State(copies): State<Copies>, asked: Asked) -> Response {
    asked.answer(&copies.times, find(&copies, &asked, Which::Center(true)).await)
}

async fn find(copies: &Copies, asked: &Asked, which: Which) -> Result<Option<ShownCluster>, Refusal> {
    let call = Copies::call(asked, "GetCluster");
    let message = pb::GetClusterRequest { which: Some(which) };
    let found = call.run(copies.clusters.clone().get_cluster(call.request(message))).await;
    match found.map_err(|failure| Refusal::of(&failure)) {
        Ok(found) => Ok(found.cluster.map(|cluster| ShownCluster::of(cluster, &copies.times))),
        Err(refusal) if refusal.is(&Code::CLUSTER_NOT_FOUND) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Handles `GET /exist?name=`.
pub(super) async fn exist(State(copies): State<Copies>, asked: Asked, query: Query) -> Response {
    let exists = async {
        let message = pb::ClusterExistsRequest { name: query.required("name")? };
        let call = Copies::call(&asked, "ClusterExists");
        let exists = call.run(copies.clusters.clone().cluster_exists(call.request(message))).await;
        exists.map(|answer| answer.exists).map_err(|failure| Refusal::of(&failure))
    };
    asked.answer(&copies.times, exists.await)
}

/// Handles `GET /list?name=&type=`.
pub(super) async fn list(State(copies): State<Copies>, asked: Asked, query: Query) -> Response {
    let listed = async { gather(&copies, &asked, query.text("name"), wanted(&query)?).await };
    asked.answer(&copies.times, listed.await)
}

/// Handles `GET /list/edge`.
pub(super) async fn edges(State(copies): State<Copies>, asked: Asked) -> Response {
    asked.answer(&copies.times, gather(&copies, &asked, String::new(), pb::ClusterType::Edge).await)
}

/// Handles `GET /page?pageNumber=&pageSize=&name=&type=`.
pub(super) async fn page(State(copies): State<Copies>, asked: Asked, query: Query) -> Response {
    let page = async {
        let (name, kind) = (query.text("name"), wanted(&query)?);
        let fetch = |size, token| fetch(&copies, &asked, (name.clone(), kind), size, token);
        Paging::of(&query)?.walk(fetch, |cluster| ShownCluster::of(cluster, &copies.times)).await
    };
    asked.answer(&copies.times, page.await)
}

fn wanted(query: &Query) -> Result<pb::ClusterType, Refusal> {
    Ok(match query.text("type").as_str() {
        "" => pb::ClusterType::Unspecified,
        "CENTER" => pb::ClusterType::Center,
        "EDGE" => pb::ClusterType::Edge,
        "STANDALONE" => pb::ClusterType::Standalone,
        "REMOTE" => pb::ClusterType::Remote,
        _ => return Err(Refusal::new(&Code::PARAMETER_INVALID, "type")),
    })
}

async fn gather(
    copies: &Copies,
    asked: &Asked,
    name: String,
    kind: pb::ClusterType,
) -> Result<Vec<ShownCluster>, Refusal> {
    let found = all(MAX_CLUSTERS, |size, token| fetch(copies, asked, (name.clone(), kind), size, token)).await?;
    Ok(found.into_iter().map(|cluster| ShownCluster::of(cluster, &copies.times)).collect())
}

async fn fetch(
    copies: &Copies,
    asked: &Asked,
    (name_contains, kind): (String, pb::ClusterType),
    page_size: i32,
    page_token: String,
) -> Result<Answered<pb::Cluster>, Refusal> {
    let message = pb::ListClustersRequest { page_size, page_token, name_contains, r#type: kind.into() };
    let call = Copies::call(asked, "ListClusters");
    let page = call.run(copies.clusters.clone().list_clusters(call.request(message))).await;
    let page = page.map_err(|failure| Refusal::of(&failure))?;
    Ok((page.clusters, page.next_page_token, page.total_size))
}

/// Handles `DELETE /delete/{id}`.
pub(super) async fn delete(State(copies): State<Copies>, Path(id): Path<String>, asked: Asked) -> Response {
    let call = Copies::call(&asked, "DeleteCluster");
    let deleted = call.run(copies.clusters.clone().delete_cluster(call.request(pb::DeleteClusterRequest { id }))).await;
    asked.done(&copies.times, deleted.map(|_| ()).map_err(|failure| Refusal::of(&failure)))
}

/// Handles `POST /tryConnect?name=`, and the `GET` that was documented.
pub(super) async fn try_connect(State(copies): State<Copies>, asked: Asked, query: Query) -> Response {
    let connected = async {
        let message = pb::TryConnectRequest { name: query.required("name")? };
        let call = Copies::call(&asked, "TryConnect");
        let connected = call.run(copies.clusters.clone().try_connect(call.request(message))).await;
        connected.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&copies.times, connected.await)
}
