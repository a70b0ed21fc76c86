//! The access log: one line for each request of the HTTP ports, written by a thread of its own.
//!
//! Requests never wait for it. When the thread falls behind, lines are dropped and counted.

mod entry;
mod line;
mod writer;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(super) use self::entry::Entry;
use self::line::Line;
use self::writer::{Message, Target};
use crate::clock::Clock;
use crate::config::{Log, LogFormat};

/// Lines that may wait to be written.
const WAITING_LINES: usize = 8192;
/// How long the last lines may take when the server stops.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before a full queue is asked again.
const RETRY: Duration = Duration::from_millis(50);

/// Takes lines.
#[derive(Clone)]
pub(super) struct AccessLog {
    sender: SyncSender<Message>,
    format: LogFormat,
    clock: Arc<dyn Clock>,
}

impl AccessLog {
    /// Opens the log, if one is wanted, and starts its thread.
    pub(super) fn start(log: &Log, clock: Arc<dyn Clock>) -> io::Result<Option<Self>> {
        let Some(access) = &log.access else { return Ok(None) };
        let target = Target::open(access)
            .map_err(|error| io::Error::new(error.kind(), format!("log.access: cannot open {access}: {error}")))?;
        let (sender, receiver) = sync_channel(WAITING_LINES);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer::run(&receiver, target))?;
        Ok(Some(AccessLog { sender, format: log.format, clock }))
    }

    /// Begins the line of a request. It is written when the entry is dropped.
    pub(super) fn begin<B>(&self, request: &http::Request<B>, client: Option<IpAddr>) -> Entry {
        Entry::new(self.clone(), Line::of(request, client, self.clock.now()))
    }

    /// Opens the file again at SIGHUP, until shutdown.
    pub(super) async fn reopen_on_signal(self, shutdown: CancellationToken) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => return tracing::warn!(%error, "cannot listen for SIGHUP"),
        };
        while shutdown.run_until_cancelled(hang_up.recv()).await.is_some() {
            shutdown.run_until_cancelled(self.send(Message::Reopen)).await;
        }
    }

    /// Returns once the lines so far are written, or cannot be in time.
    pub(super) async fn finish(&self) {
        let flush = async {
            let (done, finished) = oneshot::channel();
            self.send(Message::Flush(done)).await;
            let _ = finished.await;
        };
        let _ = tokio::time::timeout(FINISH_TIMEOUT, flush).await;
    }

    /// Waits for room: what is told so is not dropped.
    async fn send(&self, mut message: Message) {
        while let Err(TrySendError::Full(refused)) = self.sender.try_send(message) {
            message = refused;
            tokio::time::sleep(RETRY).await;
        }
    }

    fn write(&self, line: &Line) {
        let text = match self.format {
            LogFormat::Text => line.combined(),
            LogFormat::Json => line.json(),
        };
        if self.sender.try_send(Message::Line(text)).is_err() {
            metrics::counter!("steward_access_log_dropped_total").increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_request_has_its_line_even_when_its_client_goes_before_the_answer() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let settings = Log { access: file.path().to_str().map(str::to_owned), ..Log::default() };
        let log = AccessLog::start(&settings, Arc::new(SystemClock::default())).expect("opened").expect("wanted");
        let request = http::Request::post("/restic/a/config").body(()).expect("a request");
        let mut entry = log.begin(&request, None);
        entry.answered(&http::Response::builder().status(200).body(()).expect("a response"));
        entry.sent(5);
        drop(entry);
        drop(log.begin(&request, None));
        log.finish().await;

        let written = std::fs::read_to_string(file.path()).expect("the log");
        let ends: Vec<&str> = written.lines().map(|line| line.split_once("] ").expect("a time").1).collect();
        let request = "\"POST /restic/a/config HTTP/1.1\"";
        assert_eq!(ends, [format!("{request} 200 5 \"-\" \"-\""), format!("{request} 499 0 \"-\" \"-\"")]);
    }

    #[tokio::test]
    async fn lines_go_to_a_new_file_after_the_old_one_was_moved() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, moved) = (directory.path().join("access"), directory.path().join("access.1"));
        let settings = Log { access: path.to_str().map(str::to_owned), format: LogFormat::Json, ..Log::default() };
        let log = AccessLog::start(&settings, Arc::new(SystemClock::default())).expect("opened").expect("wanted");
        let request = http::Request::get("/").body(()).expect("a request");
        drop(log.begin(&request, None));
        log.finish().await;
        std::fs::rename(&path, &moved).expect("moved");
        log.sender.send(Message::Reopen).expect("a living writer");
        drop(log.begin(&request, None));
        drop(log.begin(&request, None));
        log.finish().await;
        let lines = |path| std::fs::read_to_string(path).expect("a log").lines().count();
        assert_eq!((lines(moved), lines(path)), (1, 2));
    }
}
