//! A small farm for the tests of the commands, which keeps everything in memory.

mod libraries;
mod logs;
mod tasks;
mod videos;
mod workers;

use std::any::Any;
use std::collections::VecDeque;
use std::net::TcpListener;

use futures::{StreamExt as _, stream};
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_server::LibraryServiceServer;
use steward_proto::transcode::v1::log_service_server::LogServiceServer;
use steward_proto::transcode::v1::task_service_server::TaskServiceServer;
use steward_proto::transcode::v1::video_service_server::VideoServiceServer;
use steward_proto::transcode::v1::worker_service_server::WorkerServiceServer;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Code, Response, Status};

use crate::cli::testing::{AnswerStream, Running, refusal};

/// What the farm knows and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) workers: Vec<pb::Worker>,
    pub(crate) tasks: Vec<pb::Task>,
    pub(crate) videos: Vec<pb::Video>,
    pub(crate) logs: Vec<pb::LogEntry>,
    pub(crate) libraries: Vec<pb::Library>,
    /// What the streams send, one after the other; each but the last breaks off at its end.
    pub(crate) worker_streams: VecDeque<Vec<pb::WatchWorkersResponse>>,
    pub(crate) task_streams: VecDeque<Vec<pb::WatchTasksResponse>>,
    pub(crate) video_streams: VecDeque<Vec<pb::WatchVideosResponse>>,
    pub(crate) log_streams: VecDeque<Vec<pb::WatchLogsResponse>>,
    pub(crate) scan: Vec<pb::ScanLibraryResponse>,
    /// Videos that cannot be registered.
    pub(crate) refused_paths: Vec<String>,
    asked: Vec<Box<dyn Any + Send + Sync>>,
}

impl State {
    /// The requests of this kind, in their order.
    pub(crate) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.asked.iter().filter_map(|request| request.downcast_ref().cloned()).collect()
    }
}

/// A farm on a loopback port.
#[derive(Debug)]
pub(crate) struct Fake {
    url: String,
    service: Service,
    _running: Running,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Service(watch::Sender::new(State::default()));
        let router = Server::builder()
            .add_service(LibraryServiceServer::new(service.clone()))
            .add_service(LogServiceServer::new(service.clone()))
            .add_service(TaskServiceServer::new(service.clone()))
            .add_service(VideoServiceServer::new(service.clone()))
            .add_service(WorkerServiceServer::new(service.clone()));
        Fake { url, service, _running: Running::start(listener, router) }
    }

    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Self {
        let fake = Self::start();
        fake.service.0.send_modify(change);
        fake
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Looks at what the farm knows.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.service.0.borrow())
    }

    /// The requests of this kind, in their order.
    pub(crate) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.look(State::asked)
    }
}

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

/// The next stream of `scripts`. The last one stays open.
fn next_stream<T: Send + 'static>(scripts: &mut VecDeque<Vec<T>>) -> Response<AnswerStream<T>> {
    let messages = stream::iter(scripts.pop_front().unwrap_or_default()).map(Ok);
    let stream = if scripts.is_empty() { messages.chain(stream::pending()).boxed() } else { messages.boxed() };
    Response::new(stream)
}

/// The items of a page, and the token of the next: the number of the items before it.
fn page<T: Clone>(items: &[T], size: i32, number: i32, token: &str) -> (Vec<T>, String) {
    let size = if size == 0 { items.len() } else { usize::try_from(size).unwrap() };
    let skipped = size * usize::try_from(number).unwrap().saturating_sub(1);
    let start = token.parse().unwrap_or(skipped).min(items.len());
    let end = items.len().min(start + size);
    (items[start..end].to_vec(), if end < items.len() { end.to_string() } else { String::new() })
}

fn count<T>(items: &[T]) -> i32 {
    items.len().try_into().unwrap()
}

fn not_found(reason: &str) -> Status {
    refusal(Code::NotFound, reason)
}
