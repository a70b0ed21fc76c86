//! Paging: by a number, as the older API does, or by a token, which holds its place while rows come and go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fields::Fields;
use crate::transcode::index::{Position, Start};

const DEFAULT_SIZE: usize = 20;
const MAX_SIZE: usize = 1000;
/// A token's length: a key and a number.
const TOKEN_BYTES: usize = 12;

/// A wish for a page, as requests have it.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) size: i32,
    pub(super) token: &'a str,
    pub(super) number: i32,
}

/// Reads where a page starts and how long it is.
pub(super) fn read(fields: &mut Fields, asked: &Asked<'_>) -> (Start, usize) {
    let size = match usize::try_from(asked.size) {
        Ok(0) => DEFAULT_SIZE,
        Ok(size) => size.min(MAX_SIZE),
        Err(_) => {
            fields.reject("page_size", "is negative");
            DEFAULT_SIZE
        }
    };
    if !asked.token.is_empty() {
        if asked.number != 0 {
            fields.reject("page", "is given beside a token");
        }
        return match position(asked.token) {
            Some(last) => (Start::After(last), size),
            None => {
                fields.reject("page_token", "is not one that this list gave");
                (Start::Skip(0), size)
            }
        };
    }
    match usize::try_from(asked.number) {
        Ok(number) => (Start::Skip(number.saturating_sub(1).saturating_mul(size)), size),
        Err(_) => {
            fields.reject("page", "is negative");
            (Start::Skip(0), size)
        }
    }
}

/// The token of the page behind `last`; empty without one.
pub(super) fn token(last: Option<Position>) -> String {
    last.map_or_else(String::new, |last| {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[..8].copy_from_slice(&last.key.to_be_bytes());
        bytes[8..].copy_from_slice(&last.number.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    })
}

fn position(token: &str) -> Option<Position> {
    let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let (key, number) = bytes.split_first_chunk::<8>()?;
    Some(Position { key: u64::from_be_bytes(*key), number: i32::from_be_bytes(number.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_row_behind_which_it_goes_on() {
        let last = Position { key: u64::MAX - 3, number: 70_000 };
        assert_eq!(position(&token(Some(last))), Some(last));
        assert_eq!(position("nonsense"), None);
        assert_eq!(token(None), "");
    }

    #[test]
    fn a_page_by_its_number_skips_those_before_it() {
        let mut fields = Fields::default();
        let asked = Asked { size: 50, token: "", number: 3 };
        assert_eq!(read(&mut fields, &asked), (Start::Skip(100), 50));
        let first = Asked { size: 0, token: "", number: 0 };
        assert_eq!(read(&mut fields, &first), (Start::Skip(0), 20));
        assert!(fields.check().is_ok());
    }
}
