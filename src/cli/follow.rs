//! Watches that go on across restarts of the server.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tonic::{Code, Status, Streaming};

use super::backoff::Backoff;
use super::connect::Server;
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// What a person should know of every watch.
pub(crate) const HELP: &str = "When the connection is lost, the watch goes on where it was as soon as the server is \
                               back. If the server has forgotten that point, it starts again with everything as it \
                               is, and says so on standard error.";

/// How long what is shown may be late.
const TICK: Duration = Duration::from_millis(200);

/// A watch that can be resumed from a revision.
pub(crate) trait Watch {
    /// What the server sends.
    type Message;

    /// What is watched, in the plural.
    const SUBJECT: &'static str;

    /// What is done when the server has forgotten where the watch was.
    const AFRESH: &'static str = "showing all of them again";

    /// Leaves the connection that was lost for one that is made when it is first used.
    fn reconnect(&mut self, server: &Server);

    /// Asks for the changes after `from_revision`; for 0: for everything as it is, then the changes.
    fn open(&mut self, from_revision: i64) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;

    /// Shows a message. Returns the revision to resume from after it; nothing as long as the last one stays.
    fn show(&mut self, message: Self::Message, console: &mut Console) -> Result<Option<i64>, Error>;

    /// Shows what `show` put off. Called every [`TICK`] while the connection stands.
    fn tick(&mut self, _console: &mut Console) -> Result<(), Error> {
        Ok(())
    }
}

/// Shows what `watch` sees after `from_revision`, until it is interrupted for good.
pub(crate) async fn follow<W: Watch>(
    mut watch: W,
    from_revision: i64,
    server: &Server,
    console: &mut Console,
) -> Result<Exit, Error> {
    let mut point = from_revision;
    let mut backoff = Backoff::new();
    loop {
        let interruption = match watch.open(point).await {
            Ok(stream) => drain(&mut watch, stream, &mut point, &mut backoff, console).await?,
            Err(status) => Some(status),
        };
        match interruption {
            Some(status) if is_compacted(&status) && point != 0 => {
                let subject = W::SUBJECT;
                let afresh = W::AFRESH;
                eprintln!("steward: the server has forgotten where this watch of {subject} was; {afresh}");
                point = 0;
            }
            Some(status) if !error::is_transient(&status) => return Err(server.failure()(status)),
            Some(_) | None => {
                if backoff.is_fresh() {
                    eprintln!("steward: the connection is lost; reconnecting");
                }
                backoff.pause().await;
                watch.reconnect(server);
            }
        }
    }
}

/// Shows what comes and moves the resume point, until the stream is interrupted.
async fn drain<W: Watch>(
    watch: &mut W,
    mut stream: Streaming<W::Message>,
    point: &mut i64,
    backoff: &mut Backoff,
    console: &mut Console,
) -> Result<Option<Status>, Error> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = stream.message() => message,
            _ = ticks.tick() => {
                watch.tick(console)?;
                continue;
            }
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            Err(status) => return Ok(Some(status)),
        };
        *backoff = Backoff::new();
        if let Some(revision) = watch.show(message, console)? {
            *point = revision;
        }
    }
}

fn is_compacted(status: &Status) -> bool {
    let is_reason = |reason| matches!(reason, "REVISION_COMPACTED" | "ENTRIES_REMOVED");
    status.code() == Code::OutOfRange && error::reason(status).as_deref().is_some_and(is_reason)
}
