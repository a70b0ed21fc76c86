//! `SnapshotService`.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::snapshot_service_server::SnapshotService;
use tonic::{Request, Response, Status};

use super::rights::Asker;
use super::{VolumeServer, answer, fields, watch};
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::volume::clone::{CloneVolume, Source};
use crate::volume::convert;
use crate::volume::convert_operation;
use crate::volume::convert_snapshot;
use crate::volume::driver::DiffExtent;
use crate::volume::error::Error;
use crate::volume::lookup::WithSpace;
use crate::volume::path::MAX_NAME_BYTES;
use crate::volume::snapshot_create::{CreateSnapshot, MAX_GROUP, MadeSnapshots};
use crate::volume::snapshot_delete::{Children, SnapshotChange};
use crate::volume::snapshots::{SnapshotFilter, WhichSnapshot};

/// The most clones that one answer lists.
const MAX_CHILDREN: usize = 10_000;

#[tonic::async_trait]
impl SnapshotService for VolumeServer {
    type DiffSnapshotsStream = BoxStream<'static, Result<api::DiffSnapshotsResponse, Status>>;
    type WatchSnapshotsStream = BoxStream<'static, Result<api::WatchSnapshotsResponse, Status>>;

    async fn create_snapshot(
        &self,
        request: Request<api::CreateSnapshotRequest>,
    ) -> Result<Response<api::CreateSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_create(asker, request.into_inner()).await)
    }

    async fn create_group_snapshot(
        &self,
        request: Request<api::CreateGroupSnapshotRequest>,
    ) -> Result<Response<api::CreateGroupSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_create_group(asker, request.into_inner()).await)
    }

    async fn get_snapshot(
        &self,
        request: Request<api::GetSnapshotRequest>,
    ) -> Result<Response<api::GetSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_get(asker, request.into_inner()).await)
    }

    async fn list_snapshots(
        &self,
        request: Request<api::ListSnapshotsRequest>,
    ) -> Result<Response<api::ListSnapshotsResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_list(asker, request.into_inner()).await)
    }

    async fn list_children(
        &self,
        request: Request<api::ListChildrenRequest>,
    ) -> Result<Response<api::ListChildrenResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_children(asker, request.into_inner()).await)
    }

    async fn delete_snapshot(
        &self,
        request: Request<api::DeleteSnapshotRequest>,
    ) -> Result<Response<api::DeleteSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_delete(asker, request.into_inner()).await)
    }

    async fn cancel_snapshot(
        &self,
        request: Request<api::CancelSnapshotRequest>,
    ) -> Result<Response<api::CancelSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let which = fields::which_snapshot("snapshot", request.into_inner().snapshot).map_err(Failure::from)?;
        match self.require_snapshot(&asker, Right::Write, &which).await {
            // What is not there cannot be cancelled, and that is what is said of it.
            Err(refused) if refused.category() == Category::NotFound => {
                answer(Err(Error::NotCancellable(which.to_string())))
            }
            Err(refused) => answer(Err(refused)),
            Ok(()) => {
                let cancelled = self.catalog.cancel_snapshot(&asker.user, &which).await;
                answer(cancelled.map(|()| api::CancelSnapshotResponse {}))
            }
        }
    }

    async fn update_snapshot(
        &self,
        request: Request<api::UpdateSnapshotRequest>,
    ) -> Result<Response<api::UpdateSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_update(asker, request.into_inner()).await)
    }

    async fn clone_snapshot(
        &self,
        request: Request<api::CloneSnapshotRequest>,
    ) -> Result<Response<api::CloneSnapshotResponse>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_clone(asker, request.into_inner()).await)
    }

    async fn diff_snapshots(
        &self,
        request: Request<api::DiffSnapshotsRequest>,
    ) -> Result<Response<Self::DiffSnapshotsStream>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(self.handle_diff(asker, request.into_inner()).await)
    }

    async fn watch_snapshots(
        &self,
        request: Request<api::WatchSnapshotsRequest>,
    ) -> Result<Response<Self::WatchSnapshotsStream>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(watch::snapshots(self, asker, request.into_inner().revision))
    }
}

