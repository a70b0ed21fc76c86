//! The calls about changes.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use steward_proto::artifact::v1 as api;

use super::projects::repository;
use super::{Answers, ArtifactServer, status};
use crate::artifact::convert;
use crate::artifact::error::Error;
use crate::fields::Fields;

/// A stamp of a request; what it is called when it is wrong.
fn stamp(stamp: i64) -> Result<u64, Error> {
    u64::try_from(stamp).map_err(|_| Error::invalid("after_stamp", "is negative"))
}

impl ArtifactServer {
    pub(super) async fn handle_list_changes(
        &self,
        request: api::ListChangesRequest,
        _user: &str,
    ) -> Result<api::ListChangesResponse, Error> {
        let mut fields = Fields::default();
        let limit = fields.page_size(request.page_size);
        Error::check(fields)?;
        let after = stamp(request.after_stamp)?;
        let whose = repository(&request.project, &request.repository)?;
        let found = self.artifacts.list_changes(whose, after, limit).await?;
        Ok(api::ListChangesResponse {
            changes: found.changes.into_iter().map(|(stamp, change)| convert::change(stamp, change)).collect(),
            last_stamp: convert::signed(found.last_stamp),
            has_more: found.has_more,
        })
    }

    pub(super) async fn handle_watch_artifacts(
        &self,
        request: api::WatchArtifactsRequest,
        _user: &str,
    ) -> Result<Answers<api::WatchArtifactsResponse>, Error> {
        let after = request.after_stamp.map(stamp).transpose()?;
        let whose = repository(&request.project, &request.repository)?;
        let limit = self.artifacts.settings.max_watchers;
        let permit = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| Error::TooManyWatchers { limit })?;
        let changes = self.artifacts.watch_changes(whose, after, permit).await?;
        let changes = stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) });
        let answers = changes.map(|change| match change {
            Ok((stamp, change)) => Ok(api::WatchArtifactsResponse { change: Some(convert::change(stamp, change)) }),
            Err(error) => Err(status(error)),
        });
        Ok(answers.boxed())
    }
}
