//! Services that answer what they were told to, and remember what they were asked.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use futures::stream::{BoxStream, StreamExt, empty};
use steward_gateway::{Options, VolumeOptions, router};
use steward_proto::volume::v1::operation_service_server::{OperationService, OperationServiceServer};
use steward_proto::volume::v1::snapshot_service_server::{SnapshotService, SnapshotServiceServer};
use steward_proto::volume::v1::volume_service_server::{VolumeService, VolumeServiceServer};
use steward_proto::volume::v1::*;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

type Scripted = Box<dyn Any + Send>;
type Answers<T> = Result<Response<T>, Status>;
type Updates<T> = BoxStream<'static, Result<T, Status>>;

/// The services of volumes. What has no answer in the script is answered with an empty message.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<TypeId, VecDeque<Scripted>>,
    refusal: Option<Status>,
    asked: Vec<Scripted>,
}

impl Fake {
    /// Answers the requests whose answer has this type: one after the other, and the last one for ever.
    pub(super) fn answering<T: Clone + Send + 'static>(self, answer: T) -> Self {
        self.0.lock().unwrap().answers.entry(TypeId::of::<T>()).or_default().push_back(Box::new(answer));
        self
    }

    pub(super) fn refusing(refusal: Status) -> Self {
        let fake = Self::default();
        fake.refuse(Some(refusal));
        fake
    }

    pub(super) fn refuse(&self, refusal: Option<Status>) {
        self.0.lock().unwrap().refusal = refusal;
    }

    pub(super) fn router(&self) -> Router {
        self.router_with(VolumeOptions::default())
    }

    pub(super) fn router_with(&self, volumes: VolumeOptions) -> Router {
        self.router_until(Options { volumes, ..Options::default() }, CancellationToken::new())
    }

    pub(super) fn router_until(&self, options: Options, shutdown: CancellationToken) -> Router {
        let services = Routes::new(VolumeServiceServer::new(self.clone()))
            .add_service(SnapshotServiceServer::new(self.clone()))
            .add_service(OperationServiceServer::new(self.clone()));
        router(services.prepare(), options, shutdown)
    }

    /// The requests of this type, newest last.
    pub(super) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.0.lock().unwrap().asked.iter().filter_map(|asked| asked.downcast_ref().cloned()).collect()
    }

    /// The only request there was.
    pub(super) fn only<T: Clone + 'static>(&self) -> T {
        assert_eq!(self.count(), 1);
        self.asked().pop().unwrap()
    }

    /// How many requests there were.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    fn reply<Q: Send + 'static, T: Clone + Default + 'static>(&self, request: Request<Q>) -> Answers<T> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(Box::new(request.into_inner()));
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let Some(answers) = state.answers.get_mut(&TypeId::of::<T>()) else {
            return Ok(Response::new(T::default()));
        };
        let answer = answers.front().unwrap().downcast_ref::<T>().unwrap().clone();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(Response::new(answer))
    }
}

/// Services whose calls all get their answers from the script, but for what streams, which stays empty.
macro_rules! scripted {
    (
        $service:ident {
            $($name:ident: $request:ty => $response:ty,)*
            ; $($stream_name:ident, $stream:ident: $stream_request:ty => $stream_response:ty,)*
            ; $($upload_name:ident: $upload_request:ty => $upload_response:ty,)*
        }
    ) => {
        #[tonic::async_trait]
        impl $service for Fake {
            $(
                async fn $name(&self, request: Request<$request>) -> Answers<$response> {
                    self.reply(request)
                }
            )*
            $(
                type $stream = Updates<$stream_response>;

                async fn $stream_name(&self, _: Request<$stream_request>) -> Answers<Self::$stream> {
                    Ok(Response::new(empty().boxed()))
                }
            )*
            $(
                async fn $upload_name(&self, _: Request<Streaming<$upload_request>>) -> Answers<$upload_response> {
                    Ok(Response::new(<$upload_response>::default()))
                }
            )*
        }
    };
}

scripted!(VolumeService {
    create_volume: CreateVolumeRequest => CreateVolumeResponse,
    make_directory: MakeDirectoryRequest => MakeDirectoryResponse,
    get_volume: GetVolumeRequest => GetVolumeResponse,
    list_volumes: ListVolumesRequest => ListVolumesResponse,
    resize_volume: ResizeVolumeRequest => ResizeVolumeResponse,
    rename_volume: RenameVolumeRequest => RenameVolumeResponse,
    update_volume: UpdateVolumeRequest => UpdateVolumeResponse,
    delete_volume: DeleteVolumeRequest => DeleteVolumeResponse,
    restore_volume: RestoreVolumeRequest => RestoreVolumeResponse,
    purge_trash: PurgeTrashRequest => PurgeTrashResponse,
    flatten_volume: FlattenVolumeRequest => FlattenVolumeResponse,
    rollback_volume: RollbackVolumeRequest => RollbackVolumeResponse,
    ; read_volume, ReadVolumeStream: ReadVolumeRequest => ReadVolumeResponse,
    scrub_volumes, ScrubVolumesStream: ScrubVolumesRequest => ScrubVolumesResponse,
    watch_volumes, WatchVolumesStream: WatchVolumesRequest => WatchVolumesResponse,
    ; write_volume: WriteVolumeRequest => WriteVolumeResponse,
});

scripted!(SnapshotService {
    create_snapshot: CreateSnapshotRequest => CreateSnapshotResponse,
    create_group_snapshot: CreateGroupSnapshotRequest => CreateGroupSnapshotResponse,
    get_snapshot: GetSnapshotRequest => GetSnapshotResponse,
    list_snapshots: ListSnapshotsRequest => ListSnapshotsResponse,
    list_children: ListChildrenRequest => ListChildrenResponse,
    delete_snapshot: DeleteSnapshotRequest => DeleteSnapshotResponse,
    cancel_snapshot: CancelSnapshotRequest => CancelSnapshotResponse,
    update_snapshot: UpdateSnapshotRequest => UpdateSnapshotResponse,
    clone_snapshot: CloneSnapshotRequest => CloneSnapshotResponse,
    ; diff_snapshots, DiffSnapshotsStream: DiffSnapshotsRequest => DiffSnapshotsResponse,
    watch_snapshots, WatchSnapshotsStream: WatchSnapshotsRequest => WatchSnapshotsResponse,
    ;
});

scripted!(OperationService {
    get_operation: GetOperationRequest => GetOperationResponse,
    list_operations: ListOperationsRequest => ListOperationsResponse,
    wait_operation: WaitOperationRequest => WaitOperationResponse,
    cancel_operation: CancelOperationRequest => CancelOperationResponse,
    pause_operation: PauseOperationRequest => PauseOperationResponse,
    resume_operation: ResumeOperationRequest => ResumeOperationResponse,
    set_operation_speed: SetOperationSpeedRequest => SetOperationSpeedResponse,
    delete_operation: DeleteOperationRequest => DeleteOperationResponse,
    ; watch_operation, WatchOperationStream: WatchOperationRequest => WatchOperationResponse,
    ;
});
