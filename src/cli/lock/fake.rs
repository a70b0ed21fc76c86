//! A small lock service for the tests of the commands: enough of the rules to be waited for, lost and restarted.

mod service;

use std::net::{SocketAddr, TcpListener};

use steward_proto::lock::v1 as pb;
use steward_proto::lock::v1::lock_service_server::LockServiceServer;
use tokio::sync::watch;
use tonic::transport::Server;

use self::service::Service;
use crate::cli::testing::Running;

/// What the service knows, what it was asked, and how it misbehaves. It survives restarts.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) holder: Option<pb::Grant>,
    pub(super) completion: Option<pb::Completion>,
    /// The next request for the lock is told that its grant has ended.
    pub(super) is_request_ended: bool,
    pub(super) is_watch_compacted: bool,
    pub(super) stored_locks: Vec<pb::Lock>,
    pub(super) acquires: Vec<pb::AcquireRequest>,
    pub(super) releases: Vec<pb::ReleaseRequest>,
    pub(super) lists: Vec<pb::ListRequest>,
    pub(super) watches: Vec<pb::WatchRequest>,
    pub(super) renewal_count: usize,
    pub(super) cancel_count: usize,
    newest_token: i64,
}

/// A server on a loopback port that can be stopped, as by `kill -9`, and started again.
#[derive(Debug)]
pub(super) struct Fake {
    address: SocketAddr,
    state: watch::Sender<State>,
    running: Option<Running>,
}

impl Fake {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::default());
        let running = Some(serve(listener, &state));
        Fake { address, state, running }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the server and its connections in the middle of whatever they do.
    pub(super) fn stop(&mut self) {
        self.running.take().unwrap().stop();
    }

    pub(super) fn start_again(&mut self) {
        self.running = Some(serve(TcpListener::bind(self.address).unwrap(), &self.state));
    }

    /// Changes what the service knows.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// Looks at what the service knows.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Returns when the state is as `is_so` says.
    pub(super) async fn until(&self, is_so: impl FnMut(&State) -> bool) {
        self.state.subscribe().wait_for(is_so).await.unwrap();
    }
}

impl State {
    pub(super) fn grant_to(&mut self, owner: &str) -> pb::Grant {
        self.newest_token += 1;
        let grant = pb::Grant {
            owner: owner.to_owned(),
            grant_id: format!("grant-{}", self.newest_token),
            fencing_token: self.newest_token,
            ..pb::Grant::default()
        };
        self.holder = Some(grant.clone());
        grant
    }
}

fn serve(listener: TcpListener, state: &watch::Sender<State>) -> Running {
    let service = LockServiceServer::new(Service { state: state.clone() });
    Running::start(listener, Server::builder().add_service(service))
}
