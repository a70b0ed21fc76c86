//! Pages of lists.
//!
//! A token says behind what to go on, and how many things match at all: that is counted once, for the first page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fields::Fields;

const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: usize = 1000;
/// The longest that a token can be.
const MAX_TOKEN: usize = 1024;
/// How far matches are counted.
pub(super) const MAX_TOTAL: u64 = 100_000;

/// A wish for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// How many at most.
    pub(super) size: usize,
    /// Where the page before ended; `None`: this is the first one.
    pub(super) after: Option<Place>,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its last name or path.
    pub(super) last: String,
    /// How many match on all pages together.
    pub(super) total: u64,
}

/// Some of what matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<T> {
    /// Them, in order.
    pub(super) items: Vec<T>,
    /// How many match on all pages together.
    pub(super) total: u64,
    /// The token of the next page; empty after the last one.
    pub(super) next: String,
}

impl Fields {
    /// A wish for a page.
    pub(super) fn artifact_page(&mut self, size: i32, token: &str) -> Page {
        let size = self.page_size(size);
        if token.is_empty() {
            return Page { size, after: None };
        }
        let after = Place::read(token);
        if after.is_none() {
            self.reject("page_token", "is not one that this list gave");
        }
        Page { size, after }
    }

    /// How many there may be on a page.
    pub(super) fn page_size(&mut self, size: i32) -> usize {
        match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => {
                self.reject("page_size", "is negative");
                DEFAULT_SIZE
            }
        }
    }
}

impl Place {
    /// The token that leads here.
    pub(super) fn token(&self) -> String {
        let mut bytes = self.total.to_be_bytes().to_vec();
        bytes.extend(self.last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (total, last) = bytes.split_first_chunk()?;
        let last = String::from_utf8(last.to_vec()).ok()?;
        Some(Place { last, total: u64::from_be_bytes(*total).min(MAX_TOTAL) })
    }
}

/// Gathers a page out of all that matches, in order.
#[derive(Debug)]
pub(super) struct Gather<T> {
    size: usize,
    /// What the page before says.
    known_total: Option<u64>,
    items: Vec<T>,
    last: String,
    counted: u64,
}

impl<T> Gather<T> {
    pub(super) fn new(page: &Page) -> Self {
        let known_total = page.after.as_ref().map(|place| place.total);
        Gather { size: page.size, known_total, items: Vec::new(), last: String::new(), counted: 0 }
    }

    /// Takes the next that matches. Says whether more are wanted.
    pub(super) fn take(&mut self, name: &str, item: impl FnOnce() -> T) -> bool {
        self.counted += 1;
        if self.items.len() < self.size {
            self.items.push(item());
            name.clone_into(&mut self.last);
        }
        let has_more = self.counted > self.size as u64;
        !has_more || (self.known_total.is_none() && self.counted < MAX_TOTAL)
    }

    pub(super) fn part(self) -> Part<T> {
        let total = self.known_total.unwrap_or(self.counted);
        let next =
            if self.counted > self.size as u64 { Place { last: self.last, total }.token() } else { String::new() };
        Part { items: self.items, total, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(token: &str) -> Result<Page, ()> {
        let mut fields = Fields::default();
        let page = fields.artifact_page(3, token);
        fields.check().map(|()| page).map_err(|_| ())
    }

    #[test]
    fn pages_together_have_everything_once_and_tell_how_many_there_are() {
        let all: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(&token).expect("a page");
            let after = page.after.as_ref().map(|place| place.last.clone());
            let mut gather = Gather::new(&page);
            for name in all.iter().filter(|name| after.as_ref().is_none_or(|after| *name > after)) {
                if !gather.take(name, || name.clone()) {
                    break;
                }
            }
            let part = gather.part();
            assert_eq!(part.total, 10);
            seen.extend(part.items);
            token = part.next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_token_that_nobody_gave_is_refused() {
        for token in ["!", "AA", &"A".repeat(2000), &URL_SAFE_NO_PAD.encode([0xff; 20])] {
            assert_eq!(page(token), Err(()), "{token}");
        }
    }
}
