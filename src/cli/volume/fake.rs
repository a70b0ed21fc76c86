//! Small services of volumes for the tests of the commands, which keep everything in memory.

mod exports;
mod operations;
mod policies;
mod snapshots;
mod volumes;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::export_service_server::ExportServiceServer;
use steward_proto::volume::v1::operation_service_server::OperationServiceServer;
use steward_proto::volume::v1::policy_service_server::PolicyServiceServer;
use steward_proto::volume::v1::snapshot_service_server::SnapshotServiceServer;
use steward_proto::volume::v1::volume_service_server::VolumeServiceServer;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Code, Response, Status};

use crate::cli::testing::{Running, refusal};

/// What the services know and what they were asked.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) volumes: Vec<pb::Volume>,
    pub(super) snapshots: Vec<pb::Snapshot>,
    pub(super) exports: Vec<pb::Export>,
    pub(super) policies: BTreeMap<String, pb::SnapshotPolicy>,
    pub(super) usages: Vec<pb::Usage>,
    /// What a watch of an operation sends; the last of them is how it stands.
    pub(super) operation: Vec<pb::Operation>,
    /// What the streams send.
    pub(super) reads: Vec<pb::ReadVolumeResponse>,
    pub(super) diff: Vec<pb::DiffSnapshotsResponse>,
    pub(super) scrub: Vec<pb::ScrubVolumesResponse>,
    pub(super) volume_events: Vec<pb::VolumeEvent>,
    pub(super) snapshot_events: Vec<pb::SnapshotEvent>,
    /// The bytes of writes that came to their end.
    pub(super) written: Vec<Vec<pb::write_volume_request::Part>>,
    /// So many updates find that somebody else was quicker.
    pub(super) quicker: usize,
    /// No volume is shorter.
    pub(super) minimum: u64,
    asked: Vec<Box<dyn Any + Send + Sync>>,
}

/// A server on a loopback port.
#[derive(Debug)]
pub(super) struct Fake {
    url: String,
    service: Service,
    _running: Running,
}

impl Fake {
    pub(super) fn with(change: impl FnOnce(&mut State)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Service(watch::Sender::new(State::default()));
        service.0.send_modify(change);
        let router = Server::builder()
            .add_service(VolumeServiceServer::new(service.clone()))
            .add_service(SnapshotServiceServer::new(service.clone()))
            .add_service(OperationServiceServer::new(service.clone()))
            .add_service(PolicyServiceServer::new(service.clone()))
            .add_service(ExportServiceServer::new(service.clone()));
        Fake { url, service, _running: Running::start(listener, router) }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Changes what the services know.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.service.0.send_modify(change);
    }

    /// Returns when the services know what `is_so` says.
    pub(super) async fn until(&self, is_so: impl FnMut(&State) -> bool) {
        self.service.0.subscribe().wait_for(is_so).await.unwrap();
    }

    /// Looks at what the services know.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.service.0.borrow())
    }

    /// The requests of this kind, in their order.
    pub(super) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.look(|state| state.asked.iter().filter_map(|request| request.downcast_ref().cloned()).collect())
    }
}

/// All of the services.
#[derive(Clone, Debug)]
struct Service(watch::Sender<State>);

impl Service {
    /// Remembers a request and looks at the state, or changes it.
    fn take<R: Clone + Send + Sync + 'static, T>(&self, request: &R, answer: impl FnOnce(&mut State) -> T) -> T {
        let mut answered = None;
        self.0.send_modify(|state| {
            state.asked.push(Box::new(request.clone()));
            answered = Some(answer(state));
        });
        answered.unwrap()
    }
}

type Sent<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream of `messages`, which ends after them.
fn sent<T: Send + 'static>(messages: Vec<T>) -> Response<Sent<T>> {
    Response::new(stream::iter(messages).map(Ok).boxed())
}

/// The items of a page, and the token of the next: the number of the items before it. A page has two.
fn page<T: Clone>(items: &[T], token: &str) -> (Vec<T>, String) {
    let start = token.parse().unwrap_or(0).min(items.len());
    let end = items.len().min(start + 2);
    (items[start..end].to_vec(), if end < items.len() { end.to_string() } else { String::new() })
}

fn not_found() -> Status {
    refusal(Code::NotFound, "NOT_FOUND")
}

impl State {
    fn volume(&mut self, name: Option<&pb::VolumeName>) -> Result<&mut pb::Volume, Status> {
        let name = name.unwrap();
        let is_it = |volume: &&mut pb::Volume| volume.path == name.path || volume.id == name.id;
        self.volumes.iter_mut().find(is_it).ok_or_else(not_found)
    }

    fn snapshot(&mut self, name: Option<&pb::SnapshotName>) -> Result<&mut pb::Snapshot, Status> {
        let name = name.unwrap();
        let is_it = |snapshot: &&mut pb::Snapshot| {
            snapshot.uuid == name.uuid || (snapshot.volume_path == name.volume_path && snapshot.name == name.name)
        };
        self.snapshots.iter_mut().find(is_it).ok_or_else(not_found)
    }

    /// How the operation stands.
    fn operation(&self) -> Option<pb::Operation> {
        self.operation.last().cloned()
    }
}
