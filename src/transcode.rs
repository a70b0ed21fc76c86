//! The transcoding farm: libraries that are scanned for videos, workers that transcode them, and the tasks between.
//!
//! [`Farm`] has the commands. Each loads the records that one decision needs, lets the pure rules in `register`, `claim`
//! and `transition` decide, and commits the outcome in one transaction; the loops in `sweep` and `retention` change
//! state by the same commands. `index` keeps in memory what choosing, filtering and sorting need, and follows every
//! commit. `library` finds the files, `service` is the gRPC face.

mod batch;
mod claim;
mod claims;
mod convert;
mod error;
mod farm;
#[cfg(test)]
mod farm_test;
mod index;
mod keys;
mod libraries;
pub mod library;
mod lists;
mod load;
mod log;
mod measure;
mod model;
mod pace;
mod places;
mod reach;
mod register;
mod reports;
mod retention;
mod schedule;
mod service;
mod sessions;
mod settings;
mod shelf;
mod sweep;
mod transfer;
mod transfers;
mod transition;
#[cfg(test)]
mod transition_history_test;
mod videos;
mod watch;
mod watch_workers;
mod workers;

pub use self::error::Error;
pub use self::farm::Farm;
pub use self::model::Policy;
pub use self::retention::RetentionEngine;
pub use self::service::FarmServer;
pub use self::settings::Settings;
pub use self::sweep::SilenceEngine;
