//! Pages by number, over services that page by token.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::code::Code;
use super::input::Query;
use super::refusal::Refusal;

/// How many entries a page has that says nothing.
const DEFAULT_SIZE: i32 = 20;
/// How many it may have.
const MAX_SIZE: i32 = 1000;
/// The last page that there can be.
const MAX_NUMBER: i64 = 10_000;
/// How many calls one page may take. Each may look at all that there is.
const MAX_CALLS: usize = 100;
/// How long they may take together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    number: i64,
    size: i32,
}

/// A page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "clients know the fields by these names")]
pub(crate) struct Page<T> {
    page_number: i64,
    page_size: i32,
    total_records: i64,
    total_pages: i64,
    count: i64,
    records: Vec<T>,
}

/// What a service answered: the entries, the token of the next page, and how many there are in all.
pub(crate) type Answered<T> = (Vec<T>, String, i64);

impl Paging {
    /// As `pageNumber` and `pageSize` say.
    pub(crate) fn of(query: &Query) -> Result<Self, Refusal> {
        Self::new(query.number("pageNumber")?.unwrap_or(1), query.number("pageSize")?.unwrap_or(DEFAULT_SIZE.into()))
    }

    /// As two parts of a path say.
    pub(crate) fn parse(number: &str, size: &str) -> Result<Self, Refusal> {
        let read = |name, text: &str| text.parse().map_err(|_| Refusal::new(&Code::PARAMETER_INVALID, name));
        Self::new(read("pageNumber", number)?, read("pageSize", size)?)
    }

    fn new(number: i64, size: i64) -> Result<Self, Refusal> {
        let invalid = |name| Refusal::new(&Code::PARAMETER_INVALID, name);
        // Quirk: the first page is 1, and 0 is the same.
        let number = number.max(1);
        if number > MAX_NUMBER {
            return Err(invalid("pageNumber"));
        }
        let size = i32::try_from(size).ok().filter(|size| (1..=MAX_SIZE).contains(size));
        Ok(Paging { number, size: size.ok_or_else(|| invalid("pageSize"))? })
    }

    /// Walks to the page: `fetch` answers a page of a size and token. What is in front of it is fetched in pages that are
    /// as long as can be.
    pub(crate) async fn walk<T, U, F, A>(self, fetch: F, convert: impl Fn(T) -> U) -> Result<Page<U>, Refusal>
    where
        F: FnMut(i32, String) -> A,
        A: Future<Output = Result<Answered<T>, Refusal>>,
    {
        let Ok(walked) = tokio::time::timeout(TIMEOUT, self.collect(fetch)).await else {
            return Err(Refusal::plain(&Code::SYSTEM_ERROR).with_status(StatusCode::GATEWAY_TIMEOUT));
        };
        let (entries, total) = walked?;
        Ok(self.page(entries.into_iter().map(convert).collect(), total))
    }

    /// The entries of the page, and how many there are in all.
    async fn collect<T, F, A>(self, mut fetch: F) -> Result<(Vec<T>, i64), Refusal>
    where
        F: FnMut(i32, String) -> A,
        A: Future<Output = Result<Answered<T>, Refusal>>,
    {
        let last = self.number.saturating_mul(self.size.into());
        let at_once = i32::try_from(last).unwrap_or(MAX_SIZE).min(MAX_SIZE);
        let size = usize::try_from(self.size).unwrap_or(0);
        let mut left_out = usize::try_from(last).unwrap_or(usize::MAX) - size;
        let (mut found, mut token) = (Vec::new(), String::new());
        for _ in 0..MAX_CALLS {
            let (entries, next, total) = fetch(at_once, token).await?;
            let count = entries.len();
            found.extend(entries.into_iter().skip(left_out).take(size - found.len()));
            left_out = left_out.saturating_sub(count);
            if found.len() == size || next.is_empty() {
                return Ok((found, total));
            }
            token = next;
        }
        Err(Refusal::new(&Code::PARAMETER_INVALID, "pageNumber"))
    }

    fn page<T>(self, records: Vec<T>, total: i64) -> Page<T> {
        let size = i64::from(self.size);
        let pages = total / size + i64::from(total % size != 0);
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        Page {
            page_number: self.number,
            page_size: self.size,
            total_records: total,
            total_pages: pages,
            count,
            records,
        }
    }
}

/// All entries of a service that pages, up to a number.
pub(crate) async fn all<T, F, A>(limit: usize, mut fetch: F) -> Result<Vec<T>, Refusal>
where
    F: FnMut(i32, String) -> A,
    A: Future<Output = Result<Answered<T>, Refusal>>,
{
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let (entries, next, _) = fetch(MAX_SIZE, token).await?;
        found.extend(entries);
        if next.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The numbers of a page of those below `total`, and how many calls that took.
    async fn walked(total: i32, number: i64, size: i64) -> (Result<Vec<i32>, Refusal>, usize) {
        let calls = Cell::new(0);
        let fetch = |size: i32, token: String| {
            calls.set(calls.get() + 1);
            let from: i32 = token.parse().unwrap_or(0);
            let until = from.saturating_add(size).min(total);
            let next = if until < total { until.to_string() } else { String::new() };
            async move { Ok(((from..until).collect(), next, i64::from(total))) }
        };
        let page = Paging::new(number, size).expect("a page").walk(fetch, |entry| entry).await;
        (page.map(|page| page.records), calls.get())
    }

    #[tokio::test]
    async fn a_page_has_what_is_in_its_place() {
        assert_eq!(walked(5, 1, 2).await, (Ok(vec![0, 1]), 1));
        assert_eq!(walked(5, 3, 2).await, (Ok(vec![4]), 1));
        assert_eq!(walked(5, 4, 2).await, (Ok(vec![]), 1));
        assert_eq!(walked(2500, 3, 900).await, (Ok((1800..2500).collect()), 3));
        assert_eq!(walked(2500, 2, 1000).await, (Ok((1000..2000).collect()), 2));
    }

    #[tokio::test]
    async fn a_far_page_takes_few_calls_and_one_that_is_too_far_is_refused() {
        assert_eq!(walked(20_000, 10_000, 1).await, (Ok(vec![9999]), 10));
        let too_far = Refusal::new(&Code::PARAMETER_INVALID, "pageNumber");
        assert_eq!(walked(1_000_000, 10_000, 1000).await, (Err(too_far), MAX_CALLS));
        assert_eq!(walked(1000, 10_000, 1000).await, (Ok(vec![]), 1), "there is no such page");
    }

    #[tokio::test(start_paused = true)]
    async fn all_calls_together_have_one_deadline() {
        let fetch = async |_, token: String| {
            tokio::time::sleep(TIMEOUT / 2).await;
            Ok((vec![()], token + "x", 1000))
        };
        let late = Paging::new(50, 1).expect("a page").walk(fetch, |entry| entry).await.map(|page| page.records);
        assert_eq!(late.expect_err("it takes too long").status(), StatusCode::GATEWAY_TIMEOUT);
    }
}
