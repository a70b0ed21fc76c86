//! Bytes by digest: files that are written once, named by the digest of their bytes, and shared by all that need them.
//!
//! What needs which bytes is for those above to know; this is told when nobody does. Files that others name, such as
//! those of backup repositories, are written, read and made to last by the same parts.

mod digest;
mod extent;
mod files;
mod gather;
mod hasher;
mod partial;
mod pieces;
mod staged;
mod store;

pub use self::digest::{Algorithm, Digest};
pub(crate) use self::extent::Extent;
pub(crate) use self::files::{Sharing, open_cached, optional, sync_directory};
pub(crate) use self::gather::Gathered;
pub(crate) use self::hasher::{Checksums, Hasher};
pub(crate) use self::partial::{Checkpoint, Partial, PartialStart, read_through};
pub(crate) use self::pieces::Reader;
pub(crate) use self::staged::{Published, Staged, sweep_temporary};
pub use self::store::Blobs;
