//! Watching the log: what there is from a point on, then what is new. Everything is read from the files, so a slow reader
//! takes up no more than a fast one.

use std::io;
use std::sync::Arc;

use steward_proto::audit::v1::{AuditEntry, WatchEntriesResponse};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::files::Files;
use super::filter::Filter;
use super::search::{Found, search};
use super::segment::Direction;
use crate::error::{Category, Failure};
use crate::places::Place;

/// The longest backlog.
pub(super) const MAX_BACKLOG: usize = 1000;
/// Messages that wait for a slow reader; then the watch waits too.
const BUFFER: usize = 64;
/// Entries that are read at a time.
const BATCH: usize = 500;
/// After so many entries that are not as asked, a reader is told how far the watch is.
const SILENT_ENTRIES: u64 = 10_000;

type Steps = mpsc::Receiver<Result<WatchEntriesResponse, Failure>>;
type Sender = mpsc::Sender<Result<WatchEntriesResponse, Failure>>;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With so many of the newest.
    Newest(usize),
    /// With the entry of this number.
    At(u64),
}

/// A wish to watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) files: Arc<Files>,
    pub(super) next: watch::Receiver<u64>,
    pub(super) filter: Filter,
    pub(super) start: Start,
}

/// Why a watch ends.
enum End {
    /// Its reader has gone.
    Gone,
    Failed(Failure),
}

impl Watch {
    /// Begins; ends with its reader or at shutdown.
    pub(super) fn open(self, place: Place, shutdown: CancellationToken, tasks: &TaskTracker) -> Steps {
        let (sender, steps) = mpsc::channel(BUFFER);
        tasks.spawn(async move {
            let _place = place;
            let end = tokio::select! {
                () = shutdown.cancelled() => {
                    End::Failed(Failure::new(Category::Unavailable, "SHUTTING_DOWN", "the server is shutting down"))
                }
                () = sender.closed() => End::Gone,
                end = self.run(&sender) => end,
            };
            if let End::Failed(failure) = end {
                let _ = sender.send(Err(failure)).await;
            }
        });
        steps
    }

    async fn run(mut self, sender: &Sender) -> End {
        let mut position = match self.begin(sender).await {
            Ok(position) => position,
            Err(end) => return end,
        };
        // What there was at the beginning ends here.
        let mut begun_to = Some(*self.next.borrow());
        let mut told = position;
        loop {
            let known = *self.next.borrow_and_update();
            while position < known {
                let found = match self.look(position, Direction::Forward, BATCH).await {
                    Ok(found) => found,
                    Err(end) => return end,
                };
                if found.is_beyond_removed {
                    return End::Failed(removed(self.files.floor()));
                }
                position = if found.is_end { found.next.max(known) } else { found.next };
                if let Err(end) = send(sender, found.entries, &mut told).await {
                    return end;
                }
                if position >= told + SILENT_ENTRIES
                    && let Err(end) = mark(sender, position, &mut told).await
                {
                    return end;
                }
            }
            if begun_to.take_if(|begun_to| position >= *begun_to).is_some()
                && let Err(end) = mark(sender, position, &mut told).await
            {
                return end;
            }
            if self.next.changed().await.is_err() {
                return End::Gone;
            }
        }
    }

    /// Sends the newest entries, if they are asked for. Returns where to go on.
    async fn begin(&mut self, sender: &Sender) -> Result<u64, End> {
        let count = match self.start {
            Start::At(number) => return Ok(number),
            Start::Newest(count) => count,
        };
        let next = *self.next.borrow();
        let (mut newest, mut number) = (Vec::new(), next.saturating_sub(1));
        while newest.len() < count && number > 0 {
            let found = self.look(number, Direction::Backward, count - newest.len()).await?;
            newest.extend(found.entries);
            number = if found.is_end { 0 } else { found.next };
        }
        newest.reverse();
        let mut told = 0;
        send(sender, newest, &mut told).await?;
        Ok(next)
    }

    async fn look(&self, number: u64, direction: Direction, limit: usize) -> Result<Found, End> {
        let (files, filter) = (Arc::clone(&self.files), self.filter.clone());
        let searching = tokio::task::spawn_blocking(move || search(&files, &filter, number, direction, limit)).await;
        searching.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| {
            End::Failed(Failure::new(Category::Internal, "INTERNAL", format!("the audit log cannot be read: {error}")))
        })
    }
}

/// What somebody is told who asks for entries before `floor`.
pub(super) fn removed(floor: u64) -> Failure {
    let message = format!("the entries before number {floor} are gone");
    Failure::new(Category::OutOfRange, "ENTRIES_REMOVED", message).with("floor", floor.to_string())
}

async fn send(sender: &Sender, entries: Vec<AuditEntry>, told: &mut u64) -> Result<(), End> {
    for entry in entries {
        let next_number = entry.number + 1;
        *told = u64::try_from(next_number).unwrap_or(*told);
        let step = WatchEntriesResponse { next_number, entry: Some(entry) };
        sender.send(Ok(step)).await.map_err(|_| End::Gone)?;
    }
    Ok(())
}

async fn mark(sender: &Sender, position: u64, told: &mut u64) -> Result<(), End> {
    *told = position;
    let next_number = i64::try_from(position).unwrap_or(i64::MAX);
    sender.send(Ok(WatchEntriesResponse { next_number, entry: None })).await.map_err(|_| End::Gone)
}
