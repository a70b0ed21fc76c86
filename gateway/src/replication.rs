//! Distribution tasks and clusters as JSON: `/replication/api/`.

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::upstream::Channel;

/// Serves it.
pub(crate) fn router(_channel: Channel, _options: Options, _shutdown: CancellationToken) -> Router {
    Router::new()
}
