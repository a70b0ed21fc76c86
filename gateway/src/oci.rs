//! The distribution protocol of the OCI: images under `/v2/`.

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::upstream::Channel;

/// Serves it.
pub(crate) fn router(_channel: Channel, _options: Options, _shutdown: CancellationToken) -> Router {
    Router::new()
}