impl VolumeServer {
    async fn handle_create(
        &self,
        asker: Asker,
        request: api::CreateSnapshotRequest,
    ) -> Result<api::CreateSnapshotResponse, Failure> {
        let volume = fields::which("volume", request.volume)?;
        let mut read = Fields::default();
        read.snapshot_name("name", &request.name);
        read.volume_labels("labels", &request.labels);
        let ttl = read.duration("ttl", request.ttl, fields::SNAPSHOT_TTL);
        read.check()?;
        let what = CreateSnapshot {
            name: request.name,
            labels: request.labels,
            ttl,
            protected: request.protected,
            ..CreateSnapshot::default()
        };
        self.require(&asker, Right::Write, &volume).await?;
        let MadeSnapshots { snapshots, created, pause, .. } =
            self.catalog.create_snapshot(&asker.user, volume, what).await?;
        Ok(api::CreateSnapshotResponse {
            snapshot: snapshots.into_iter().next().map(convert_snapshot::snapshot),
            created,
            pause: prost_types::Duration::try_from(pause).ok(),
        })
    }

    async fn handle_create_group(
        &self,
        asker: Asker,
        request: api::CreateGroupSnapshotRequest,
    ) -> Result<api::CreateGroupSnapshotResponse, Failure> {
        let mut read = Fields::default();
        read.snapshot_name("name", &request.name);
        read.volume_labels("labels", &request.labels);
        let ttl = read.duration("ttl", request.ttl, fields::SNAPSHOT_TTL);
        if request.volumes.is_empty() || request.volumes.len() > MAX_GROUP {
            read.reject("volumes", format!("has to name between 1 and {MAX_GROUP} volumes"));
        }
        read.check()?;
        let volumes = request.volumes.into_iter().map(|name| fields::which("volumes", Some(name)));
        let volumes = volumes.collect::<Result<Vec<_>, _>>()?;
        for volume in &volumes {
            self.require(&asker, Right::Write, volume).await?;
        }
        let what = CreateSnapshot { name: request.name, labels: request.labels, ttl, ..CreateSnapshot::default() };
        let MadeSnapshots { snapshots, group, pause, .. } =
            self.catalog.create_group_snapshot(&asker.user, volumes, what).await?;
        Ok(api::CreateGroupSnapshotResponse {
            group,
            snapshots: snapshots.into_iter().map(convert_snapshot::snapshot).collect(),
            pause: prost_types::Duration::try_from(pause).ok(),
        })
    }

    async fn handle_get(
        &self,
        asker: Asker,
        request: api::GetSnapshotRequest,
    ) -> Result<api::GetSnapshotResponse, Failure> {
        let which = fields::which_snapshot("snapshot", request.snapshot)?;
        self.require_snapshot(&asker, Right::Read, &which).await?;
        let mut shown = self.catalog.get_snapshot(&asker.user, &which).await?;
        if request.with_usage {
            shown.unique_bytes = Some(self.catalog.snapshot_space(&shown.record).await?);
        }
        Ok(api::GetSnapshotResponse { snapshot: Some(convert_snapshot::snapshot(shown)) })
    }

    async fn handle_list(
        &self,
        asker: Asker,
        request: api::ListSnapshotsRequest,
    ) -> Result<api::ListSnapshotsResponse, Failure> {
        let mut read = Fields::default();
        let filter = SnapshotFilter {
            volume: fields::optional_which("volume", request.volume)?,
            owner: some(request.owner),
            uuid: read.uuid("uuid", &request.uuid).map(uuid::Uuid::from_bytes),
            name: some(request.name),
            is_deleting: states(&mut read, &request.states),
            group: some(request.group),
            with_hidden: request.with_hidden,
            reach: asker.reach.clone(),
        };
        let begin = read.volume_page_token(&request.page_token).and_then(|token| token.parse().ok());
        let page_size = Fields::volume_page_size(request.page_size);
        read.check()?;
        if let Some(volume) = &filter.volume
            && let Err(refused) = self.require(&asker, Right::Read, volume).await
            && refused.category() == Category::NotFound
        {
            // One that is not there, or not for the caller, has none. What else is wrong with it is found below.
            return Ok(api::ListSnapshotsResponse::default());
        }
        let skip = begin.unwrap_or_else(|| usize::try_from(request.skip).unwrap_or(usize::MAX));
        if none_matches(&request.states) {
            return Ok(api::ListSnapshotsResponse::default());
        }
        let (mut page, total) = self.catalog.list_snapshots(&asker.user, &filter, skip, page_size).await?;
        if request.with_usage {
            for shown in &mut page {
                shown.unique_bytes = Some(self.catalog.snapshot_space(&shown.record).await?);
            }
        }
        let end = skip.saturating_add(page.len());
        let has_more = !page.is_empty() && end < total;
        Ok(api::ListSnapshotsResponse {
            snapshots: page.into_iter().map(convert_snapshot::snapshot).collect(),
            next_page_token: if has_more { fields::page_token(&end.to_string()) } else { String::new() },
            total_size: total as u64,
        })
    }

