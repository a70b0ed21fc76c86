//! Aligned columns, written page by page.

use serde::Serialize;

use super::console::{Console, Format, Tone};
use super::error::Error;

/// A table whose columns never get narrower, so that pages can be written as they come.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    headings: [&'static str; N],
    widths: [usize; N],
    has_headings: bool,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(headings: [&'static str; N]) -> Self {
        Table { headings, widths: headings.map(str::len), has_headings: false }
    }

    /// Shows a page: a `row` of each item for people, a `J` for programs.
    pub(crate) fn show<T, J: From<T> + Serialize>(
        &mut self,
        items: Vec<T>,
        row: impl Fn(&T) -> [String; N],
        console: &mut Console,
    ) -> Result<(), Error> {
        match console.format() {
            Format::Json => items.into_iter().try_for_each(|item| console.object(&J::from(item)))?,
            Format::Text => self.write(&items.iter().map(row).collect::<Vec<_>>(), console)?,
        }
        // Each page is shown when it comes: the next may take a while.
        console.flush()
    }

    /// Writes a page of rows, after the headings if it is the first.
    fn write(&mut self, rows: &[[String; N]], console: &mut Console) -> Result<(), Error> {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if !self.has_headings {
            self.has_headings = true;
            let headings = console.paint(Tone::Heading, self.aligned(&self.headings));
            console.line(headings)?;
        }
        rows.iter().try_for_each(|row| console.line(self.aligned(row)))
    }

    fn aligned(&self, cells: &[impl AsRef<str>; N]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.widths) {
            // The padding counts characters, as the widths do.
            line.extend([format!("{:<width$}", cell.as_ref()), "  ".to_owned()]);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A cell that is never empty.
pub(crate) fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["KEY", "OWNER"]);
        table.widths = [6, 5];
        assert_eq!(table.aligned(&["pull/a", "b"]), "pull/a  b");
        assert_eq!(table.aligned(&["a", "nodeb"]), "a       nodeb");
    }
}
