//! The layered store: the bytes of layers in sparse files, each with a map of what it has.
//!
//! A **block** is 4096 bytes, a **region** 1024 blocks. A **layer** is up to three files, named by its id:
//!
//! - `.data`: its bytes, each at the offset that it has in the volume;
//! - `.map`: of each block whether it is absent, data or zero (`map_file`), each region twice, written alternately;
//! - `.sum`: a CRC32C of each block, only of layers with checksums (`sums`).
//!
//! A block of a chain is read from the uppermost layer in which it is not absent; one that is absent everywhere is a
//! hole and reads as zeros. **What the map says is on disk before the map says it**: data is synced, then slots of the map
//! are stored, then the map is synced. A crash in between leaves bytes that no map knows of; they do no harm.
//!
//! Everything is generic over the [`disk::Disk`], so that tests can cut the power.

pub mod depot;
pub mod diff;
pub mod discard;
pub mod disk;
pub mod flatten;
pub mod layer;
pub mod map_file;
pub mod merge;
pub mod region_map;
pub mod scrub;

mod claims;
mod entry;
#[cfg(test)]
mod model_test;
mod movement;
mod page;
mod regions;
mod resolved;
mod stack;
mod sums;
#[cfg(test)]
mod tests;
mod view;

pub use depot::Depot;
pub use layer::Layer;
pub use region_map::{BlockState, Blocks, REGION_BLOCKS, REGION_BYTES};
