//! One line on a terminal's standard error that says how far a long command has come.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{duration, size};

const INTERVAL: Duration = Duration::from_millis(200);
// A line that wraps cannot be rewritten.
const LONGEST_LABEL: usize = 30;
const LONGEST_LINE: usize = 78;

/// A line that is rewritten in place. Nothing at all when nobody watches.
#[derive(Clone)]
pub(crate) struct Progress {
    screen: Option<Arc<Mutex<Screen>>>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    label: String,
    /// What is shown instead of bytes.
    line: Option<String>,
    done: u64,
    total: u64,
    start: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// On standard error, if it is a terminal.
    pub(crate) fn stderr() -> Self {
        if io::stderr().is_terminal() { Self::on(Box::new(io::stderr())) } else { Progress { screen: None } }
    }

    fn on(out: Box<dyn Write + Send>) -> Self {
        let start = Instant::now();
        let screen = Screen { out, label: String::new(), line: None, done: 0, total: 0, start, drawn: None };
        Progress { screen: Some(Arc::new(Mutex::new(screen))) }
    }

    /// Begins with something else, of which nothing is done yet.
    pub(crate) fn begin(&self, label: &str, total: u64) {
        self.change(|screen| {
            let surplus = label.chars().count().saturating_sub(LONGEST_LABEL);
            screen.label = label.chars().skip(surplus).collect();
            (screen.done, screen.total, screen.start, screen.drawn) = (0, total, Instant::now(), None);
            screen.line = None;
        });
    }

    /// Shows `line`, cut to what surely fits, instead of bytes.
    pub(crate) fn say(&self, line: &str) {
        self.change(|screen| screen.line = Some(line.chars().take(LONGEST_LINE).collect()));
    }

    /// So many bytes are done, of so many.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.change(|screen| (screen.done, screen.total) = (done, total));
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.change(|screen| screen.done += bytes);
    }

    /// So many bytes have to be done again.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.change(|screen| screen.done = screen.done.saturating_sub(bytes));
    }

    /// So many bytes need not be done at all.
    pub(crate) fn skip(&self, bytes: u64) {
        self.change(|screen| screen.total = screen.total.saturating_sub(bytes));
    }

    /// Makes room for a line of the answer: standard output may be the same terminal.
    pub(crate) fn clear(&self) {
        let Some(screen) = &self.screen else { return };
        let mut screen = screen.lock();
        if screen.drawn.take().is_some() {
            screen.draw("");
        }
    }

    fn change(&self, change: impl FnOnce(&mut Screen)) {
        let Some(screen) = &self.screen else { return };
        let mut screen = screen.lock();
        change(&mut screen);
        if screen.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL) {
            screen.drawn = Some(Instant::now());
            let bytes = || line(&screen.label, screen.done, screen.total, screen.start.elapsed());
            let line = screen.line.clone().unwrap_or_else(bytes);
            screen.draw(&line);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            self.draw("");
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("is_shown", &self.screen.is_some()).finish()
    }
}

impl Screen {
    fn draw(&mut self, line: &str) {
        // A terminal that went away is no reason to stop.
        let _ = write!(self.out, "\r\x1b[K{line}").and_then(|()| self.out.flush());
    }
}

/// `alice/laptop  42%  1.2 GiB of 3.0 GiB  110.0 MiB/s  16s left`.
fn line(label: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let Some(percent) = (u128::from(done) * 100).checked_div(u128::from(total)) else {
        return format!("{label}  …");
    };
    let mut line = format!("{label}  {percent}%  {} of {}", size::text(done), size::text(total));
    let millis = elapsed.as_millis();
    if millis > 0 && done > 0 {
        let rate = u128::from(done) * 1000 / millis;
        let left = u128::from(total.saturating_sub(done)) * millis / u128::from(done) / 1000;
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(u64::MAX));
        let rate = size::text(u64::try_from(rate).unwrap_or(u64::MAX));
        line = format!("{line}  {rate}/s  {} left", duration::text(left));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Output;

    #[test]
    fn a_line_has_percent_rate_and_time_left() {
        let line = line("alice", 1 << 20, 4 << 20, Duration::from_secs(2));
        assert_eq!(line, "alice  25%  1.0 MiB of 4.0 MiB  512.0 KiB/s  6s left");
    }

    #[test]
    fn an_unknown_total_has_no_percent() {
        assert_eq!(line("a", 0, 0, Duration::ZERO), "a  …");
    }

    #[test]
    fn the_line_is_rewritten_and_cleared() {
        let output = Output::new();
        let progress = Progress::on(Box::new(output.clone()));
        progress.begin("alice", 10);
        // Too soon to be drawn.
        progress.advance(5);
        progress.clear();
        progress.skip(5);
        progress.take_back(5);
        drop(progress);
        let lines: Vec<_> = output.text().split("\r\x1b[K").map(str::to_owned).collect();
        assert_eq!(lines[..3], ["", "alice  0%  0 B of 10 B", ""]);
        assert!(lines[3].starts_with("alice  100%  5 B of 5 B"), "{lines:?}");
    }

    #[test]
    fn a_line_of_its_own_is_cut() {
        let output = Output::new();
        Progress::on(Box::new(output.clone())).say(&"a".repeat(100));
        assert_eq!(output.text(), format!("\r\x1b[K{}\r\x1b[K", "a".repeat(78)));
    }

    #[test]
    fn a_long_label_keeps_its_end() {
        let output = Output::new();
        Progress::on(Box::new(output.clone())).begin(&format!("{}/laptop", "a".repeat(100)), 1);
        assert!(output.text().contains(&format!("\x1b[K{}/laptop  0%", "a".repeat(23))));
    }
}
