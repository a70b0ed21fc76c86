//! Pages of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::replication::error::Error;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// How many entries a page has.
pub(super) fn page_size(size: i32) -> Result<usize, Error> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(MAX_PAGE)),
        Err(_) => Err(Error::invalid("page_size", "is negative")),
    }
}

/// A token for what begins behind something.
pub(super) fn page_token(last: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// Behind what a page begins; nothing: at the start.
pub(super) fn token_of(token: &str) -> Result<Option<Vec<u8>>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let last = URL_SAFE_NO_PAD.decode(token);
    last.map(Some).map_err(|_| Error::invalid("page_token", "is not one that this list gave"))
}
