//! Lines on a terminal that are redrawn in place.

use std::fmt::Write as _;

use super::console::Console;
use super::error::Error;

const BAR_LENGTH: u8 = 20;

/// The lines that were drawn last.
#[derive(Debug, Default)]
pub(crate) struct Drawing {
    line_count: usize,
}

impl Drawing {
    /// Something else was written below the last drawing, so it stays, and the next one comes below that.
    pub(crate) fn leave(&mut self) {
        self.line_count = 0;
    }

    /// Draws `lines` in the place of the last ones, and `above` so that it scrolls away. No line may wrap.
    pub(crate) fn replace(&mut self, above: &[String], lines: &[String], console: &mut Console) -> Result<(), Error> {
        let mut text = String::new();
        if self.line_count > 0 {
            // Back to the first line of the last drawing, and everything below it goes. Writing into a String cannot fail.
            let _ = write!(text, "\x1b[{}A\r\x1b[J", self.line_count);
        }
        for line in above.iter().chain(lines) {
            let _ = writeln!(text, "{line}");
        }
        self.line_count = lines.len();
        console.draw(&text)?;
        console.flush()
    }
}

/// `████████░░░░░░░░░░░░` for 42 percent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and the length")]
pub(crate) fn bar(percent: f64) -> String {
    let done = (percent.clamp(0.0, 100.0) / 100.0 * f64::from(BAR_LENGTH)) as u8;
    format!("{}{}", "█".repeat(done.into()), "░".repeat(BAR_LENGTH.saturating_sub(done).into()))
}

/// What fits into a line: one that wraps cannot be redrawn.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    let mut left = columns;
    line.chars()
        .take_while(|character| {
            let width = width(*character);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

/// How many columns a character has. Too many for a few is harmless.
fn width(character: char) -> usize {
    match character {
        // Blocks, arrows and the like are narrow.
        '\u{2000}'..='\u{2e7f}' => 1,
        '\u{1100}'.. => 2,
        _ => 1,
    }
}
