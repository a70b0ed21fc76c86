//! The calls about changes.

use super::Answers;
use super::ArtifactServer;
use crate::artifact::error::Error;
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_list_changes(
        &self,
        _request: api::ListChangesRequest,
        _user: &str,
    ) -> Result<api::ListChangesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_watch_artifacts(
        &self,
        _request: api::WatchArtifactsRequest,
        _user: &str,
    ) -> Result<Answers<api::WatchArtifactsResponse>, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}
