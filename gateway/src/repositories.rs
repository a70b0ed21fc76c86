//! Projects, repositories, files and packages as JSON: `/repository/api/…`.
//!
//! Quirk: a project or repository that is created is answered with null.
//! Quirk: pages are counted from 1, and have 20 entries unless it is said otherwise.
//! Quirk: a folder has no size and no digests.

mod metadata;
mod nodes;
mod packages;
mod projects;
mod repos;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;

use crate::envelope::{Asked, LocalTimes, closed};
use crate::options::Options;
use crate::upstream::{Call, Channel};

/// For an answer. Deleting a large folder takes a while.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest message that is read: a page of files with metadata.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Serves everything below `/repository/api/` by calls over `channel`.
pub(crate) fn router(channel: Channel, options: &Options) -> Router {
    const BASE: &str = "/repository/api";
    let at = |rest: &str| format!("{BASE}/{rest}");
    let routes = Router::new()
        .route(&at("project/create"), post(projects::create))
        .route(&at("project/list"), get(projects::list))
        .route(&at("repo/create"), post(repos::create))
        .route(&at("repo/info/{project}/{repository}"), get(repos::info))
        .route(&at("repo/info/{project}/{repository}/{type}"), get(repos::info_of_type))
        .route(&at("repo/exist/{project}/{repository}"), get(repos::exist))
        .route(&at("repo/list/{project}"), get(repos::list))
        .route(&at("repo/page/{project}/{number}/{size}"), get(repos::page))
        .route(&at("repo/delete/{project}/{repository}"), delete(repos::delete))
        .route(&at("node/detail/{project}/{repository}"), get(nodes::detail_of_root))
        .route(&at("node/detail/{project}/{repository}/{*path}"), get(nodes::detail))
        .route(&at("node/page/{project}/{repository}"), get(nodes::page_of_root))
        .route(&at("node/page/{project}/{repository}/"), get(nodes::page_of_root))
        .route(&at("node/page/{project}/{repository}/{*path}"), get(nodes::page))
        .route(
            &at("metadata/{project}/{repository}/{*path}"),
            get(metadata::get).post(metadata::save).delete(metadata::delete),
        )
        .route(&at("package/page/{project}/{repository}"), get(packages::page))
        .route(&at("package/info/{project}/{repository}"), get(packages::info))
        .route(&at("package/delete/{project}/{repository}"), delete(packages::delete))
        .route(&at("version/page/{project}/{repository}"), get(packages::versions))
        .route(&at("version/delete/{project}/{repository}"), delete(packages::delete_version));
    let state = Repositories::new(channel, options);
    closed(routes, "/repository/api", &state.times).with_state(state)
}

/// What the handlers need.
#[derive(Clone)]
struct Repositories {
    artifacts: ArtifactServiceClient<Channel>,
    times: LocalTimes,
}

impl Repositories {
    fn new(channel: Channel, options: &Options) -> Self {
        let artifacts = ArtifactServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { artifacts, times: LocalTimes::new(options.artifacts.time_zone.clone()) }
    }

    /// A call for a request.
    fn call(asked: &Asked, rpc: &'static str) -> Call {
        Call::new(rpc, asked.caller.clone(), TIMEOUT)
    }
}

impl AsRef<LocalTimes> for Repositories {
    fn as_ref(&self) -> &LocalTimes {
        &self.times
    }
}
