//! The API of distribution tasks, `/replication/api/remote/distribution/…`, and of the clusters that they copy to.
//!
//! Quirk: creating a task that is there changes it; its type and whether it is enabled stay.
//! Quirk: empty lists of constraints stand for the whole repository.
//! Quirk: a task that runs once is not found with another code than the others.
//! Quirk: a password is never answered.

mod clusters;
mod config;
mod execution;
mod once;
mod secret;
mod setting;
mod tasks;
mod watch;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::replication::v1::cluster_service_client::ClusterServiceClient;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use tokio_util::sync::CancellationToken;

use crate::envelope::{Asked, LocalTimes, closed};
use crate::options::Options;
use crate::upstream::{Call, Channel};

/// For an answer. Creating a task asks its target whether it is there, more than once.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The longest message that is read: a page of tasks with certificates.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// Serves everything below `/replication/api/` by calls over `channel`; ends streams when `shutdown` is cancelled.
pub(crate) fn router(channel: Channel, options: &Options, shutdown: CancellationToken) -> Router {
    const BASE: &str = "/replication/api/remote/distribution";
    const CLUSTER: &str = "/replication/api/cluster";
    let at = |rest: &str| format!("{BASE}/{rest}");
    let of_cluster = |rest: &str| format!("{CLUSTER}/{rest}");
    let routes = Router::new()
        .route(&at("create/{project}/{repository}"), post(tasks::create))
        .route(&at("update/{project}/{repository}/{name}"), post(tasks::update))
        .route(&at("info/{project}/{repository}"), get(tasks::list))
        .route(&at("info/{project}/{repository}/{name}"), get(tasks::info))
        .route(&at("delete/{project}/{repository}/{name}"), delete(tasks::delete))
        .route(&at("toggle/status/{project}/{repository}/{name}"), post(tasks::toggle))
        .route(&at("create/runOnceTask/{project}/{repository}"), post(once::create))
        .route(&at("execute/runOnceTask/{project}/{repository}"), post(once::execute))
        .route(&at("get/runOnceTaskStatus/{project}/{repository}"), get(once::status))
        .route(&at("delete/runOnceTask/{project}/{repository}"), delete(once::delete))
        .route(&at("cancel/runOnceTask/{project}/{repository}"), post(once::cancel))
        .route(&at("watch/runOnceTask/{project}/{repository}"), get(watch::watch))
        .route(&of_cluster("create"), post(clusters::create))
        .route(&of_cluster("update"), post(clusters::update))
        .route(&of_cluster("info"), get(clusters::by_name))
        .route(&of_cluster("info/center"), get(clusters::center))
        .route(&of_cluster("info/{id}"), get(clusters::by_id))
        .route(&of_cluster("exist"), get(clusters::exist))
        .route(&of_cluster("list"), get(clusters::list))
        .route(&of_cluster("list/edge"), get(clusters::edges))
        .route(&of_cluster("page"), get(clusters::page))
        .route(&of_cluster("delete/{id}"), delete(clusters::delete))
        .route(&of_cluster("tryConnect"), post(clusters::try_connect).get(clusters::try_connect));
    let state = Copies::new(channel, options, shutdown);
    closed(routes, "/replication/api", &state.times).with_state(state)
}

/// What the handlers need.
#[derive(Clone)]
struct Copies {
    tasks: ReplicationServiceClient<Channel>,
    clusters: ClusterServiceClient<Channel>,
    artifacts: ArtifactServiceClient<Channel>,
    times: LocalTimes,
    shutdown: CancellationToken,
}

impl Copies {
    fn new(channel: Channel, options: &Options, shutdown: CancellationToken) -> Self {
        Self {
            tasks: ReplicationServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            clusters: ClusterServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            artifacts: ArtifactServiceClient::new(channel),
            times: LocalTimes::new(options.artifacts.time_zone.clone()),
            shutdown,
        }
    }

    /// A call for a request.
    fn call(asked: &Asked, rpc: &'static str) -> Call {
        Call::new(rpc, asked.caller.clone(), TIMEOUT)
    }
}

impl AsRef<LocalTimes> for Copies {
    fn as_ref(&self) -> &LocalTimes {
        &self.times
    }
}
