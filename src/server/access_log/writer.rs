//! The thread that writes the lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

/// What the thread is told.
pub(super) enum Message {
    /// Write this line.
    Line(String),
    /// The file was moved away: open it again.
    Reopen,
    /// Say when everything before this is written.
    Flush(oneshot::Sender<()>),
}

/// Where lines go.
pub(super) enum Target {
    Output(BufWriter<io::Stdout>),
    File { path: PathBuf, file: BufWriter<File> },
}

impl Target {
    /// `-` is standard output; anything else is a file.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        if name == "-" {
            return Ok(Target::Output(BufWriter::new(io::stdout())));
        }
        let path = PathBuf::from(name);
        let file = BufWriter::new(OpenOptions::new().append(true).create(true).open(&path)?);
        Ok(Target::File { path, file })
    }

    fn reopen(&mut self) {
        let Target::File { path, file } = self else { return };
        match OpenOptions::new().append(true).create(true).open(&*path) {
            Ok(opened) => {
                let _ = file.flush();
                *file = BufWriter::new(opened);
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot reopen the access log"),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Target::Output(output) => output,
            Target::File { file, .. } => file,
        }
    }
}

/// Writes until nobody can send any more.
pub(super) fn run(messages: &Receiver<Message>, mut target: Target) {
    let mut is_failing = false;
    while let Ok(message) = messages.recv() {
        let mut next = Some(message);
        let mut result = Ok(());
        while let Some(message) = next {
            match message {
                Message::Line(line) => result = result.and(writeln!(target.writer(), "{line}")),
                Message::Reopen => target.reopen(),
                Message::Flush(done) => {
                    result = result.and(target.writer().flush());
                    let _ = done.send(());
                }
            }
            next = messages.try_recv().ok();
        }
        // Nothing waits, so a reader of the file may see what there is.
        result = result.and_then(|()| target.writer().flush());
        match &result {
            Err(error) if !is_failing => tracing::warn!(%error, "the access log cannot be written"),
            Ok(()) if is_failing => tracing::info!("the access log can be written again"),
            Ok(()) | Err(_) => {}
        }
        is_failing = result.is_err();
    }
}