    async fn handle_children(
        &self,
        asker: Asker,
        request: api::ListChildrenRequest,
    ) -> Result<api::ListChildrenResponse, Failure> {
        let records = if request.snapshot.is_some() {
            let which = fields::which_snapshot("snapshot", request.snapshot)?;
            self.require_snapshot(&asker, Right::Read, &which).await?;
            let snapshot = self.catalog.get_snapshot(&asker.user, &which).await?.record;
            let uuid = crate::volume::operation::uuid_of(&snapshot.uuid)?;
            self.catalog.children_of_snapshot(uuid, MAX_CHILDREN).await?
        } else {
            let volume = fields::which("volume", request.volume)?;
            self.require(&asker, Right::Read, &volume).await?;
            let volume = self.catalog.get_volume(&asker.user, &volume, WithSpace::No).await?;
            self.catalog.children_of_volume(volume.record.id, MAX_CHILDREN).await?
        };
        let mut volumes = Vec::new();
        for record in records {
            let shown = self.catalog.show_volume(record.id).await?;
            if asker.reach.sees(&shown.record, &shown.path) {
                volumes.push(convert::volume(shown));
            }
        }
        Ok(api::ListChildrenResponse { volumes })
    }

    async fn handle_delete(
        &self,
        asker: Asker,
        request: api::DeleteSnapshotRequest,
    ) -> Result<api::DeleteSnapshotResponse, Failure> {
        let which = fields::which_snapshot("snapshot", request.snapshot)?;
        let mut read = Fields::default();
        let children = match read.known("child_policy", request.child_policy) {
            api::ChildPolicy::Unspecified | api::ChildPolicy::Fail => Children::Fail,
            api::ChildPolicy::Defer => Children::Defer,
            api::ChildPolicy::Flatten => Children::Flatten,
        };
        read.check()?;
        self.require_snapshot(&asker, Right::Write, &which).await?;
        let children = match children {
            // As one that has clones is refused: nobody changes those of others.
            Children::Flatten if !self.may_flatten(&asker, &which).await? => Children::Fail,
            children => children,
        };
        let operation = self.catalog.delete_snapshot_within(&asker.reach, &asker.user, &which, children).await?;
        let operation = self.catalog.show_operation(operation).await?;
        Ok(api::DeleteSnapshotResponse { operation: Some(convert_operation::operation(operation)) })
    }

