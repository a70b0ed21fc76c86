//! Brings a blob somewhere: begins an upload or goes on with one, sends chunks, notes what was acknowledged, tries again
//! what may work the next time. How a target takes uploads is for [`Uploads`] to know.

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::chunks::Chunks;
use super::content::{Content, Counted};
use super::limits::Limits;
use super::retry::Failures;
use super::{BlobRef, BlobSource, Meter, Pushed, Session, Sessions, TargetError};

/// How much is asked for at a time from the rate limit.
const ALLOWED_BYTES: u64 = 256 * 1024;
/// How long a chunk that is on its way when the run is to stop may take to arrive: targets that forget uploads which
/// were broken off inside of a chunk keep this one then.
const LAST_CHUNK: Duration = Duration::from_millis(700);

/// How a target takes uploads of a blob.
#[async_trait]
pub(super) trait Uploads: Sync {
    /// Whether it has the blob.
    async fn has(&self) -> Result<bool, TargetError>;
    /// Begins an upload, or finds out that none is needed.
    async fn begin(&self) -> Result<Begun, TargetError>;
    /// How far an upload has come. `None`: it is not there any more.
    async fn status(&self, session: &Session) -> Result<Option<Session>, TargetError>;
    /// Adds a chunk at the end.
    async fn write(&self, session: &Session, chunk: Content) -> Result<Session, Trouble>;
    /// Ends an upload. `rest` is what has not been sent yet: all of a blob that fits into a chunk, if
    /// [`Uploads::ends_with_bytes`].
    async fn finish(&self, session: &Session, rest: Content) -> Result<(), Trouble>;
    /// Whether [`Uploads::finish`] takes bytes.
    fn ends_with_bytes(&self) -> bool;
    /// Gives an upload up.
    async fn abandon(&self, session: &Session);
}

/// What beginning an upload came to.
pub(super) enum Begun {
    /// The blob is there, from another image or anyway.
    There,
    /// It is to be sent.
    Upload {
        session: Session,
        /// How long a chunk has to be at least.
        min_chunk: u64,
    },
}

/// Why a chunk was not taken.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The upload is of no use any more, or is somewhere else than was thought.
    Session(TargetError),
    /// Anything else.
    Target(TargetError),
}

impl From<TargetError> for Trouble {
    fn from(error: TargetError) -> Self {
        Trouble::Target(error)
    }
}

/// What is to be brought, and what is needed to.
pub(super) struct Push<'a> {
    /// What the sessions are called by.
    pub(super) place: &'a str,
    pub(super) blob: &'a BlobRef,
    pub(super) source: &'a dyn BlobSource,
    pub(super) sessions: &'a dyn Sessions,
    pub(super) meter: &'a dyn Meter,
    pub(super) limits: &'a Limits,
}

/// Brings a blob somewhere.
pub(super) async fn push(push: Push<'_>, uploads: &dyn Uploads) -> Result<Pushed, TargetError> {
    let stop = CancellationToken::new();
    let meter = push.meter;
    let work = Work::new(push, uploads, stop.clone()).run();
    tokio::select! {
        biased;
        done = work => done,
        () = async {
            meter.cancelled().await;
            stop.cancel();
            tokio::time::sleep(LAST_CHUNK).await;
        } => Err(TargetError::Cancelled),
    }
}

struct Work<'a> {
    push: Push<'a>,
    uploads: &'a dyn Uploads,
    stop: CancellationToken,
    chunks: Chunks<'a>,
    failures: Failures<'a>,
    pushed: Pushed,
    session: Option<Session>,
    min_chunk: u64,
    /// How often an upload was begun anew.
    restarts: u32,
    /// The end of an upload was asked for, and may have been heard.
    is_maybe_there: bool,
}

/// How far a blob is.
enum Step {
    Further,
    Done,
}

impl<'a> Work<'a> {
    fn new(push: Push<'a>, uploads: &'a dyn Uploads, stop: CancellationToken) -> Self {
        let chunks = Chunks::new(push.source, push.blob.size);
        let failures = Failures::new(push.limits, Some(push.meter));
        let pushed = Pushed::default();
        Work {
            push,
            uploads,
            stop,
            chunks,
            failures,
            pushed,
            session: None,
            min_chunk: 0,
            restarts: 0,
            is_maybe_there: false,
        }
    }

    async fn run(mut self) -> Result<Pushed, TargetError> {
        let end = match self.take_up().await {
            Ok(()) => self.send_all().await,
            Err(error) => Err(error),
        };
        match end {
            Ok(()) => {
                self.push.sessions.clear(self.push.place, &self.push.blob.digest).await?;
                Ok(self.pushed)
            }
            Err(error) => {
                self.leave(&error).await?;
                Err(error)
            }
        }
    }

    /// An upload that nobody will go on with is not left lying at the target.
    async fn leave(&mut self, error: &TargetError) -> Result<(), TargetError> {
        let is_final = matches!(error, TargetError::Refused(_) | TargetError::Mismatch(_));
        if !is_final {
            return Ok(());
        }
        if let Some(session) = self.session.take() {
            self.uploads.abandon(&session).await;
        }
        self.push.sessions.clear(self.push.place, &self.push.blob.digest).await
    }

