//! What a worker does with what the server and the operator tell it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::session_response::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::crew::{Crew, Ended, Fate};
use super::encoder;
use super::failure::blocking;
use super::link::Link;
use super::recovery::Leftovers;
use super::session::{Event, Session, is_worth_a_retry};
use super::settings::Settings;
use super::state::{self, State};
use super::task::{Assignment, Context};
use crate::cli::connect::Server;
use crate::cli::error::{self as cli_error, Error};
use crate::clock::SystemClock;

/// How long the server has to take what it must know before the worker ends.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const HASTY_SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long no work is taken after a task failed by this machine's fault: the next would fail likewise.
const REST: Duration = Duration::from_secs(10);
const EVENTS_AHEAD: usize = 64;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Finish what runs and end; a second time: as `Quit`.
    Finish,
    /// Stop what runs and end.
    Quit,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was finished.
    Finished,
    /// Everything was finished, and the machine is to be shut down.
    ShutDown,
    /// What ran was stopped.
    Quit,
}

/// Works until it is told to end.
pub(crate) async fn work(
    settings: Settings,
    server: &Server,
    orders: mpsc::UnboundedReceiver<Order>,
) -> Result<End, String> {
    let directory = settings.state.clone();
    let opened = blocking(move || Ok(open_state(&directory))).await.map_err(|error| error.to_string())?;
    let (state, leftovers, ends) = opened?;
    let encoder = encoder::find(settings.kind, &settings.ffmpeg).await?;
    info!(worker = %settings.name, encoder = encoder.name, slots = settings.slots, "ready to work");
    announce_server(server).await?;
    let link = Arc::new(Link::new());
    for (task_id, end) in ends {
        info!(task = %task_id, "the server may not know the end of this task yet");
        link.finish_late(&task_id, end);
    }
    let (events, heard) = mpsc::channel(EVENTS_AHEAD);
    let registration = settings.registration(state.token(&settings.name));
    let session = Session { server: server.clone(), link: link.clone(), state: state.clone(), registration, events };
    let (channel, clock) = (server.connect_lazy(), SystemClock::default());
    let context = Arc::new(Context { settings, encoder, state, leftovers, link, channel, clock });
    Control::new(context).run(session, heard, orders).await
}

/// What an earlier worker has left in the state directory.
type Opened = (Arc<State>, Leftovers, Vec<(String, state::End)>);

fn open_state(directory: &Path) -> Result<Opened, String> {
    let state = State::open(directory)?;
    let failure = |error: io::Error| format!("cannot read what an earlier worker has left: {error}");
    let leftovers = Leftovers::recover(&state).map_err(failure)?;
    let ends = state.ends().map_err(failure)?;
    Ok((Arc::new(state), leftovers, ends))
}

