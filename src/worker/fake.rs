//! A small server for the tests of the worker: sessions that a test conducts by hand, and a video that can be fetched
//! and brought back.

mod session;
mod videos;

use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::session_request::Message as Said;
use steward_proto::transcode::v1::session_response::Message;
use steward_proto::transcode::v1::video_service_server::VideoServiceServer;
use steward_proto::transcode::v1::worker_service_server::WorkerServiceServer;
use tokio::sync::{mpsc, watch};
use tonic::Status;
use tonic::transport::Server;

use self::session::Sessions;
use self::videos::Videos;
use crate::cli::testing::Running;

/// What the server knows, what it was told, and how it misbehaves. It survives restarts.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) hellos: Vec<pb::Hello>,
    /// Everything after the hellos.
    pub(super) said: Vec<pb::SessionRequest>,
    /// Sessions that the worker has ended itself.
    pub(super) farewell_count: usize,
    /// Nothing is acknowledged.
    pub(super) holds_acks: bool,
    /// Ends of tasks are not acknowledged.
    pub(super) holds_ends: bool,
    /// Tasks that the server no longer knows.
    pub(super) lost: Vec<String>,
    /// The next sessions are refused, each so.
    pub(super) refusals: Vec<Status>,
    /// To the worker of the newest session.
    to_worker: Option<mpsc::UnboundedSender<Result<pb::SessionResponse, Status>>>,
    /// The video of every task.
    pub(super) source: Bytes,
    /// The next download breaks off after so many bytes.
    pub(super) source_break: Option<usize>,
    pub(super) downloads: Vec<pb::ReadSourceRequest>,
    pub(super) result: Vec<u8>,
    /// The next upload breaks off after so many bytes.
    pub(super) result_break: Option<usize>,
    /// The first messages of uploads, without their bytes.
    pub(super) uploads: Vec<pb::WriteResultRequest>,
    /// The digest of an upload that came to its end.
    pub(super) digest: Bytes,
}

impl State {
    pub(super) fn finished(&self) -> Vec<&pb::TaskFinished> {
        self.messages().filter_map(|said| if let Said::Finished(end) = said { Some(end) } else { None }).collect()
    }

    pub(super) fn lines(&self) -> Vec<&pb::LogLine> {
        self.messages().filter_map(|said| if let Said::Log(line) = said { Some(line) } else { None }).collect()
    }

    pub(super) fn progress(&self) -> Vec<&pb::TaskProgress> {
        self.messages().filter_map(|said| if let Said::Progress(it) = said { Some(it) } else { None }).collect()
    }

    fn messages(&self) -> impl DoubleEndedIterator<Item = &Said> {
        self.said.iter().filter_map(|request| request.message.as_ref())
    }

    /// The number of free slots that the worker told last.
    pub(super) fn free_slots(&self) -> Option<i32> {
        self.messages().rev().find_map(|said| if let Said::Ready(ready) = said { Some(ready.free_slots) } else { None })
    }
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

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Returns when the state is as `is_so` says.
    pub(super) async fn until(&self, is_so: impl FnMut(&State) -> bool) {
        self.state.subscribe().wait_for(is_so).await.unwrap();
    }

    /// Tells the worker something.
    pub(super) fn tell(&self, message: Message) {
        let response = pb::SessionResponse { message: Some(message) };
        self.look(|state| state.to_worker.as_ref().unwrap().send(Ok(response)).unwrap());
    }

    /// Waits for the worker to be free, and assigns the task of this number.
    pub(super) async fn assign(&self, number: u8, video_path: &str) {
        self.assign_scanned(number, video_path, 0).await;
    }

    /// The same for a video that had so many bytes when it was scanned.
    pub(super) async fn assign_scanned(&self, number: u8, video_path: &str, source_bytes: i64) {
        self.until(|state| state.free_slots().is_some_and(|slots| slots > 0)).await;
        self.assign_now(number, video_path, source_bytes);
    }

    /// The same, whether the worker is free or not.
    pub(super) fn assign_now(&self, number: u8, video_path: &str, source_bytes: i64) {
        let task = pb::Task {
            task_id: task_id(number),
            lease_token: format!("lease-{number}"),
            video_path: video_path.to_owned(),
            source_bytes,
            ..pb::Task::default()
        };
        self.tell(Message::Assign(pb::Assign { task: Some(task), allow_larger: false, duration: 0.0 }));
    }

    /// Waits for the end of a task, and returns it.
    pub(super) async fn end_of(&self, number: u8) -> pb::TaskFinished {
        let task_id = task_id(number);
        let find = |state: &State| state.finished().into_iter().find(|end| end.task_id == task_id).cloned();
        self.until(|state| find(state).is_some()).await;
        self.look(find).unwrap()
    }
}

pub(super) fn task_id(number: u8) -> String {
    uuid::Uuid::from_bytes([number; 16]).to_string()
}

fn serve(listener: TcpListener, state: &watch::Sender<State>) -> Running {
    let workers = WorkerServiceServer::new(Sessions { state: state.clone() });
    let videos = VideoServiceServer::new(Videos { state: state.clone() });
    Running::start(listener, Server::builder().add_service(workers).add_service(videos))
}
