//! How often anything has changed on which it depends who somebody is, and what they may do: a file was read again, tokens
//! were revoked, an issuer has other keys. Whoever remembers an outcome asks before, and again when it is used.

use std::sync::atomic::{AtomicU64, Ordering};

/// One for all servers of a process: that of another one only makes them look again.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How often so far.
pub(super) fn count() -> u64 {
    CHANGES.load(Ordering::Acquire)
}

/// Something has changed, and whoever looks from now on sees it.
pub(super) fn note() {
    CHANGES.fetch_add(1, Ordering::Release);
}
