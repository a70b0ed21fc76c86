//! Going through ranges of records, page by page.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::error::Error;
use crate::store::{Key, KeyRange, Store};

/// How many records are read at once.
const PAGE: usize = 512;

/// Shows the records of a range one after another, until the visitor breaks off. The range need not be the same all
/// the time: see [`crate::store::tx::Tx`] about guarding it.
pub(super) async fn walk(
    store: &dyn Store,
    mut range: KeyRange,
    mut visit: impl FnMut(&Key, &Bytes) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    loop {
        let page = store.scan(range.clone(), PAGE).await?;
        for (key, record) in &page.records {
            if visit(key, &record.value)?.is_break() {
                return Ok(());
            }
        }
        let Some((last, _)) = page.records.last().filter(|_| page.has_more) else { return Ok(()) };
        range = range.after(last);
        // Ranges can be long, and others want to be served too.
        tokio::task::yield_now().await;
    }
}

/// How many records a range has.
pub(super) async fn count(store: &dyn Store, range: KeyRange) -> Result<u64, Error> {
    let mut count = 0;
    let counted = walk(store, range, |_, _| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    });
    counted.await?;
    Ok(count)
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed<T> {
    /// What is in it.
    pub(super) items: Vec<T>,
    /// Where the next part goes on; `None` after the last.
    pub(super) next: Option<String>,
    /// How many there are in all parts together.
    pub(super) total: u64,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// How many at most; at least one.
    pub(super) size: usize,
    /// What the part before ended with; empty: from the start.
    pub(super) after: String,
}

/// Takes the wanted part out of all items of a list, which come in their order.
pub(super) struct Window<T> {
    size: usize,
    items: Vec<T>,
    has_more: bool,
    total: u64,
}

impl<T> Window<T> {
    pub(super) fn new(size: usize) -> Self {
        Window { size, items: Vec::new(), has_more: false, total: 0 }
    }

    /// Takes notice of an item, which may be behind the end of the part before.
    pub(super) fn see(&mut self, is_behind: bool, item: impl FnOnce() -> Result<T, Error>) -> Result<(), Error> {
        self.total += 1;
        if !is_behind {
            return Ok(());
        }
        if self.items.len() == self.size {
            self.has_more = true;
            return Ok(());
        }
        self.items.push(item()?);
        Ok(())
    }

    /// The part.
    pub(super) fn close(self, name: impl FnOnce(&T) -> String) -> Listed<T> {
        let next = self.items.last().filter(|_| self.has_more).map(name);
        Listed { items: self.items, next, total: self.total }
    }
}
