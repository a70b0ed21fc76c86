//! A run on a terminal: a bar for all of it, and one for each artifact that is under way. What has come to something
//! scrolls away above them.

use std::collections::BTreeMap;
use std::mem;

use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::watch_execution_response::Event;

use super::{line, text};
use crate::cli::console::{Console, Tone, Window, printable};
use crate::cli::drawing::{Drawing, bar, cut};
use crate::cli::error::Error;
use crate::cli::size;

// A burst, as after a long absence, must not be kept without bound.
const MOST_LINES: usize = 1000;

/// What the terminal shows.
#[derive(Debug, Default)]
pub(super) struct Live {
    state: Option<pb::Execution>,
    /// The artifacts under way, by their names and versions.
    artifacts: BTreeMap<(String, String), pb::ArtifactResult>,
    /// What is told above the bars the next time.
    lines: Vec<String>,
    drawing: Drawing,
    is_changed: bool,
}

impl Live {
    /// Something else was written below the last drawing. What is under way will be told again.
    pub(super) fn leave(&mut self) {
        self.artifacts.clear();
        self.drawing.leave();
        self.is_changed = true;
    }

    /// Takes in an event, without drawing it yet: many may come at a time.
    pub(super) fn take(&mut self, event: Event, console: &Console) {
        self.is_changed = true;
        if let Some(line) = line(&event, console).filter(|_| self.lines.len() < MOST_LINES) {
            self.lines.push(line);
        }
        match event {
            Event::State(state) => self.state = Some(state),
            Event::Artifact(result) => {
                let key = (result.artifact.clone(), result.version.clone());
                if result.outcome() == pb::ArtifactOutcome::Unspecified {
                    self.artifacts.insert(key, result);
                } else {
                    self.artifacts.remove(&key);
                }
            }
            Event::Log(_) => {}
        }
    }

    /// Draws what has changed since the last time.
    pub(super) fn draw(&mut self, console: &mut Console) -> Result<(), Error> {
        let Some(window) = console.window().filter(|_| self.is_changed) else { return Ok(()) };
        self.is_changed = false;
        let lines = self.lines(window, console);
        self.drawing.replace(&mem::take(&mut self.lines), &lines, console)
    }

    /// Leaves nothing but what was told above the bars.
    pub(super) fn finish(&mut self, console: &mut Console) -> Result<(), Error> {
        self.drawing.replace(&mem::take(&mut self.lines), &[], console)
    }

    /// The bar of the run, and one for each artifact, as many as fit.
    fn lines(&self, window: Window, console: &Console) -> Vec<String> {
        let Some(state) = &self.state else { return Vec::new() };
        // Colours have no width, so the heading is cut before it has one.
        let heading = console.paint(Tone::Heading, cut(&heading(state), window.columns));
        let mut lines = vec![heading.to_string()];
        // The cursor stands in the line below the last one.
        let room = window.rows.saturating_sub(2).max(1);
        let shown = if self.artifacts.len() > room { room - 1 } else { self.artifacts.len() };
        lines.extend(self.artifacts.values().take(shown).map(|artifact| cut(&row(artifact), window.columns)));
        if shown < self.artifacts.len() {
            lines.push(cut(&format!("… and {} more", self.artifacts.len() - shown), window.columns));
        }
        lines
    }
}

/// `████████░░░░░░░░░░░░  42%  running  1.2 GiB of 3.0 GiB, 900.0 MiB sent  p1/images/mirror`.
fn heading(state: &pb::Execution) -> String {
    let (status, bytes) = (text::status(state.status()), text::bytes(state));
    format!("{}  {status}  {bytes}  {}", gauge(text::percent(state)), printable(&state.task_name))
}

/// The same for an artifact.
fn row(artifact: &pb::ArtifactResult) -> String {
    let done = artifact.sent.saturating_add(artifact.resumed_from);
    let name = text::artifact(&artifact.artifact, &artifact.version, &artifact.target_versions);
    let (sent, size) = (size::of_proto(done), size::of_proto(artifact.size));
    format!("{}  {sent} of {size}  {name}", gauge(text::part(done, artifact.size)))
}

fn gauge(percent: Option<f64>) -> String {
    match percent {
        Some(percent) => format!("{} {percent:>3.0}%", bar(percent)),
        None => format!("{}    …", bar(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Output;

    fn state(done: i64) -> Event {
        Event::State(pb::Execution {
            task_name: "p1/images/mirror".to_owned(),
            status: pb::ExecutionStatus::Running.into(),
            replicated_bytes: done,
            total_bytes: 4096,
            ..pb::Execution::default()
        })
    }

    fn artifact(version: &str, sent: i64, outcome: pb::ArtifactOutcome) -> Event {
        Event::Artifact(pb::ArtifactResult {
            artifact: "docker://a".to_owned(),
            version: version.to_owned(),
            size: 2048,
            sent,
            outcome: outcome.into(),
            end_time: Some(prost_types::Timestamp::default()),
            ..pb::ArtifactResult::default()
        })
    }

    fn drawn(live: &mut Live, events: Vec<Event>) -> String {
        let output = Output::new();
        let mut console = Console::terminal(Box::new(output.clone()));
        for event in events {
            live.take(event, &console);
        }
        live.draw(&mut console).unwrap();
        output.text()
    }

    #[test]
    fn a_run_and_its_artifacts_have_bars() {
        let mut live = Live::default();
        let text = drawn(&mut live, vec![state(1024), artifact("1", 1024, pb::ArtifactOutcome::Unspecified)]);
        assert_eq!(
            text,
            "█████░░░░░░░░░░░░░░░  25%  running  1.0 KiB of 4.0 KiB, 0 B \n\
             ██████████░░░░░░░░░░  50%  1.0 KiB of 2.0 KiB  docker://a:1\n"
        );
        assert_eq!(drawn(&mut live, vec![]), "", "nothing is drawn twice");
    }

    #[test]
    fn what_was_copied_is_told_above_the_bars() {
        let mut live = Live::default();
        drawn(&mut live, vec![state(1024), artifact("1", 1024, pb::ArtifactOutcome::Unspecified)]);
        let text = drawn(&mut live, vec![artifact("1", 2048, pb::ArtifactOutcome::Copied)]);
        let expected = "\x1b[2A\r\x1b[J1970-01-01T00:00:00Z  copied     docker://a:1  2.0 KiB, 2.0 KiB sent\n█████";
        assert!(text.starts_with(expected), "{text:?}");
    }

    #[test]
    fn a_small_window_has_some_of_the_bars() {
        let mut live = Live::default();
        let artifacts = (10..30).map(|number| artifact(&number.to_string(), 0, pb::ArtifactOutcome::Unspecified));
        let text = drawn(&mut live, [state(0)].into_iter().chain(artifacts).collect());
        assert_eq!(text.lines().count(), 7);
        assert!(text.ends_with("\n… and 15 more\n"), "{text}");
    }

    #[test]
    fn the_bars_are_gone_at_the_end() {
        let mut live = Live::default();
        drawn(&mut live, vec![state(0)]);
        let output = Output::new();
        live.finish(&mut Console::terminal(Box::new(output.clone()))).unwrap();
        assert_eq!(output.text(), "\x1b[1A\r\x1b[J");
    }
}
