//! Bytes by digest: files that are written once, named by the digest of their bytes, and shared by all that need them.
//!
//! What needs which bytes is for those above to know; this is told when nobody does.

mod digest;
mod store;

pub use self::digest::{Algorithm, Digest};
pub use self::store::Blobs;
