//! Small services of replication for the tests of the commands, which keep everything in memory.

mod clusters;
mod tasks;

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::cluster_service_server::ClusterServiceServer;
use steward_proto::replication::v1::replication_service_server::ReplicationServiceServer;
use tonic::transport::Server;
use tonic::{Code, Request, Status};

use crate::cli::testing::{Running, refusal};

/// The run that tests are about.
pub(super) const RUN: &str = "63043f3ff0cad86bddf5e215";

/// What the services know and what they were asked.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tasks: Vec<pb::Task>,
    pub(super) executions: Vec<pb::Execution>,
    pub(super) clusters: Vec<pb::Cluster>,
    /// What a watch sends, one after the other; it stays open behind the last of them unless that is an end.
    pub(super) events: Vec<pb::WatchExecutionResponse>,
    pub(super) plan: Vec<pb::PlanExecutionResponse>,
    pub(super) results: Vec<pb::ArtifactResult>,
    pub(super) log: Vec<pb::LogLine>,
    asked: Vec<Box<dyn Any + Send + Sync>>,
}

/// A server on a loopback port that can be started again.
#[derive(Debug)]
pub(super) struct Fake {
    address: SocketAddr,
    service: Service,
    running: Option<Running>,
}

/// Both of the services.
#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<State>>);

impl Fake {
    pub(super) fn with(change: impl FnOnce(&mut State)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, service) = (listener.local_addr().unwrap(), Service::default());
        change(&mut service.state());
        Fake { address, running: Some(serve(listener, &service)), service }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn restart(&mut self) {
        self.running.take().unwrap().stop();
        self.running = Some(serve(TcpListener::bind(self.address).unwrap(), &self.service));
    }

    /// Changes what the services know.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.service.state());
    }

    /// The requests of this kind, in their order.
    pub(super) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        let state = self.service.state();
        state.asked.iter().filter_map(|request| request.downcast_ref().cloned()).collect()
    }
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Remembers a request.
    fn take<T: Clone + Send + Sync + 'static>(&self, request: Request<T>) -> T {
        let request = request.into_inner();
        self.state().asked.push(Box::new(request.clone()));
        request
    }
}

fn serve(listener: TcpListener, service: &Service) -> Running {
    let router = Server::builder()
        .add_service(ReplicationServiceServer::new(service.clone()))
        .add_service(ClusterServiceServer::new(service.clone()));
    Running::start(listener, router)
}

fn not_found(reason: &str) -> Status {
    refusal(Code::NotFound, reason)
}

/// The items of a page, and the token of the next: the number of the items before it. A page has two.
fn page<T: Clone>(items: &[T], token: &str) -> (Vec<T>, String) {
    let start = token.parse().unwrap_or(0).min(items.len());
    let end = items.len().min(start + 2);
    (items[start..end].to_vec(), if end < items.len() { end.to_string() } else { String::new() })
}
