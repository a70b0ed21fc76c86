//! The calls about changes.

use futures::stream::{self, StreamExt as _};
use steward_proto::artifact::v1 as api;
use steward_proto::store::v1::ArtifactChangeRecord;

use super::projects::repository;
use super::{Answers, ArtifactServer, status};
use crate::artifact::change_feed::{AT_A_TIME, Feed};
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
        let found = self.seen_changes(whose, after, limit, &view).await?;
        Ok(api::ListChangesResponse {
            changes: found.changes.into_iter().map(|(stamp, change)| convert::change(stamp, change)).collect(),
            last_stamp: convert::signed(found.last_stamp),
            has_more: found.has_more,
        })
    }

    /// Up to `limit` changes that may be seen. Neither that there are others nor when they were is told: it goes on
    /// behind the last of these, or behind everything.
    async fn seen_changes(
        &self,
        whose: (&str, &str),
        mut after: u64,
        limit: usize,
        view: &View,
    ) -> Result<Feed, Error> {
        // One more says whether there are more.
        let wanted = limit + 1;
        let at_a_time = if view.is_whole() { wanted } else { wanted.max(AT_A_TIME) };
        let mut changes = Vec::new();
        loop {
            let found = self.artifacts.list_changes(whose, after, at_a_time).await?;
            let seen = found.changes.into_iter().filter(|(_, change)| is_seen(view, change));
            changes.extend(seen.take(wanted - changes.len()));
            if changes.len() == wanted {
                changes.truncate(limit);
                let last_stamp = changes.last().map_or(after, |(stamp, _)| *stamp);
                return Ok(Feed { changes, last_stamp, has_more: true });
            }
            after = found.last_stamp;
            if !found.has_more {
                return Ok(Feed { changes, last_stamp: after, has_more: false });
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::testing::World;

    #[tokio::test]
    async fn changes_that_may_not_be_seen_leave_no_trace() {
        let world = World::with_repository().await;
        for path in ["/mine/1", "/theirs/1", "/mine/2", "/theirs/2", "/theirs/3", "/mine/3", "/theirs/4"] {
            world.put(path, b"x").await;
        }
        let server = ArtifactServer::new(world.artifacts.clone());
        let sight = Sight::by_table("a artifact p1/r1/mine read");
        let list = async |after_stamp: i64, page_size: i32| {
            let (project, repository) = ("p1".to_owned(), "r1".to_owned());
            let request = api::ListChangesRequest { project, repository, after_stamp, page_size };
            server.handle_list_changes(request, &sight).await.expect("changes")
        };
        let paths = |listed: &api::ListChangesResponse| -> Vec<String> {
            listed.changes.iter().map(|change| change.path.clone()).collect()
        };

        let first = list(0, 2).await;
        assert_eq!(paths(&first), ["/mine/1", "/mine/2"]);
        assert!(first.has_more);
        assert_eq!(first.last_stamp, first.changes[1].stamp);

        let second = list(first.last_stamp, 1).await;
        assert_eq!(paths(&second), ["/mine/3"]);
        assert!(!second.has_more, "nobody tells of the last one");
        world.put("/mine/4", b"x").await;
        assert_eq!(paths(&list(second.last_stamp, 1).await), ["/mine/4"]);
        assert_eq!(paths(&list(0, 100).await).len(), 4);
    }
}
