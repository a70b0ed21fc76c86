//! Records that are longer than the store takes, in pieces.

use bytes::Bytes;

use crate::store::key::KeyReader;
use crate::store::tx::{self, Tx};
use crate::store::{Error, Key, KeyRange, Store};

/// How long a piece is at most, in bytes.
const PIECE_BYTES: usize = 3 * 1024;
/// How many pieces a record may have. One transaction writes, or removes, all of them beside some others.
const MAX_PIECES: usize = 64;
/// How long a record in pieces may be, in bytes.
pub(super) const MAX_BYTES: usize = PIECE_BYTES * MAX_PIECES;

fn piece(of: &Key, number: usize) -> Key {
    let number = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    Key::from_bytes([of.as_bytes(), &number].concat())
}

/// Writes a record of at most [`MAX_BYTES`] in pieces, and removes what is left of the one before.
pub(super) async fn write(tx: &mut Tx<'_>, of: &Key, content: &[u8]) -> Result<(), Error> {
    if content.len() > MAX_BYTES {
        return Err(Error::Refused(format!("{} bytes are more than fit into pieces", content.len())));
    }
    let before = tx.scan(KeyRange::prefix(of), MAX_PIECES).await?.len();
    let count = content.len().div_ceil(PIECE_BYTES);
    for (number, bytes) in content.chunks(PIECE_BYTES).enumerate() {
        tx.put_bytes(piece(of, number), Bytes::copy_from_slice(bytes));
    }
    for number in count..before {
        tx.delete(piece(of, number));
    }
    Ok(())
}

/// Removes a record in pieces.
pub(super) async fn remove(tx: &mut Tx<'_>, of: &Key) -> Result<(), Error> {
    for (key, _) in tx.scan(KeyRange::prefix(of), MAX_PIECES).await? {
        tx.delete(key);
    }
    Ok(())
}

/// Reads a record in pieces; empty: there is none. Whoever needs it to fit to another record reads that before and after.
pub(super) async fn read(store: &dyn Store, of: &Key) -> Result<Vec<u8>, Error> {
    let pieces = tx::scan(store, KeyRange::prefix(of), MAX_PIECES).await?;
    Ok(pieces.into_iter().flat_map(|(_, bytes)| bytes).collect())
}

/// The text at the beginning of a key, such as the id of a run.
pub(super) fn text_of(key: &Key) -> Option<String> {
    KeyReader::new(key).text()
}
