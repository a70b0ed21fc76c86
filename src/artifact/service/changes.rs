//! The calls about changes.

use futures::stream::{self, StreamExt as _};
use steward_proto::artifact::v1 as api;
use steward_proto::store::v1::ArtifactChangeRecord;

use super::projects::repository;
use super::{Answers, ArtifactServer, status};
use crate::artifact::convert;
use crate::artifact::error::Error;
use crate::artifact::sight::{Sight, View};
use crate::fields::Fields;

/// A stamp of a request; what it is called when it is wrong.
fn stamp(stamp: i64) -> Result<u64, Error> {
    u64::try_from(stamp).map_err(|_| Error::invalid("after_stamp", "is negative"))
}

/// Whether a change is of something that may be seen.
fn is_seen(view: &View, change: &ArtifactChangeRecord) -> bool {
    view.has(if change.path.is_empty() { &change.image } else { &change.path })
}

impl ArtifactServer {
    pub(super) async fn handle_list_changes(
        &self,
        request: api::ListChangesRequest,
        sight: &Sight,
    ) -> Result<api::ListChangesResponse, Error> {
        let mut fields = Fields::default();
        let limit = fields.page_size(request.page_size);
        Error::check(fields)?;
        let after = stamp(request.after_stamp)?;
        let view = sight.repository(&request.project, &request.repository)?;
        let whose = repository(&request.project, &request.repository)?;
        let mut found = self.artifacts.list_changes(whose, after, limit).await?;
        found.changes.retain(|(_, change)| is_seen(&view, change));
        while found.changes.is_empty() && found.has_more {
            found = self.artifacts.list_changes(whose, found.last_stamp, limit).await?;
            found.changes.retain(|(_, change)| is_seen(&view, change));
        }
        Ok(api::ListChangesResponse {
            changes: found.changes.into_iter().map(|(stamp, change)| convert::change(stamp, change)).collect(),
            last_stamp: convert::signed(found.last_stamp),
            has_more: found.has_more,
        })
    }

    pub(super) async fn handle_watch_artifacts(
        &self,
        request: api::WatchArtifactsRequest,
        sight: &Sight,
    ) -> Result<Answers<api::WatchArtifactsResponse>, Error> {
        let after = request.after_stamp.map(stamp).transpose()?;
        let view = sight.repository(&request.project, &request.repository)?;
        let whose = repository(&request.project, &request.repository)?;
        let permit = self.watchers.take(sight.caller()).map_err(Error::TooManyWatchers)?;
        let changes = self.artifacts.watch_changes(whose, after, permit).await?;
        let changes = stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) });
        let changes = changes.filter(move |change| {
            let is_told = change.as_ref().map_or(true, |(_, change)| is_seen(&view, change));
            std::future::ready(is_told)
        });
        let answers = changes.map(|change| match change {
            Ok((stamp, change)) => Ok(api::WatchArtifactsResponse { change: Some(convert::change(stamp, change)) }),
            Err(error) => Err(status(error)),
        });
        Ok(answers.boxed())
    }
}
