//! Block volumes: snapshots, clones and flatten of devices that hold real bytes.
//!
//! A volume is a **chain of layers** (`driver`): the top takes writes, those below are frozen and may be shared by
//! snapshots and clones. The records say which layer stands on which and what has a name (`layer_tree`); the layered
//! store (`layers`) keeps the bytes; an NBD server (`nbd`) serves an open chain as a [`device::Device`]. `catalog` is
//! what all commands have at hand.

mod busy_layers;
mod catalog;
#[cfg(test)]
mod catalog_test;
mod change;
mod clone;
mod convert;
mod convert_operation;
mod convert_snapshot;
mod create;
mod cron;
pub mod device;
mod diff;
pub mod driver;
mod error;
mod exports;
mod flatten;
#[cfg(test)]
mod flatten_test;
mod keys;
mod layer_tree;
pub mod layers;
mod lookup;
mod namespace;
pub mod nbd;
mod nbd_exports;
mod open;
#[cfg(test)]
mod open_test;
mod open_volume;
mod operation;
mod operation_retention;
mod operations;
mod own_layers;
mod pace;
mod path;
mod policies;
mod policy_engine;
mod progress;
mod reach;
mod retention;
mod rollback;
mod runner;
mod scrub;
mod service;
mod session;
mod settings;
mod snapshot_create;
mod snapshot_delete;
#[cfg(test)]
mod snapshot_test;
mod snapshots;
mod streams;
#[cfg(test)]
mod testing;
mod tidy;
mod trash;
mod usage;
mod users;
mod volume_locks;
mod watch;

pub use self::catalog::Catalog;
pub use self::change::VolumeChange;
pub use self::clone::{CloneVolume, MadeClone, Source};
pub use self::create::CreateVolume;
pub use self::diff::Diff;
pub use self::error::Error;
pub use self::exports::{NbdAddresses, OpenExport, ShownExport};
pub use self::lookup::{Begin, ShownVolume, VolumeFilter, VolumePage, WithSpace};
pub use self::namespace::{User, Which};
pub use self::nbd_exports::{NbdAccess, NbdExports, NbdUsers, shown_name};
pub use self::open_volume::{Opener, Wish};
pub use self::operation_retention::OperationRetention;
pub use self::operations::{OperationFilter, OperationPage, OperationStart, Say, ShownOperation};
pub use self::own_layers::{NotOurs, claim_layers};
pub use self::path::VolumePath;
pub use self::policies::SetPolicy;
pub use self::policy_engine::{ExpiryEngine, PolicyEngine};
pub use self::retention::Retention;
pub use self::runner::Runner;
pub use self::service::VolumeServer;
pub use self::session::Session;
pub use self::settings::{RootAccess, Settings};
pub use self::snapshot_create::{CreateSnapshot, MAX_GROUP, MadeSnapshots};
pub use self::snapshot_delete::{Children, SnapshotChange};
pub use self::snapshots::{ShownSnapshot, SnapshotFilter, WhichSnapshot};
pub use self::trash::TrashEngine;
pub use self::usage::{Quota, Space, UserUsage};
