//! A list of names, or a table.

use serde::Serialize;

use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::table::Table;

/// What people get to see of each item. Programs get everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::artifact) enum Form {
    /// Its name, one a line.
    Names,
    /// A row of a table.
    Long,
}

/// A list that is shown page by page.
#[derive(Debug)]
pub(super) struct Listing<const N: usize> {
    form: Form,
    table: Table<N>,
}

impl<const N: usize> Listing<N> {
    pub(super) fn new(form: Form, headings: [&'static str; N]) -> Self {
        Listing { form, table: Table::new(headings) }
    }

    /// Shows a page.
    pub(super) fn show<T, J: From<T> + Serialize>(
        &mut self,
        items: Vec<T>,
        name: impl Fn(&T) -> String,
        row: impl Fn(&T) -> [String; N],
        console: &mut Console,
    ) -> Result<(), Error> {
        if console.format() == Format::Json || self.form == Form::Long {
            return self.table.show::<T, J>(items, row, console);
        }
        items.iter().try_for_each(|item| console.line(printable(&name(item))))?;
        console.flush()
    }
}
