//! Looks on while a run goes on, across restarts of the server.

mod live;

use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::watch_execution_response::Event;
use tokio::time::MissedTickBehavior;
use tonic::Status;

use self::live::Live;
use super::session::Session;
use super::status::exit;
use super::{json, log, text};
use crate::cli::backoff::Backoff;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::{size, time};

/// How long what is shown may be late.
const TICK: std::time::Duration = std::time::Duration::from_millis(200);

/// Why nothing more is told.
enum Stop {
    Call(Status),
    Local(Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Stop::Call(status)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Local(error)
    }
}

/// What is told, and up to where.
struct Watch {
    /// Resume behind this one.
    sequence: i64,
    state: Option<pb::Execution>,
    /// The bars on a terminal.
    live: Option<Live>,
}

/// Shows how the run `id` goes on, until it has ended.
pub(super) async fn watch(id: &str, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let live = console.window().is_some().then(Live::default);
    let mut watch = Watch { sequence: 0, state: None, live };
    let mut backoff = Backoff::new();
    loop {
        match watch.follow(id, &mut backoff, session, console).await {
            Ok(Some(end)) => return watch.end(&end, console),
            Err(Stop::Local(error)) => return Err(error),
            Err(Stop::Call(status)) if !error::is_transient(&status) => return Err(session.failure(status)),
            Ok(None) | Err(Stop::Call(_)) => {
                if backoff.is_fresh() {
                    watch.live.iter_mut().for_each(Live::leave);
                    eprintln!("steward: the connection is lost; reconnecting");
                }
                backoff.pause().await;
            }
        }
    }
}

impl Watch {
    /// Shows what comes. Returns how the run ended; nothing if the stream ended before.
    async fn follow(
        &mut self,
        id: &str,
        backoff: &mut Backoff,
        session: &Session<'_>,
        console: &mut Console,
    ) -> Result<Option<pb::Execution>, Stop> {
        let request = pb::WatchExecutionRequest { execution_id: id.to_owned(), after_sequence: self.sequence };
        let mut events = session.tasks().watch_execution(request).await?.into_inner();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = events.message() => message?,
                _ = ticks.tick() => {
                    self.tick(console)?;
                    continue;
                }
            };
            let Some(message) = message else { break };
            *backoff = Backoff::new();
            if let Some(event) = message.event {
                self.show(message.sequence, event, console)?;
            }
            self.sequence = self.sequence.max(message.sequence);
        }
        // A run that had ended before is told as such at once, and its artifacts behind that.
        Ok(self.state.take().filter(|state| text::has_ended(state.status())))
    }

    fn show(&mut self, sequence: i64, event: Event, console: &mut Console) -> Result<(), Error> {
        if let Event::State(state) = &event {
            let before = self.state.replace(state.clone());
            let is_news = before.is_none_or(|before| before.status() != state.status());
            if console.format() == Format::Text && self.live.is_none() && is_news && !text::has_ended(state.status()) {
                let line = started(state, console);
                console.line(line)?;
            }
        }
        match (&mut self.live, event) {
            (_, event) if console.format() == Format::Json => console.object(&json::Watched::new(sequence, event))?,
            (Some(live), event) => {
                live.take(event, console);
                return Ok(());
            }
            (None, event) => {
                if let Some(line) = line(&event, console) {
                    console.line(line)?;
                }
            }
        }
        console.flush()
    }

    fn tick(&mut self, console: &mut Console) -> Result<(), Error> {
        match &mut self.live {
            Some(live) => live.draw(console),
            None => Ok(()),
        }
    }

    /// Shows how the run ended. Programs were told so by the last event.
    fn end(mut self, end: &pb::Execution, console: &mut Console) -> Result<Exit, Error> {
        if let Some(live) = &mut self.live {
            live.finish(console)?;
        }
        if console.format() == Format::Text {
            let line = text::end(end, console);
            console.line(line)?;
        }
        console.flush()?;
        Ok(exit(end.status()))
    }
}

/// `2026-11-21T03:13:00Z  running  p1/images/mirror`.
fn started(state: &pb::Execution, console: &Console) -> String {
    let status = console.paint(text::status_tone(state.status()), format!("{:<9}", text::status(state.status())));
    format!("{}  {status}  {}", time::text(time::now()), printable(&state.task_name))
}

/// What is worth a line: an artifact that has come to something, and a line of the log that is not about the usual.
fn line(event: &Event, console: &Console) -> Option<String> {
    match event {
        Event::State(_) => None,
        Event::Artifact(result) if result.outcome() == pb::ArtifactOutcome::Unspecified => None,
        Event::Artifact(result) => Some(result_line(result, console)),
        Event::Log(line) if line.level == "INFO" => None,
        Event::Log(line) => Some(log::text(line, console)),
    }
}

/// `2026-11-21T03:13:00Z  copied     docker://nginx:1.1  52.1 MiB, 12.0 MiB sent`.
fn result_line(result: &pb::ArtifactResult, console: &Console) -> String {
    let at = time::text(time::from_proto(result.end_time).unwrap_or_else(time::now));
    let outcome = text::painted_outcome(result.outcome(), console);
    let name = text::artifact(&result.artifact, &result.version, &result.target_versions);
    let bytes = format!("{}, {} sent", size::of_proto(result.size), size::of_proto(result.sent));
    let line = format!("{at}  {outcome}  {name}  {bytes}");
    if result.error.is_empty() { line } else { format!("{line}: {}", printable(&result.error)) }
}
