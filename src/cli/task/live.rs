//! The table of tasks at work that is redrawn in place. What has ended scrolls away above it.

use std::collections::BTreeMap;
use std::mem;

use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::watch_tasks_response::Update;

use super::text;
use crate::cli::console::{Console, Tone, Window, printable};
use crate::cli::drawing::{Drawing, bar, cut};
use crate::cli::error::Error;
use crate::cli::farm::which;

const LONGEST_WORKER: usize = 16;
// A burst of ends, as after a long absence, must not be kept without bound.
const MOST_ENDED: usize = 1000;

/// What the terminal shows.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Those at work, by their numbers.
    tasks: BTreeMap<i32, pb::Task>,
    /// Those that ended since the last drawing.
    ended: Vec<pb::Task>,
    drawing: Drawing,
    is_changed: bool,
}

impl Live {
    /// Everything will be told again.
    pub(super) fn forget(&mut self) {
        self.tasks.clear();
        self.leave();
    }

    /// Something else was written below the last drawing, so it stays, and the next one comes below that.
    pub(super) fn leave(&mut self) {
        self.drawing.leave();
        self.is_changed = true;
    }

    /// Takes in a change, without drawing it yet: many may come at a time.
    pub(super) fn take(&mut self, update: Update) {
        self.is_changed = true;
        match update {
            Update::Task(task) if task.end_time.is_none() && !has_ended(task.status()) => {
                self.tasks.insert(task.id, task);
            }
            Update::Task(task) => {
                self.tasks.remove(&task.id);
                if self.ended.len() < MOST_ENDED {
                    self.ended.push(task);
                }
            }
            Update::DeletedId(id) => {
                self.tasks.remove(&id);
            }
            Update::SnapshotEnd(_) => {}
        }
    }

    /// Draws what has changed since the last time.
    pub(super) fn draw(&mut self, console: &mut Console, now: Timestamp) -> Result<(), Error> {
        let Some(window) = console.window().filter(|_| self.is_changed) else { return Ok(()) };
        self.is_changed = false;
        let ended = mem::take(&mut self.ended);
        let ended: Vec<_> = ended.iter().map(|task| text::change(task, console, now)).collect();
        let lines = self.lines(window, console);
        self.drawing.replace(&ended, &lines, console)
    }

    /// A heading and a line for each task, as many as fit.
    fn lines(&self, window: Window, console: &Console) -> Vec<String> {
        let heading = match self.tasks.len() {
            1 => "1 task at work".to_owned(),
            count => format!("{count} tasks at work"),
        };
        let mut lines = vec![console.paint(Tone::Heading, heading).to_string()];
        // The cursor stands in the line below the last one.
        let room = window.rows.saturating_sub(2).max(1);
        let shown = if self.tasks.len() > room { room - 1 } else { self.tasks.len() };
        let widest = self.tasks.values().map(|task| worker(task).chars().count()).max().unwrap_or_default();
        lines.extend(self.tasks.values().take(shown).map(|task| cut(&row(task, widest), window.columns)));
        if shown < self.tasks.len() {
            lines.push(cut(&format!("… and {} more", self.tasks.len() - shown), window.columns));
        }
        lines
    }
}

fn has_ended(status: pb::TaskStatus) -> bool {
    match status {
        pb::TaskStatus::Unspecified | pb::TaskStatus::Created | pb::TaskStatus::Running => false,
        pb::TaskStatus::Completed | pb::TaskStatus::Failed | pb::TaskStatus::Cancelled => true,
    }
}

/// `a1b2c3d4  w1  ████░░░░   42.0%   57.2 fps   1.90x     3m 2s  films/a.mkv`.
fn row(task: &pb::Task, worker_width: usize) -> String {
    format!(
        "{}  {:<worker_width$}  {} {:>6}  {:>6.1} fps  {:>5.2}x  {:>9}  {}",
        which::short(&task.task_id),
        worker(task),
        bar(task.progress),
        text::percent(task),
        task.fps,
        task.speed,
        text::left(task),
        printable(&task.video_path),
    )
}

fn worker(task: &pb::Task) -> String {
    printable(&task.worker_name).chars().take(LONGEST_WORKER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Output;

    fn task(id: i32, status: pb::TaskStatus) -> pb::Task {
        pb::Task {
            task_id: format!("{id:08x}-0000-4000-8000-000000000000"),
            id,
            status: status.into(),
            worker_name: "w1".to_owned(),
            video_path: format!("films/{id}.mkv"),
            progress: 42.0,
            fps: 57.25,
            speed: 1.9,
            remaining_time: Some(182),
            ..pb::Task::default()
        }
    }

    fn drawn(live: &mut Live) -> String {
        let output = Output::new();
        live.draw(&mut Console::terminal(Box::new(output.clone())), Timestamp::UNIX_EPOCH).unwrap();
        output.text()
    }

    #[test]
    fn a_task_is_a_line_with_a_bar_that_does_not_wrap() {
        let mut live = Live::default();
        live.take(Update::Task(task(1, pb::TaskStatus::Running)));
        let text = drawn(&mut live);
        assert_eq!(text, "1 task at work\n00000001  w1  ████████░░░░░░░░░░░░  42.0%    57.2 fps   1.90\n");
        assert_eq!(cut("影片影片", 5), "影片");
        assert!(row(&task(1, pb::TaskStatus::Running), 2).ends_with("1.90x      3m 2s  films/1.mkv"));
    }

    #[test]
    fn nothing_is_drawn_twice() {
        let mut live = Live::default();
        live.take(Update::Task(task(1, pb::TaskStatus::Running)));
        drawn(&mut live);
        assert_eq!(drawn(&mut live), "");
    }

    #[test]
    fn what_ended_is_told_above_the_table() {
        let mut live = Live::default();
        live.take(Update::Task(task(1, pb::TaskStatus::Running)));
        live.take(Update::Task(task(2, pb::TaskStatus::Created)));
        drawn(&mut live);
        live.take(Update::Task(task(1, pb::TaskStatus::Completed)));
        let text = drawn(&mut live);
        assert!(text.starts_with("\x1b[3A\r\x1b[J1970-01-01T00:00:00Z  completed  00000001  "), "{text:?}");
        assert!(text.contains("\n1 task at work\n00000002  "), "{text:?}");
    }

    #[test]
    fn what_was_written_below_the_table_stays() {
        let mut live = Live::default();
        live.take(Update::Task(task(1, pb::TaskStatus::Running)));
        let first = drawn(&mut live);
        live.leave();
        assert_eq!(drawn(&mut live), first);
        live.forget();
        assert_eq!(drawn(&mut live), "0 tasks at work\n");
    }

    #[test]
    fn a_small_window_has_a_part_of_the_table() {
        let mut live = Live::default();
        for id in 1..=20 {
            live.take(Update::Task(task(id, pb::TaskStatus::Running)));
        }
        let text = drawn(&mut live);
        assert_eq!(text.lines().count(), 7);
        assert!(text.ends_with("\n… and 15 more\n"), "{text}");
    }
}