/// Tells a person when there is no server yet. Fails only when waiting for one makes no sense.
async fn announce_server(server: &Server) -> Result<(), String> {
    match server.connect().await {
        Ok(_) => Ok(()),
        Err(error @ Error::Unreachable { .. }) => {
            warn!("{error}; trying on");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

struct Control {
    context: Arc<Context>,
    crew: Crew,
    /// The server has welcomed this worker: what it refuses from now on is tried again.
    was_welcomed: bool,
    /// Why there is no session, as it was last told.
    told_loss: Option<String>,
    /// What the server wants done when all is finished.
    drain: Option<pb::OfflineAction>,
    /// What the operator wants.
    order: Option<Order>,
    rest_until: Option<Instant>,
}

impl Control {
    fn new(context: Arc<Context>) -> Self {
        let crew = Crew::new(context.clone());
        Control { context, crew, was_welcomed: false, told_loss: None, drain: None, order: None, rest_until: None }
    }

    async fn run(
        mut self,
        session: Session,
        mut heard: mpsc::Receiver<Event>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<End, String> {
        let stop = CancellationToken::new();
        let session = tokio::spawn(session.keep(stop.clone()));
        let end = self.attend(&mut heard, &mut orders).await;
        if end.is_ok() {
            let settle_timeout = if self.order == Some(Order::Quit) { HASTY_SETTLE_TIMEOUT } else { SETTLE_TIMEOUT };
            self.settle(&mut heard, &mut orders, settle_timeout).await;
        }
        stop.cancel();
        // Its events are nobody's any more, so that it cannot wait for a reader.
        drop(heard);
        if let Err(failure) = session.await {
            error!(error = %failure, "the session ended badly");
        }
        end
    }

    /// Works until there is nothing left to do and nothing is to follow.
    async fn attend(
        &mut self,
        heard: &mut mpsc::Receiver<Event>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<End, String> {
        loop {
            if self.is_leaving() && self.crew.is_empty() {
                return Ok(self.end());
            }
            let rest_until = self.rest_until;
            tokio::select! {
                event = heard.recv() => match event {
                    Some(event) => self.hear(event).await?,
                    None => return Err("the session ended by itself".to_owned()),
                },
                ended = self.crew.next_end(), if !self.crew.is_empty() => self.note_end(ended),
                order = orders.recv() => self.obey(order.unwrap_or(Order::Quit)),
                () = sleep_until(rest_until.unwrap_or_else(Instant::now)), if rest_until.is_some() => {
                    self.rest_until = None;
                    self.offer();
                }
            }
        }
    }

    /// Waits until the server knows everything, or as long as makes sense.
    async fn settle(
        &mut self,
        heard: &mut mpsc::Receiver<Event>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        limit: Duration,
    ) {
        let link = self.context.link.clone();
        let settled = async {
            loop {
                tokio::select! {
                    () = link.settled() => return true,
                    // Read, so that the session goes on.
                    event = heard.recv() => match event {
                        Some(Event::Said(message)) => self.turn_down(*message),
                        Some(Event::Connected(_) | Event::Lost(_)) => {}
                        None => return false,
                    },
                    order = orders.recv() => if order.is_none_or(|order| order == Order::Quit) { return false },
                }
            }
        };
        if !timeout(limit, settled).await.unwrap_or(false) {
            warn!("the server may not know how the last tasks ended");
        }
    }

    /// Gives work back that comes too late.
    fn turn_down(&self, message: Message) {
        let Message::Assign(assign) = message else { return };
        let Some(assignment) = Assignment::read(assign) else { return };
        self.context.link.hold(&assignment.task_id, &assignment.lease_token);
        let mut finished = pb::TaskFinished {
            task_id: assignment.task_id,
            error_message: "the worker is about to end".to_owned(),
            declined: true,
            ..pb::TaskFinished::default()
        };
        finished.set_status(pb::TaskStatus::Failed);
        self.context.link.finish(finished);
    }

    async fn hear(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Connected(welcome) => self.greet(welcome).await,
            Event::Said(message) => self.heed(*message),
            Event::Lost(status) => {
                let reason = cli_error::describe(&status);
                if !self.was_welcomed && !is_worth_a_retry(&status) {
                    return Err(format!("the server does not take this worker: {reason}"));
                }
                if self.told_loss.as_ref() != Some(&reason) {
                    warn!(%reason, tasks = self.crew.len(), "no session with the server; trying on");
                }
                self.told_loss = Some(reason);
            }
        }
        Ok(())
    }

    async fn greet(&mut self, welcome: pb::Welcome) {
        info!(worker_id = welcome.worker_id, tasks = self.crew.len(), "connected");
        (self.was_welcomed, self.told_loss) = (true, None);
        let (context, token) = (self.context.clone(), welcome.worker_token);
        let kept = blocking(move || {
            let name = &context.settings.name;
            if context.state.token(name) == token { Ok(()) } else { context.state.keep_token(name, &token) }
        });
        if let Err(error) = kept.await {
            warn!(%error, "the token cannot be kept: after a restart the server will not know this worker at once");
        }
        self.offer();
    }

    fn heed(&mut self, message: Message) {
        match message {
            Message::Assign(assign) => self.take(assign),
            Message::Cancel(cancel) => {
                info!(task = %cancel.task_id, reason = %cancel.reason, "the task is cancelled");
                self.crew.stop(&cancel.task_id, Fate::Cancelled(cancel.reason));
            }
            Message::LeaseLost(lost) => {
                info!(task = %lost.task_id, reason = %lost.reason, "the task is no longer this worker's");
                self.crew.stop(&lost.task_id, Fate::Lost);
            }
            Message::Drain(drain) => {
                info!(tasks = self.crew.len(), "told to finish and to go");
                self.drain = Some(drain.action());
                self.offer();
            }
            Message::Undrain(_) => {
                info!("told to stay");
                self.drain = None;
                self.offer();
            }
            Message::Pause(pause) => info!(paused = pause.paused, "told to rest or to go on"),
            // The session has heard them.
            Message::Welcome(_) | Message::Ack(_) => {}
        }
    }

    fn take(&mut self, assign: pb::Assign) {
        let Some(assignment) = Assignment::read(assign) else {
            warn!("the server assigned a task without a proper id; passed over");
            return;
        };
        info!(task = %assignment.task_id, video = %assignment.video_path, "task begins");
        self.crew.begin(assignment);
    }

    fn note_end(&mut self, ended: Ended) {
        if ended.is_machines_fault && self.order.is_none() {
            self.rest_until = Some(Instant::now() + REST);
        }
        self.offer();
    }

    fn obey(&mut self, order: Order) {
        let order = if self.order.is_some() { Order::Quit } else { order };
        self.order = Some(order);
        match order {
            Order::Finish => info!(tasks = self.crew.len(), "finishing; once more to stop at once"),
            Order::Quit => {
                info!(tasks = self.crew.len(), "stopping");
                self.crew.stop_all();
            }
        }
        self.offer();
    }

    /// Says how many more tasks are welcome.
    fn offer(&self) {
        let takes_work = !self.is_leaving() && self.rest_until.is_none();
        let free = if takes_work { self.context.settings.slots.saturating_sub(self.crew.len()) } else { 0 };
        let free_slots = i32::try_from(free).unwrap_or(i32::MAX);
        self.context.link.ready(pb::Ready { free_slots, dest_path: self.context.settings.dest_path() });
    }

    fn is_leaving(&self) -> bool {
        self.drain.is_some() || self.order.is_some()
    }

    fn end(&self) -> End {
        match (self.order, self.drain) {
            (Some(Order::Quit), _) => End::Quit,
            (_, Some(pb::OfflineAction::Shutdown)) => End::ShutDown,
            (Some(Order::Finish) | None, _) => End::Finished,
        }
    }
}
