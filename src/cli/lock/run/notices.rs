//! What `run` tells the person, without ever waiting for the person.

use std::io::Write;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// Writes lines in a thread of its own. A full pipe behind standard error must delay neither a renewal nor the end of a
/// command that lost its lock.
#[derive(Debug)]
pub(super) struct Notices {
    lines: mpsc::Sender<String>,
    writer: JoinHandle<()>,
}

impl Notices {
    pub(super) fn start(mut out: impl Write + Send + 'static) -> Self {
        let (lines, queue) = mpsc::channel::<String>();
        let writer = thread::spawn(move || {
            for line in queue {
                // One write for a line, so that it is not torn by the command's own output. If nobody reads it, nobody
                // misses it.
                let _ = out.write_all(format!("{line}\n").as_bytes());
            }
        });
        Notices { lines, writer }
    }

    /// Something worth knowing.
    pub(super) fn say(&self, text: impl AsRef<str>) {
        self.send(format!("steward: {}", text.as_ref()));
    }

    /// What went wrong.
    pub(super) fn error(&self, text: impl AsRef<str>) {
        self.send(format!("error: {}", text.as_ref()));
    }

    /// Returns when all is written.
    pub(super) fn finish(self) {
        drop(self.lines);
        // It ends when the sender is gone, and cannot panic.
        let _ = self.writer.join();
    }

    fn send(&self, line: String) {
        // The writer lives as long as its sender.
        let _ = self.lines.send(line);
    }
}
