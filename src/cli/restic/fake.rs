//! A small service of repositories for the tests of the commands, which keeps the objects in memory.

mod service;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_server::ObjectServiceServer;
use tonic::transport::Server;

use self::service::Service;
use crate::cli::testing::Running;

/// What the service knows, what it was asked, and how it misbehaves.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) repositories: BTreeMap<String, pb::Repository>,
    /// By repository, type and name.
    pub(super) objects: BTreeMap<(String, pb::ObjectType, String), Bytes>,
    pub(super) deleted: Vec<pb::DeletedObject>,
    pub(super) findings: BTreeMap<String, Vec<pb::Finding>>,
    /// A verification breaks off before its end.
    pub(super) breaks_off: bool,
    /// Repositories that take nothing more.
    pub(super) full: Vec<String>,
    /// So many uploads are told to come again.
    pub(super) busy_count: usize,
    /// The uploads in the order in which they came to their end, such as `alice data/ab…`.
    pub(super) uploads: Vec<String>,
    pub(super) largest_chunk: usize,
    pub(super) undeletes: Vec<pb::UndeleteObjectsRequest>,
    pub(super) verifications: Vec<pb::VerifyRepositoryRequest>,
    pub(super) watches: Vec<pb::WatchRequest>,
}

/// A server on a loopback port that can be started again.
#[derive(Debug)]
pub(super) struct Fake {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    running: Option<Running>,
}

impl Fake {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::default());
        Fake { address, running: Some(serve(listener, &state)), state }
    }

    /// With the repositories `paths`.
    pub(super) fn with(paths: &[&str]) -> Self {
        let fake = Self::start();
        fake.change(|state| {
            for path in paths {
                let repository = pb::Repository { path: (*path).to_owned(), ..pb::Repository::default() };
                state.repositories.insert((*path).to_owned(), repository);
            }
        });
        fake
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn restart(&mut self) {
        self.running.take().unwrap().stop();
        self.running = Some(serve(TcpListener::bind(self.address).unwrap(), &self.state));
    }

    /// Changes what the service knows.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Looks at what the service knows.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }
}

fn serve(listener: TcpListener, state: &Arc<Mutex<State>>) -> Running {
    let service = ObjectServiceServer::new(Service { state: state.clone() });
    Running::start(listener, Server::builder().add_service(service))
}

/// The name of an object with these bytes.
pub(super) fn name_of(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A key in the repository `alice`.
pub(super) fn key(kind: pb::ObjectType, name: &str) -> pb::ObjectKey {
    pb::ObjectKey { repository: "alice".to_owned(), r#type: kind.into(), name: name.to_owned() }
}
