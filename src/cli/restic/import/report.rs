//! What an import has to tell.

use serde::Serialize;

use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::progress::Progress;
use crate::cli::restic::repository::shown;
use crate::cli::restic::text;

/// A file that was not imported.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Note {
    #[serde(rename = "problem")]
    pub(super) outcome: Outcome,
    /// The repository on the server.
    pub(super) repository: String,
    pub(super) file: String,
    pub(super) reason: String,
}

/// Why a file was not imported.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is not an object.
    Skipped,
    /// This machine does not let it be read.
    Unreadable,
    /// The server does not take it.
    Refused,
}

/// How the import of one repository went.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) repository: String,
    pub(super) dry_run: bool,
    pub(super) imported_count: i64,
    pub(super) imported_bytes: i64,
    /// They were there already.
    pub(super) present_count: i64,
    /// Refused or unreadable.
    pub(super) failed_count: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Step<'a> {
    Note(&'a Note),
    Imported(&'a Tally),
}

/// The answer of an import, beside the line that says how far it has come.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) console: &'a mut Console,
    pub(super) progress: Progress,
    has_failures: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(console: &'a mut Console) -> Self {
        Report { console, progress: Progress::stderr(), has_failures: false }
    }

    /// Something was not imported that should have been.
    pub(super) fn has_failures(&self) -> bool {
        self.has_failures
    }

    /// Tells of a file that was not imported.
    pub(super) fn note(&mut self, note: &Note) -> Result<(), Error> {
        self.progress.clear();
        self.has_failures |= note.outcome != Outcome::Skipped;
        match self.console.format() {
            Format::Json => self.console.object(&Step::Note(note))?,
            Format::Text => {
                let (word, tone) = match note.outcome {
                    Outcome::Skipped => ("skipped", Tone::Quiet),
                    Outcome::Unreadable => ("unreadable", Tone::Bad),
                    Outcome::Refused => ("refused", Tone::Bad),
                };
                let word = self.console.paint(tone, format!("{word:<10}"));
                let (repository, file) = (shown(&note.repository), printable(&note.file));
                self.console.line(format_args!("{repository}  {word}  {file}: {}", printable(&note.reason)))?;
            }
        }
        self.console.flush()
    }

    /// Tells why a repository could not be imported to its end.
    pub(super) fn fail(&mut self, repository: &str, reason: &str) {
        self.progress.clear();
        self.has_failures = true;
        eprintln!("error: {}: {reason}", shown(repository));
    }

    /// Tells how the import of a repository went.
    pub(super) fn end(&mut self, tally: &Tally) -> Result<(), Error> {
        self.progress.clear();
        match self.console.format() {
            Format::Json => self.console.object(&Step::Imported(tally))?,
            Format::Text => self.console.line(tally)?,
        }
        self.console.flush()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let imported = text::objects(self.imported_count, self.imported_bytes);
        let verb = if self.dry_run { "would be imported" } else { "imported" };
        write!(f, "{}: {imported} {verb}", shown(&self.repository))?;
        if self.present_count > 0 {
            write!(f, ", {} there already", self.present_count)?;
        }
        if self.failed_count > 0 {
            write!(f, ", {} failed", self.failed_count)?;
        }
        Ok(())
    }
}
