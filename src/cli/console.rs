//! Standard output: lines for people, one JSON object a line for programs.

use std::borrow::Cow;
use std::env;
use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, IsTerminal as _, Write};

use serde::Serialize;

use super::error::Error;

/// Where the answer of a command goes.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    format: Format,
    is_coloured: bool,
    /// How large the terminal is; nothing when it is none.
    window: Option<fn() -> Window>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A person.
    Text,
    /// A program.
    Json,
}

/// What a word means, which decides its colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Heading,
    Good,
    Waiting,
    Bad,
    Quiet,
}

impl Console {
    /// Standard output, coloured only when a person looks at it and `NO_COLOR` is not set.
    pub(crate) fn stdout(format: Format) -> Self {
        let wants_no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        Console {
            out: Box::new(BufWriter::new(io::stdout())),
            format,
            is_coloured: is_terminal && !wants_no_colour,
            window: is_terminal.then_some(window_of_stdout),
        }
    }

    /// Anything else, plain.
    #[cfg(test)]
    pub(crate) fn plain(out: Box<dyn Write + Send>, format: Format) -> Self {
        Console { out, format, is_coloured: false, window: None }
    }

    /// A terminal of 60 columns and 8 rows, without colours.
    #[cfg(test)]
    pub(crate) fn terminal(out: Box<dyn Write + Send>) -> Self {
        let window = || Window { columns: 60, rows: 8 };
        Console { out, format: Format::Text, is_coloured: false, window: Some(window) }
    }

    /// The terminal that a person looks at, as it is now; nothing when the answer goes elsewhere.
    pub(crate) fn window(&self) -> Option<Window> {
        self.window.filter(|_| self.format == Format::Text).map(|window| window())
    }

    /// Writes `text` as it is, which may steer the terminal.
    pub(crate) fn draw(&mut self, text: &str) -> Result<(), Error> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Who reads it.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes a line for a person.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Error> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes a line for a program.
    pub(crate) fn object(&mut self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Brings what was written to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        Ok(self.out.flush()?)
    }

    /// `text` in the colour of `tone`, if there are colours.
    pub(crate) fn paint<T: Display>(&self, tone: Tone, text: T) -> Painted<T> {
        Painted { text, code: self.is_coloured.then_some(tone.code()) }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Heading => "1",
            Tone::Good => "32",
            Tone::Waiting => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
        }
    }
}

/// Text with its colour.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    text: T,
    code: Option<&'static str>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// A terminal that does not say how large it is has the size of the first ones.
fn window_of_stdout() -> Window {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(Window { columns: 80, rows: 24 }, |size| Window {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
    })
}

/// A line of what is told over several lines.
pub(crate) fn field(name: &str, value: &str) -> String {
    format!("  {name:<15}{value}")
}

/// `text` without control characters: names come from other people, and must not steer the reader's terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            // Writing into a String cannot fail.
            let _ = write!(clean, "{}", character.escape_default());
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("\x1b[2Jnode\n"), "\\u{1b}[2Jnode\\n");
        assert_eq!(printable("节点-1"), "节点-1");
    }

    #[test]
    fn plain_output_has_no_colours() {
        let console = Console::plain(Box::new(io::sink()), Format::Text);
        assert_eq!(console.paint(Tone::Bad, "lost").to_string(), "lost");
        assert_eq!(Painted { text: "lost", code: Some("31") }.to_string(), "\x1b[31mlost\x1b[0m");
    }
}
