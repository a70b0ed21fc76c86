//! Paging: sizes and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fields::Fields;
use crate::store::key::Table;
use crate::store::{Key, MAX_KEY_BYTES};

const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: usize = 1000;
/// A total is counted up to this.
pub(super) const MAX_TOTAL: usize = 100_000;

/// A wish for a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) size: usize,
    /// The last key of the page before.
    pub(super) after: Option<Key>,
}

impl Fields {
    pub(super) fn page(&mut self, size: i32, token: &str, table: Table) -> Page {
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => {
                self.reject("page_size", "is negative");
                DEFAULT_SIZE
            }
        };
        if token.is_empty() {
            return Page { size, after: None };
        }
        let key = URL_SAFE_NO_PAD.decode(token).ok().filter(|key| key.len() <= MAX_KEY_BYTES);
        let after = key.map(Key::from_bytes).filter(|key| key.as_bytes().starts_with(Key::table(table).as_bytes()));
        if after.is_none() {
            self.reject("page_token", "is not one that this list gave");
        }
        Page { size, after }
    }
}

/// The token of the page behind `last`.
pub(super) fn token(last: &Key) -> String {
    URL_SAFE_NO_PAD.encode(last.as_bytes())
}

/// A number of things as the protocol has it.
pub(super) fn total(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
