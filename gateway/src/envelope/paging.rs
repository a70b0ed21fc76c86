//! Pages by number, over services that page by token.

use serde::Serialize;

use super::code::Code;
use super::input::Query;
use super::refusal::Refusal;

/// How many entries a page has that says nothing.
const DEFAULT_SIZE: i32 = 20;
/// How many it may have.
const MAX_SIZE: i32 = 1000;
/// The last page that is walked to.
const MAX_NUMBER: i64 = 10_000;

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

    /// Walks to the page: `fetch` answers the one of a size and token.
    pub(crate) async fn walk<T, U, F, A>(self, mut fetch: F, convert: impl Fn(T) -> U) -> Result<Page<U>, Refusal>
    where
        F: FnMut(i32, String) -> A,
        A: Future<Output = Result<Answered<T>, Refusal>>,
    {
        let mut token = String::new();
        for number in 1.. {
            let (entries, next, total) = fetch(self.size, token).await?;
            if number == self.number {
                return Ok(self.page(entries.into_iter().map(convert).collect(), total));
            }
            if next.is_empty() {
                return Ok(self.page(Vec::new(), total));
            }
            token = next;
        }
        Ok(self.page(Vec::new(), 0))
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
