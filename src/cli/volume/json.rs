//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

mod event;
mod export;
mod operation;
mod policy;
mod scrub;
mod snapshot;
mod volume;

pub(super) use self::event::{SnapshotEvent, VolumeEvent};
pub(super) use self::export::Export;
pub(super) use self::operation::Operation;
pub(super) use self::policy::{Policy, Quota, Usage};
pub(super) use self::scrub::{Finding, Scrubbed};
pub(super) use self::snapshot::{Extent, Snapshot};
pub(super) use self::volume::Volume;