    /// Whether the caller may write to all clones that need a snapshot.
    async fn may_flatten(&self, asker: &Asker, which: &WhichSnapshot) -> Result<bool, Failure> {
        if asker.reach.is_everything() {
            return Ok(true);
        }
        let snapshot = self.catalog.get_snapshot(&asker.user, which).await?.record;
        let uuid = crate::volume::operation::uuid_of(&snapshot.uuid)?;
        for clone in self.catalog.children_of_snapshot(uuid, usize::MAX).await? {
            if !asker.reach.has(Right::Write, &self.catalog.place_of_id(clone.id).await?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn handle_update(
        &self,
        asker: Asker,
        request: api::UpdateSnapshotRequest,
    ) -> Result<api::UpdateSnapshotResponse, Failure> {
        let which = fields::which_snapshot("snapshot", request.snapshot)?;
        let mut read = Fields::default();
        if request.set_labels {
            read.volume_labels("labels", &request.labels);
        }
        let change = SnapshotChange {
            protected: request.protected,
            locked_until_us: read.volume_time("locked_until", request.locked_until),
            expire_us: read.volume_time("expire_time", request.expire_time),
            labels: request.set_labels.then_some(request.labels),
        };
        read.check()?;
        self.require_snapshot(&asker, Right::Write, &which).await?;
        let shown = self.catalog.update_snapshot(&asker.user, &which, &change).await?;
        Ok(api::UpdateSnapshotResponse { snapshot: Some(convert_snapshot::snapshot(shown)) })
    }

    async fn handle_clone(
        &self,
        asker: Asker,
        request: api::CloneSnapshotRequest,
    ) -> Result<api::CloneSnapshotResponse, Failure> {
        use api::clone_snapshot_request::Source as Named;
        let source = match request.source {
            Some(Named::Snapshot(name)) => Source::Snapshot(fields::which_snapshot("snapshot", Some(name))?),
            Some(Named::Volume(name)) => Source::Volume(fields::which("volume", Some(name))?),
            None => return Err(Failure::invalid([("source", "is required: a snapshot or a volume".to_owned())])),
        };
        let destination = fields::path("destination", &request.destination)?;
        let mut read = Fields::default();
        read.volume_labels("labels", &request.labels);
        read.check()?;
        let what = CloneVolume {
            destination,
            read_only: request.read_only,
            full_copy: request.full_copy,
            pool: request.pool,
            labels: request.labels,
            size_bytes: request.size_bytes,
        };
        match &source {
            Source::Snapshot(which) => self.require_snapshot(&asker, Right::Read, which).await?,
            // A snapshot is made of it, and the clone is read as it is.
            Source::Volume(which) => {
                self.require(&asker, Right::Read, which).await?;
                self.require(&asker, Right::Write, which).await?;
            }
        }
        asker.require_at(Right::Write, &what.destination)?;
        let made = self.catalog.clone_volume(&asker.user, source, what).await?;
        let operation = self.catalog.show_operation(made.operation).await?;
        Ok(api::CloneSnapshotResponse {
            operation: Some(convert_operation::operation(operation)),
            volume: Some(convert::volume(self.catalog.show_volume(made.volume.id).await?)),
            created: made.created,
        })
    }
}

impl VolumeServer {
    async fn handle_diff(
        &self,
        asker: Asker,
        request: api::DiffSnapshotsRequest,
    ) -> Result<BoxStream<'static, Result<api::DiffSnapshotsResponse, Status>>, Failure> {
        let which = fields::which_snapshot("snapshot", request.snapshot)?;
        let mut read = Fields::default();
        read.text("base", &request.base, MAX_NAME_BYTES);
        read.check()?;
        let base = some(request.base);
        self.require_snapshot(&asker, Right::Read, &which).await?;
        let diff = self.catalog.diff(&asker.user, &which, base.as_deref(), request.offset).await?;
        // The first answer says how long the snapshot is, also where nothing differs.
        Ok(stream::unfold((diff, true), |(mut diff, is_first)| async move {
            let batch = match diff.next().await {
                Ok(batch) if batch.is_empty() && !is_first => return None,
                Ok(batch) => Ok(api::DiffSnapshotsResponse {
                    extents: batch.into_iter().map(extent).collect(),
                    size_bytes: diff.size,
                }),
                Err(error) => Err(Status::from(Failure::from(error))),
            };
            Some((batch, (diff, false)))
        })
        .boxed())
    }
}

fn extent(part: DiffExtent) -> api::Extent {
    api::Extent { offset: part.offset, length: part.length, is_zero: part.is_zero }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Which snapshots the states stand for: those that are being deleted, the others, or all.
fn states(read: &mut Fields, states: &[i32]) -> Option<bool> {
    let known: Vec<api::SnapshotState> = states.iter().map(|state| read.known("states", *state)).collect();
    let (deleting, done) = (known.contains(&api::SnapshotState::Deleting), known.contains(&api::SnapshotState::Done));
    (deleting != done).then_some(deleting)
}

/// Whether states are named in which no snapshot ever is.
fn none_matches(states: &[i32]) -> bool {
    let is_possible = |state: &i32| {
        matches!(api::SnapshotState::try_from(*state), Ok(api::SnapshotState::Deleting | api::SnapshotState::Done))
    };
    !states.is_empty() && !states.iter().any(is_possible)
}
