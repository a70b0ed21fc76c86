//! A small service of artifacts for the tests of the commands, which keeps everything in memory.

mod service;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::artifact_service_server::ArtifactServiceServer;
use tonic::transport::Server;

use self::service::Service;
use crate::cli::testing::Running;

/// What the service knows, what it was asked, and how it misbehaves.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) projects: Vec<pb::Project>,
    pub(super) repositories: Vec<pb::Repository>,
    /// By path, in the one repository of files.
    pub(super) files: BTreeMap<String, (pb::File, Bytes)>,
    pub(super) packages: Vec<pb::Package>,
    pub(super) versions: Vec<pb::PackageVersion>,
    /// By reference, in the one image.
    pub(super) manifests: BTreeMap<String, (pb::Manifest, Bytes)>,
    pub(super) blobs: BTreeMap<String, Bytes>,
    pub(super) referrers: Vec<pb::Descriptor>,
    /// What a watch sends before it breaks off.
    pub(super) changes: Vec<pb::ArtifactChange>,
    /// Bytes are stored and sent otherwise than they came.
    pub(super) lies: bool,
    /// So many downloads break off in the middle.
    pub(super) broken_downloads: usize,
    /// Uploads that are under way, by id.
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    /// So many times the next call of this name does what it is asked and breaks off without an answer.
    pub(super) lost_answers: BTreeMap<&'static str, usize>,
    /// So many writes to uploads break off behind their first chunk.
    pub(super) broken_uploads: usize,
    pub(super) asked: Vec<Box<dyn Any + Send + Sync>>,
}

/// A server on a loopback port that can be started again.
#[derive(Debug)]
pub(super) struct Fake {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    running: Option<Running>,
}

impl Fake {
    /// With the project `p1` and its repositories `files` and `images`.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::default());
        let fake = Fake { address, running: Some(serve(listener, &state)), state };
        fake.change(|state| {
            state.projects.push(pb::Project { name: "p1".to_owned(), ..pb::Project::default() });
            for (name, held) in [("files", pb::RepositoryType::Generic), ("images", pb::RepositoryType::Docker)] {
                state.repositories.push(pb::Repository {
                    project: "p1".to_owned(),
                    name: name.to_owned(),
                    r#type: held.into(),
                    ..pb::Repository::default()
                });
            }
        });
        fake
    }

    /// The same, with files in `p1/files`.
    pub(super) fn with(files: &[(&str, &'static [u8])]) -> Self {
        let fake = Self::start();
        fake.change(|state| {
            for (path, bytes) in files {
                state.put(path, Bytes::from_static(bytes));
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

    /// The requests of this kind, in their order.
    pub(super) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.look(|state| state.asked.iter().filter_map(|request| request.downcast_ref().cloned()).collect())
    }
}

impl State {
    /// The answer to a call, unless it is to be lost.
    fn answered<T>(&mut self, call: &'static str, answer: T) -> Result<tonic::Response<T>, tonic::Status> {
        match self.lost_answers.get_mut(call) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(crate::cli::testing::refusal(tonic::Code::Unavailable, "SHUTTING_DOWN"))
            }
            Some(_) | None => Ok(tonic::Response::new(answer)),
        }
    }

    fn put(&mut self, path: &str, bytes: Bytes) -> pb::File {
        let file = pb::File {
            project: "p1".to_owned(),
            repository: "files".to_owned(),
            path: path.to_owned(),
            size: i64::try_from(bytes.len()).unwrap(),
            sha256: sha256(&bytes),
            ..pb::File::default()
        };
        self.files.insert(path.to_owned(), (file.clone(), bytes));
        file
    }
}

fn serve(listener: TcpListener, state: &Arc<Mutex<State>>) -> Running {
    let service = ArtifactServiceServer::new(Service { state: state.clone() });
    Running::start(listener, Server::builder().add_service(service))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
