//! The call that watches: first what is there, then what changes.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use steward_proto::restic::v1 as api;
use steward_proto::restic::v1::watch_response::Kind as ApiKind;
use tokio::sync::mpsc;
use tonic::Status;

use super::lists::listed;
use super::{Answers, ObjectServer, convert, status};
use crate::auth::Identity;
use crate::places;
use crate::restic::error::Error;
use crate::restic::feed::Change;
use crate::restic::files::blocking;
use crate::restic::name::{Kind, ObjectName, ObjectType};
use crate::restic::repositories::{Place, Repositories};
use crate::restic::repository::Repository;

/// How many messages wait for a slow watcher.
const BUFFERED: usize = 256;

impl ObjectServer {
    pub(super) async fn handle_watch(
        &self,
        request: api::WatchRequest,
        user: Option<&str>,
        caller: &Identity,
    ) -> Result<Answers<api::WatchResponse>, Error> {
        let path = convert::path("repository", &request.repository)?;
        let wanted = convert::wanted_type("type", request.r#type)?;
        let repository = listed(&self.repositories, user, &path).await?;
        let permit = self.watchers.take(caller).map_err(Error::TooManyWatchers)?;
        let feed = Arc::clone(&repository.around.feed);
        let from = if request.from_revision == 0 { feed.newest() } else { request.from_revision };
        // Refused at once where it cannot be resumed.
        feed.after(from, 0)?;
        let (messages, receiver) = mpsc::channel(BUFFERED);
        let watch = Watch { repositories: self.repositories.clone(), repository, wanted, messages, _permit: permit };
        let with_present = request.from_revision == 0;
        self.repositories.0.tasks.spawn(watch.run(from, with_present));
        Ok(stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed())
    }
}

struct Watch {
    repositories: Repositories,
    repository: Arc<Repository>,
    /// Only these.
    wanted: Option<ObjectType>,
    messages: mpsc::Sender<Result<api::WatchResponse, Status>>,
    _permit: places::Place,
}

/// The watcher has gone away.
struct Unheard;

impl Watch {
    async fn run(self, from: i64, with_present: bool) {
        let shutdown = self.repositories.0.shutdown.clone();
        let end = tokio::select! {
            () = shutdown.cancelled() => Error::ShuttingDown,
            // Nobody to be told.
            () = self.messages.closed() => return,
            end = self.tell(from, with_present) => match end {
                Ok(error) => error,
                Err(Unheard) => return,
            },
        };
        let _ = self.messages.try_send(Err(status(end)));
    }

    /// Tells what there is to be told until it cannot go on.
    async fn tell(&self, from: i64, with_present: bool) -> Result<Error, Unheard> {
        if with_present && let Some(error) = self.tell_present(from).await? {
            return Ok(error);
        }
        let mut seen = from;
        let mut newest = self.repository.around.feed.subscribe();
        loop {
            match self.repository.around.feed.after(seen, BUFFERED) {
                Ok(changes) if changes.is_empty() => {
                    // The sender is in the feed, which lives as long as the repository.
                    let _ = newest.wait_for(|newest| *newest > seen).await;
                }
                Ok(changes) => {
                    for change in changes {
                        seen = change.revision;
                        if change.repository == self.repository.path && self.wants(change.object.object_type()) {
                            self.send(self.changed(&change)).await?;
                        }
                    }
                }
                Err(error) => return Ok(error),
            }
        }
    }

    async fn tell_present(&self, revision: i64) -> Result<Option<Error>, Unheard> {
        let present = |object, entry| api::WatchResponse {
            kind: ApiKind::Stored.into(),
            object: Some(convert::stored_object(&self.repository.path, object, entry)),
            revision,
        };
        if self.wants(ObjectType::Config) {
            let repository = Arc::clone(&self.repository);
            match blocking(move || repository.look(ObjectName::Config)).await {
                Ok(Some(entry)) => self.send(present(ObjectName::Config, entry)).await?,
                Ok(None) => {}
                Err(error) => return Ok(Some(error)),
            }
        }
        for kind in Kind::ALL.into_iter().filter(|kind| self.wants(ObjectType::Blob(*kind))) {
            let mut rest = Some(Place::start(kind));
            while let Some(place) = rest.take() {
                match self.repositories.next_batch(&self.repository, place).await {
                    Ok((entries, next)) => {
                        for entry in entries {
                            self.send(present(ObjectName::Blob(kind, entry.id), entry.into())).await?;
                        }
                        rest = next;
                    }
                    Err(error) => return Ok(Some(error)),
                }
            }
        }
        self.send(api::WatchResponse { kind: ApiKind::Synced.into(), object: None, revision }).await?;
        Ok(None)
    }

    fn wants(&self, object_type: ObjectType) -> bool {
        self.wanted.is_none_or(|wanted| wanted == object_type)
    }

    fn changed(&self, change: &Change) -> api::WatchResponse {
        let path = &self.repository.path;
        let key = || Some(convert::object_key(path, change.object));
        let (kind, object) = match change.stored {
            Some(entry) => (ApiKind::Stored, convert::stored_object(path, change.object, entry)),
            None => (ApiKind::Deleted, api::Object { key: key(), ..api::Object::default() }),
        };
        api::WatchResponse { kind: kind.into(), object: Some(object), revision: change.revision }
    }

    async fn send(&self, message: api::WatchResponse) -> Result<(), Unheard> {
        self.messages.send(Ok(message)).await.map_err(|_| Unheard)
    }
}
