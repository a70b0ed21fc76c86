//! Block volumes: snapshots, clones and flatten of devices that hold real bytes.
//!
//! A volume is a **chain of layers** (`driver`): the top takes writes, those below are frozen and may be shared by
//! snapshots and clones. The records say which layer stands on which and what has a name (`layer_tree`); the layered
//! store (`layers`) keeps the bytes; an NBD server (`nbd`) serves an open chain as a [`device::Device`]. `catalog` is
//! what all commands have at hand.

mod busy_layers;
mod catalog;
mod clone;
pub mod device;
pub mod driver;
mod error;
mod exports;
mod flatten;
mod keys;
mod layer_tree;
mod namespace;
mod open;
mod open_volume;
mod operation;
mod operations;
mod pace;
mod path;
mod progress;
mod rollback;
mod runner;
mod service;
mod session;
mod settings;
mod snapshot_create;
mod snapshot_delete;
mod snapshots;
#[cfg(test)]
mod testing;
mod tidy;
mod tx;
mod users;
mod volume_locks;

pub use self::catalog::Catalog;
pub use self::clone::{CloneVolume, MadeClone, Source};
pub use self::error::Error;
pub use self::exports::{NbdAddresses, OpenExport, ShownExport};
pub use self::namespace::{User, Which};
pub use self::open_volume::{Opener, Wish};
pub use self::path::VolumePath;
pub use self::runner::Runner;
pub use self::service::VolumeServer;
pub use self::session::Session;
pub use self::settings::{RootAccess, Settings};
pub use self::snapshot_create::{CreateSnapshot, MAX_GROUP, MadeSnapshots};
pub use self::snapshot_delete::{Children, SnapshotChange};
pub use self::snapshots::{ShownSnapshot, SnapshotFilter, WhichSnapshot};
