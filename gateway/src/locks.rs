//! The legacy API of cluster-wide locks on operations of container image layers.
//!
//! A node locks a pair of `type` and `resource_id` before it works on a layer, and unlocks it with the outcome; the
//! others wait, and skip the work once somebody has done it.
//!
//! Quirk: 403 carries JSON; clients read `acquired` and `released`.
//! Quirk: what the API did not know (fencing token, place in the queue, expiry) travels in headers, so that the bodies
//! stay as they were.

mod acquire;
mod event;
mod feed;
mod release;
mod request;
mod status;
mod subscribe;
mod subscription;
mod time;

use axum::Router;
use axum::routing::{get, post};
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use tokio_util::sync::CancellationToken;

use self::request::Subject;
use crate::answer::only;
use crate::options::AbsentSuccess;
use crate::upstream::Channel;

/// Serves the lock API by calls over `channel`; cuts event streams off when `shutdown` is cancelled.
pub(crate) fn router(channel: Channel, absent_success: AbsentSuccess, shutdown: CancellationToken) -> Router {
    let locks = Locks { client: LockServiceClient::new(channel), absent_success, shutdown };
    Router::new()
        .route("/lock", only("POST", post(acquire::lock)))
        .route("/unlock", only("POST", post(release::unlock)))
        .route("/lock/status", only("GET, POST", get(status::by_query).post(status::by_body)))
        .route("/lock/subscribe", only("GET", get(subscribe::subscribe)))
        .with_state(locks)
}

/// Whether a request for this path may claim a lock: a node that sees in its status that it was handed it has done so.
pub(crate) fn may_claim(path: &str, query: &str) -> bool {
    path == "/lock/status" && Subject::from_query(query).names_a_node()
}

/// What the handlers need.
#[derive(Clone)]
struct Locks {
    client: LockServiceClient<Channel>,
    absent_success: AbsentSuccess,
    shutdown: CancellationToken,
}
