//! Block volumes: snapshots, clones and flatten of devices that hold real bytes.
//!
//! A volume is a **chain of layers** (`driver`): the top takes writes, those below are frozen and may be shared by
//! snapshots and clones. The records say which layer stands on which and what has a name (`layer_tree`); the layered
//! store (`layers`) keeps the bytes; an NBD server (`nbd`) serves an open chain as a [`device::Device`]. `catalog` is
//! what all commands have at hand.

mod busy_layers;
mod catalog;
pub mod device;
pub mod driver;
mod error;
mod flatten;
mod keys;
mod layer_tree;
mod namespace;
mod open;
mod operation;
mod operations;
mod pace;
mod path;
mod progress;
pub mod runner;
mod settings;
mod snapshots;
mod tx;
mod volume_locks;

pub use self::catalog::Catalog;
pub use self::error::Error;
pub use self::namespace::{User, Which};
pub use self::path::VolumePath;
pub use self::settings::{RootAccess, Settings};
pub use self::snapshots::{ShownSnapshot, SnapshotFilter, WhichSnapshot};
