//! The session with the server, made again whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::session_request::Message as Said;
use steward_proto::transcode::v1::session_response::Message;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::warn;

use super::failure::blocking;
use super::link::Link;
use super::state::State;
use crate::cli::backoff::Backoff;
use crate::cli::connect::Server;
use crate::cli::error;

/// How long the server may take to answer the first message.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the server may take to end a session that the worker has ended.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// When the server says nothing of heartbeats, or nonsense.
const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// A session of this length shows that the server is well.
const STEADY: Duration = Duration::from_secs(5);
const MESSAGES_AHEAD: usize = 16;

/// What the session has to tell.
#[derive(Debug)]
pub(super) enum Event {
    /// It stands.
    Connected(pb::Welcome),
    /// The server has said something.
    Said(Box<Message>),
    /// It cannot be made, or has broken; it is tried again.
    Lost(Status),
}

/// What makes a session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) server: Server,
    pub(super) link: Arc<Link>,
    pub(super) state: Arc<State>,
    /// With the token of an earlier registration, if there is one.
    pub(super) registration: pb::RegisterWorkerRequest,
    pub(super) events: mpsc::Sender<Event>,
}

impl Session {
    /// Keeps a session up until `stop`, and then ends it properly.
    pub(super) async fn keep(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        loop {
            let lost = match stop.run_until_cancelled(self.open()).await {
                None => return,
                Some(Err(status)) => status,
                Some(Ok((outgoing, incoming, interval))) => {
                    let opened = Instant::now();
                    let ended = self.converse(outgoing, incoming, interval, &stop).await;
                    // A server that ends each session at once must not be asked without a pause.
                    if opened.elapsed() >= STEADY {
                        backoff = Backoff::new();
                    }
                    match ended {
                        Ok(()) => return,
                        Err(status) => status,
                    }
                }
            };
            // Nobody listens any more: the worker ends.
            if self.events.send(Event::Lost(lost)).await.is_err() {
                return;
            }
            if stop.run_until_cancelled(backoff.pause()).await.is_none() {
                return;
            }
        }
    }

    async fn open(&mut self) -> Result<(mpsc::Sender<pb::SessionRequest>, Incoming, Duration), Status> {
        // A connection of its own: the old one may hang without failing.
        let mut workers = WorkerServiceClient::new(self.server.connect_lazy());
        let (outgoing, requests) = mpsc::channel(MESSAGES_AHEAD);
        let hello = pb::Hello { worker: Some(self.registration.clone()), running: self.link.running() };
        let hello = pb::SessionRequest { seq: 0, message: Some(Said::Hello(hello)) };
        outgoing.send(hello).await.map_err(|_| closed())?;
        let opening = async {
            let mut incoming = workers.session(ReceiverStream::new(requests)).await?.into_inner();
            let first = incoming.message().await?.and_then(|response| response.message);
            Ok::<_, Status>((incoming, first))
        };
        let late = |_| Status::unavailable("the server did not answer in time");
        let (incoming, first) = timeout(WELCOME_TIMEOUT, opening).await.map_err(late)??;
        let Some(Message::Welcome(welcome)) = first else {
            return Err(Status::unavailable("the server began with something else than a welcome"));
        };
        let interval = welcome.heartbeat_interval.and_then(|interval| Duration::try_from(interval).ok());
        let interval = interval.filter(|interval| !interval.is_zero()).unwrap_or(USUAL_INTERVAL);
        self.registration.worker_token.clone_from(&welcome.worker_token);
        self.link.rewind();
        self.tell(Event::Connected(welcome)).await;
        Ok((outgoing, incoming, interval))
    }

    /// Says and hears until the connection breaks; nothing wrong when the worker has ended it.
    async fn converse(
        &self,
        outgoing: mpsc::Sender<pb::SessionRequest>,
        mut incoming: Incoming,
        interval: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Status> {
        let mut silent_until = Instant::now() + interval;
        loop {
            tokio::select! {
                permit = outgoing.reserve(), if self.link.has_more() => {
                    let permit = permit.map_err(|_| closed())?;
                    if let Some(request) = self.link.next() {
                        permit.send(request);
                        silent_until = Instant::now() + interval;
                    }
                }
                () = self.link.changed() => {}
                response = incoming.message() => {
                    let response = response?.ok_or_else(closed)?;
                    self.hear(response.message).await;
                }
                () = sleep_until(silent_until) => {
                    // When there is no room, there is something else on its way.
                    let _ = outgoing.try_send(pb::SessionRequest { seq: 0, message: Some(Said::Ping(pb::Ping {})) });
                    silent_until = Instant::now() + interval;
                }
                () = stop.cancelled() => break,
            }
        }
        drop(outgoing);
        let farewell = async { while let Ok(Some(_)) = incoming.message().await {} };
        // The server has everything that it needs.
        let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
        Ok(())
    }

    async fn hear(&self, message: Option<Message>) {
        match message {
            Some(Message::Ack(ack)) => self.hear_ack(ack.seq).await,
            Some(Message::LeaseLost(lost)) => {
                // Before the acknowledgement that may follow: who waits for that must know it.
                self.link.drop_task(&lost.task_id);
                self.tell(Event::Said(Box::new(Message::LeaseLost(lost)))).await;
            }
            Some(message) => self.tell(Event::Said(Box::new(message))).await,
            // Of a newer server.
            None => {}
        }
    }

    async fn hear_ack(&self, seq: u64) {
        if let Some(task_id) = self.link.end_in(seq) {
            let state = self.state.clone();
            let forgotten = blocking(move || state.forget_end(&task_id)).await;
            if let Err(error) = forgotten {
                warn!(%error, "the server knows the end of a task, but will be told it again after a restart");
            }
        }
        self.link.acknowledge(seq);
    }

    async fn tell(&self, event: Event) {
        // Nobody listens when the worker ends.
        let _ = self.events.send(event).await;
    }
}

type Incoming = Streaming<pb::SessionResponse>;

fn closed() -> Status {
    Status::unavailable("the server has ended the session")
}

/// Whether it makes sense to try again.
pub(super) fn is_worth_a_retry(status: &Status) -> bool {
    error::is_transient(status) || error::reason(status).as_deref() == Some("WORKER_ONLINE")
}