    /// Looks for an upload of an earlier attempt.
    async fn take_up(&mut self) -> Result<(), TargetError> {
        let Some(known) = self.push.sessions.load(self.push.place, &self.push.blob.digest).await? else {
            return Ok(());
        };
        // Its end may have been asked for.
        self.is_maybe_there = true;
        self.session = Some(known);
        self.ask_status().await?;
        self.pushed.resumed_from = self.session.as_ref().map_or(0, |session| session.offset);
        Ok(())
    }

    async fn send_all(&mut self) -> Result<(), TargetError> {
        loop {
            if self.stop.is_cancelled() {
                return Err(TargetError::Cancelled);
            }
            match self.step().await {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::Further) => self.failures.forget(),
                Err(Trouble::Target(error)) => {
                    let again = error.clone();
                    self.wait(error).await?;
                    let had = self.session.is_some();
                    self.ask_status().await?;
                    if had && self.session.is_none() {
                        self.restart(again)?;
                    }
                }
                Err(Trouble::Session(error)) => {
                    self.restart(error)?;
                    self.ask_status().await?;
                }
            }
        }
    }

    /// One request further.
    async fn step(&mut self) -> Result<Step, Trouble> {
        let Some(session) = self.session.clone() else { return self.begin().await };
        let size = self.push.blob.size;
        let left = size.saturating_sub(session.offset);
        let chunk_bytes = self.push.limits.chunk_bytes.max(self.min_chunk);
        let is_one_request = session.offset == 0 && size <= chunk_bytes && self.uploads.ends_with_bytes();
        if left == 0 || is_one_request {
            allow(self.push.meter, left).await?;
            let _room = self.push.limits.room(left).await?;
            let rest = self.chunks.read(session.offset, left).await?;
            let counted = Counted::new(self.push.meter);
            self.is_maybe_there = true;
            let done = self.uploads.finish(&session, Content::new(rest, counted.counter().clone())).await;
            self.pushed.sent += counted.counter().get();
            return done.map(|()| Step::Done);
        }
        // All of it, before any of it is on its way; and what waits for its turn is not in memory.
        allow(self.push.meter, chunk_bytes.min(left)).await?;
        let _room = self.push.limits.room(chunk_bytes.min(left)).await?;
        let chunk = self.chunks.read(session.offset, chunk_bytes).await?;
        let counted = Counted::new(self.push.meter);
        let written = self.uploads.write(&session, Content::new(chunk, counted.counter().clone())).await;
        self.pushed.sent += counted.counter().get();
        let next = written?;
        if next.offset <= session.offset || next.offset > size {
            let (is, was) = (next.offset, session.offset);
            let text = format!("the target says that the upload is at {is} of {size} bytes after a chunk at {was}");
            return Err(Trouble::Session(TargetError::Unreachable(text)));
        }
        // Before the next chunk is sent: what is acknowledged is not sent again.
        self.push.sessions.save(self.push.place, &self.push.blob.digest, &next).await?;
        self.session = Some(next);
        Ok(Step::Further)
    }

    async fn begin(&mut self) -> Result<Step, Trouble> {
        if self.is_maybe_there {
            if self.uploads.has().await? {
                self.pushed.mounted = self.pushed.sent == 0;
                return Ok(Step::Done);
            }
            self.is_maybe_there = false;
        }
        match self.uploads.begin().await? {
            Begun::There => {
                self.pushed.mounted = true;
                Ok(Step::Done)
            }
            Begun::Upload { session, min_chunk } => {
                self.min_chunk = min_chunk;
                self.session = Some(session);
                Ok(Step::Further)
            }
        }
    }

    /// Finds out where the upload is, after it may have moved on or vanished.
    async fn ask_status(&mut self) -> Result<(), TargetError> {
        loop {
            let Some(session) = &self.session else { return Ok(()) };
            match self.uploads.status(session).await {
                Ok(Some(now)) if now.offset <= self.push.blob.size => {
                    self.session = Some(now);
                    return Ok(());
                }
                Ok(_) => {
                    if session.offset > 0 {
                        let text = format!("{}: the target has forgotten the upload", self.push.blob.digest);
                        self.push.meter.log("WARN", text);
                    }
                    self.session = None;
                    return Ok(());
                }
                Err(error) => self.wait(error).await?,
            }
        }
    }

    async fn wait(&mut self, error: TargetError) -> Result<(), TargetError> {
        let stop = self.stop.clone();
        let waited = self.failures.add(&self.push.blob.digest, error);
        stop.run_until_cancelled(waited).await.unwrap_or(Err(TargetError::Cancelled))
    }

    /// Counts how often an upload was of no use, whatever progress it made.
    fn restart(&mut self, error: TargetError) -> Result<(), TargetError> {
        self.restarts += 1;
        if self.restarts >= self.push.limits.attempts.max(2) { Err(error) } else { Ok(()) }
    }
}

/// Waits until so many bytes may be sent.
async fn allow(meter: &dyn Meter, bytes: u64) -> Result<(), TargetError> {
    let mut left = bytes;
    while left > 0 {
        let now = left.min(ALLOWED_BYTES);
        meter.allow(now).await?;
        left -= now;
    }
    Ok(())
}
