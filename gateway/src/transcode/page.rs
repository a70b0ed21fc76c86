//! Pages of lists.

use serde::Serialize;

use super::number;
use super::query::Query;

const DEFAULT_PER_PAGE: i32 = 20;
const MAX_PER_PAGE: i32 = 1000;

/// Which page, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: i32,
    pub(super) per_page: i32,
}

impl Paging {
    /// Reads what a query asks for. What is no number, or less than 1, is as good as absent.
    pub(super) fn of(query: &Query) -> Self {
        let positive = |name| query.whole(name).map(number::clamp).filter(|number| *number > 0);
        Self {
            page: positive("page").unwrap_or(1),
            per_page: positive("per_page").unwrap_or(DEFAULT_PER_PAGE).min(MAX_PER_PAGE),
        }
    }

    /// Everything on one page, which has so many rows.
    pub(super) fn of_all(rows: i32) -> Self {
        Self { page: 1, per_page: rows.max(DEFAULT_PER_PAGE) }
    }

    /// Tells where the page is in a list of so many rows.
    pub(super) fn within(self, total: i32) -> Pagination {
        let Self { page, per_page } = self;
        let pages = total / per_page + i32::from(total % per_page > 0);
        Pagination { current_page: page, has_next: page < pages, has_prev: page > 1, pages, per_page, total }
    }
}

/// Where a page is in its list, in the order of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pagination {
    current_page: i32,
    has_next: bool,
    has_prev: bool,
    pages: i32,
    per_page: i32,
    total: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_pages_are_as_good_as_none() {
        for (query, page, per_page) in [
            ("", 1, 20),
            ("page=3&per_page=50", 3, 50),
            ("page=0&per_page=-1", 1, 20),
            ("page=x&per_page=1.5", 1, 20),
            ("page=99999999999&per_page=99999999999", i32::MAX, 1000),
        ] {
            assert_eq!(Paging::of(&Query::parse(query)), Paging { page, per_page }, "{query}");
        }
    }

    #[test]
    fn pagination_counts_as_the_original_does() {
        for (page, per_page, total, pages, has_next, has_prev) in [
            (1, 20, 0, 0, false, false),
            (1, 20, 20, 1, false, false),
            (1, 20, 21, 2, true, false),
            (2, 20, 21, 2, false, true),
            (9, 20, 21, 2, false, true),
            (i32::MAX, 1, i32::MAX, i32::MAX, false, true),
        ] {
            let expected = Pagination { current_page: page, has_next, has_prev, pages, per_page, total };
            assert_eq!(Paging { page, per_page }.within(total), expected);
        }
    }
}
