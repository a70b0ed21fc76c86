//! Pages of a list: `Limit` and `Offset`, and `TotalCount` of all there are.
//!
//! Quirk: no rows are `null`, whether there are none or none were asked for.

use super::answer::Answer;
use super::query::Query;
use super::refusal::Refusal;
use super::styled::{Object, Value};

/// What a client gets that does not say how many.
const DEFAULT_LIMIT: u64 = 10;
/// How many rows an answer has at most.
const MAX_ROWS: u64 = 10_000;
/// How many rows a service answers at a time.
const MAX_PAGE: u64 = 1000;

/// Which rows of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    limit: u64,
    offset: u64,
}

/// How many rows to leave out, and how many to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) skip: u64,
    pub(super) page_size: u32,
}

/// Rows, and how many there are altogether.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) rows: Vec<Object>,
    pub(super) total: u64,
}

impl Paging {
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Refusal> {
        let limit = query.number("Limit")?.unwrap_or(DEFAULT_LIMIT).min(MAX_ROWS);
        Ok(Self { limit, offset: query.number("Offset")?.unwrap_or(0) })
    }

    /// Asks for the rows, as often as it takes.
    pub(super) async fn gather<F>(self, mut ask: impl FnMut(Window) -> F) -> Result<Page, Refusal>
    where
        F: Future<Output = Result<Page, Refusal>>,
    {
        let mut rows = Vec::new();
        loop {
            let done = rows.len() as u64;
            // Also who wants no rows wants to know how many there are.
            let page_size = (self.limit - done).clamp(1, MAX_PAGE);
            let window = Window {
                skip: self.offset.saturating_add(done),
                page_size: u32::try_from(page_size).expect("a page has at most a thousand rows"),
            };
            let page = ask(window).await?;
            let is_short = (page.rows.len() as u64) < page_size;
            rows.extend(page.rows);
            if is_short || rows.len() as u64 >= self.limit {
                rows.truncate(usize::try_from(self.limit).expect("at most ten thousand"));
                return Ok(Page { rows, total: page.total });
            }
        }
    }

    /// The page of a list of one.
    pub(super) fn of_one(self, row: Object) -> Page {
        let is_within = self.limit > 0 && self.offset == 0;
        Page { rows: if is_within { vec![row] } else { vec![] }, total: 1 }
    }
}

impl Page {
    /// A list without rows.
    pub(super) fn empty() -> Self {
        Self { rows: vec![], total: 0 }
    }

    /// Answers it, with the rows under this key.
    pub(super) fn answer(self, key: &'static str) -> Answer {
        Answer::done().with(key, Value::List(self.rows)).with("TotalCount", Value::Number(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a list of so many that a query asks for, and the windows that were asked for.
    async fn gather(query: &str, count: u64) -> (usize, Vec<(u64, u32)>) {
        let mut windows = Vec::new();
        let paging = Paging::of(&Query::new(query)).unwrap();
        let gathering = paging.gather(|window| {
            windows.push((window.skip, window.page_size));
            let rows = count.saturating_sub(window.skip).min(u64::from(window.page_size));
            async move { Ok(Page { rows: (0..rows).map(|_| Object::new()).collect(), total: count }) }
        });
        let page = gathering.await.unwrap();
        assert_eq!(page.total, count);
        (page.rows.len(), windows)
    }

    #[tokio::test]
    async fn rows_are_gathered_in_pages() {
        for (query, count, expected) in [
            ("", 25, (10, vec![(0, 10)])),
            ("Limit=20&Offset=20", 25, (5, vec![(20, 20)])),
            ("Limit=10Offset=3", 25, (10, vec![(0, 10)])),
            ("Limit=0", 25, (0, vec![(0, 1)])),
            ("Offset=-1", 25, (0, vec![(u64::MAX, 10)])),
            ("Limit=1500", 2500, (1500, vec![(0, 1000), (1000, 500)])),
            ("Limit=-1", 2000, (2000, vec![(0, 1000), (1000, 1000), (2000, 1000)])),
        ] {
            assert_eq!(gather(query, count).await, expected, "{query}");
        }
        assert_eq!(gather("Limit=-1", 100_000).await.0, 10_000);
    }

    #[test]
    fn list_of_one_has_pages_too() {
        for (query, expected) in [("", 1), ("Limit=0", 0), ("Offset=1", 0), ("Limit=1&Offset=0", 1)] {
            let page = Paging::of(&Query::new(query)).unwrap().of_one(Object::new());
            assert_eq!((page.rows.len(), page.total), (expected, 1), "{query}");
        }
    }
}
