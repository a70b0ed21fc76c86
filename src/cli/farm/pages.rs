//! Lists that come page by page.

use clap::Args;

use crate::cli::console::{Console, Format};
use crate::cli::error::Error;

/// The most that the server sends at a time.
const LARGEST_PAGE: u32 = 1000;

/// Which part of a list is shown.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// At most so many; 0: all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,

    /// The page of this number, from 1, where --limit is the size of a page.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    page: Option<i32>,
}

/// Which page the server is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) size: i32,
    /// From 1; 0: the token says it.
    pub(crate) number: i32,
    pub(crate) token: String,
}

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: String,
    pub(crate) total: i32,
}

impl Paging {
    /// Shows what `ask` brings, page by page, and tells a person when that was not all of the `noun`.
    pub(crate) async fn show<T>(
        self,
        noun: &str,
        console: &mut Console,
        mut ask: impl AsyncFnMut(Page) -> Result<Part<T>, Error>,
        mut show: impl FnMut(Vec<T>, &mut Console) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.page.is_some() && !(1..=LARGEST_PAGE).contains(&self.limit) {
            return Err(Error::Local(format!("--page needs a --limit from 1 to {LARGEST_PAGE}")));
        }
        let mut left = if self.limit == 0 { u32::MAX } else { self.limit };
        let mut page = Page { number: self.page.unwrap_or_default(), ..Page::default() };
        let mut shown_count = 0;
        loop {
            page.size = i32::try_from(left.min(LARGEST_PAGE)).unwrap_or(i32::MAX);
            let mut part = ask(page).await?;
            part.items.truncate(left as usize);
            let count = u32::try_from(part.items.len()).unwrap_or(u32::MAX);
            (left, shown_count) = (left.saturating_sub(count), shown_count + part.items.len());
            show(part.items, console)?;
            if part.next_token.is_empty() || left == 0 || self.page.is_some() {
                if !part.next_token.is_empty() && console.format() == Format::Text {
                    eprintln!("steward: {shown_count} of {} {noun}; --limit 0 shows all", part.total);
                }
                return Ok(());
            }
            page = Page { token: part.next_token, ..Page::default() };
        }
    }
}
