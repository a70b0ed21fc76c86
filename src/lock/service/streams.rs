//! The calls that stream: Watch and `KeepAlive`.

use futures::stream::{BoxStream, StreamExt as _};
use steward_proto::lock::v1 as api;
use steward_proto::lock::v1::watch_response::Update;
use tonic::{Status, Streaming};

use super::LockServer;
use super::convert::{self, revision};
use super::validate::PROGRESS;
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::error::Failure;
use crate::fields::Fields;
use crate::lock::error::Error;
use crate::lock::query::Filter;
use crate::lock::watch::{Step, Subject, Watch};
use crate::store::Revision;

/// What Watch sends.
pub(super) type WatchStream = BoxStream<'static, Result<api::WatchResponse, Status>>;
/// What `KeepAlive` sends.
pub(super) type KeepAliveStream = BoxStream<'static, Result<api::KeepAliveResponse, Status>>;

impl LockServer {
    pub(super) fn open_watch(&self, request: api::WatchRequest, grants: Grants) -> Result<WatchStream, Failure> {
        let permit = self.watchers.take(grants.caller());
        let watch = watch_command(request, grants)?;
        let permit = permit.map_err(Error::TooManyWatchers)?;
        let steps = self.locks.watch(watch, &self.around, permit);
        let steps = futures::stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
        Ok(steps.map(|step| step.map(response).map_err(|error| Status::from(Failure::from(error)))).boxed())
    }

    pub(super) fn open_keep_alive(
        &self,
        requests: Streaming<api::KeepAliveRequest>,
        grants: Grants,
    ) -> KeepAliveStream {
        let server = self.clone();
        let shutdown = self.around.shutdown.clone();
        let begin = (server, grants, Some(requests));
        let answers = futures::stream::unfold(begin, |(server, grants, requests)| async move {
            let mut requests = requests?;
            let request = tokio::select! {
                () = server.around.shutdown.cancelled() => return None,
                request = requests.message() => request,
            };
            match request {
                Ok(Some(request)) => {
                    let answer = server.keep_alive_once(request, &grants).await;
                    let requests = answer.is_ok().then_some(requests);
                    Some((answer, (server, grants, requests)))
                }
                Ok(None) => None,
                Err(status) => Some((Err(status), (server, grants, None))),
            }
        });
        let ended = futures::stream::once(async move {
            if shutdown.is_cancelled() { Some(Err(Status::from(Failure::from(Error::ShuttingDown)))) } else { None }
        });
        answers.chain(ended.filter_map(std::future::ready)).boxed()
    }

    async fn keep_alive_once(
        &self,
        request: api::KeepAliveRequest,
        grants: &Grants,
    ) -> Result<api::KeepAliveResponse, Status> {
        let mut fields = Fields::default();
        let id = fields.lease_id(&request.lease_id);
        if request.lease_id.is_empty() {
            fields.reject("lease_id", "is required");
        }
        fields.check()?;
        let lease = match id {
            None => None,
            Some(id) if !self.is_for(id, Right::Write, grants).await? => None,
            Some(id) => match self.locks.keep_alive(id).await {
                Ok(lease) => Some(convert::lease(id, &lease)),
                Err(Error::LeaseExpired { .. }) => None,
                Err(error) => return Err(Failure::from(error).into()),
            },
        };
        Ok(api::KeepAliveResponse { lease_id: request.lease_id, lease })
    }
}

fn watch_command(request: api::WatchRequest, grants: Grants) -> Result<Watch, Failure> {
    let mut fields = Fields::default();
    let subject = if let Some(key) = request.key {
        let key = fields.key(Some(key));
        grants.require(Area::Lock, Right::Read, &key.access_resource())?;
        Subject::One(key)
    } else {
        let prefix = fields.optional_name("resource_id_prefix", request.resource_id_prefix);
        let filter = Filter {
            lock_type: fields.optional_name("type", request.r#type),
            resource_id_prefix: prefix.unwrap_or_default(),
            ..Filter::everything(grants)
        };
        fields.type_for_prefix(&filter);
        Subject::Many(filter)
    };
    let from = u64::try_from(request.from_revision).unwrap_or_else(|_| {
        fields.reject("from_revision", "is negative");
        0
    });
    let progress_interval = fields.duration("progress_interval", request.progress_interval, PROGRESS);
    fields.check()?;
    Ok(Watch { subject, from: (from != 0).then_some(Revision(from)), progress_interval })
}

fn response(step: Step) -> api::WatchResponse {
    let (at, update) = match step {
        Step::Snapshot(view) => (Revision::default(), Update::Snapshot(convert::lock(&view))),
        Step::SnapshotEnd(at) => (at, Update::SnapshotEnd(api::SnapshotEnd {})),
        Step::Event { key, event, revision } => (revision, Update::Event(convert::event(&key, &event))),
        Step::Progress(at) => (at, Update::Progress(api::Progress {})),
    };
    api::WatchResponse { revision: revision(at), update: Some(update) }
}
