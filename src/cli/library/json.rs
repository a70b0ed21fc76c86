//! The JSON of `--json`: field names as in the protocol, times in RFC 3339.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::Serialize;
use steward_proto::transcode::v1 as pb;

use super::rules::file;
use crate::cli::{duration, time};

#[derive(Debug, Serialize)]
pub(super) struct Library {
    name: String,
    path: String,
    rules: file::Rules,
    scan_interval: Option<String>,
    paused: bool,
    scan_time: Option<String>,
    scan_error: String,
    video_count: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct Removed {
    pub(super) name: String,
}

/// How a scan goes.
#[derive(Debug, Serialize)]
pub(super) struct Scan {
    seen: i32,
    added: i32,
    changed: i32,
    missing: i32,
    moved: i32,
    errors: i32,
    unstable: i32,
    current: String,
    done: bool,
    error: String,
}

impl From<pb::Library> for Library {
    fn from(library: pb::Library) -> Self {
        Library {
            name: library.name,
            path: library.path,
            rules: library.rules.unwrap_or_default().into(),
            scan_interval: library.scan_interval.and_then(duration::json),
            paused: library.paused,
            scan_time: time::json(library.scan_time),
            scan_error: library.scan_error,
            video_count: library.video_count,
        }
    }
}

impl From<pb::ScanLibraryResponse> for Scan {
    fn from(scan: pb::ScanLibraryResponse) -> Self {
        Scan {
            seen: scan.seen,
            added: scan.added,
            changed: scan.changed,
            missing: scan.missing,
            moved: scan.moved,
            errors: scan.errors,
            unstable: scan.unstable,
            current: scan.current,
            done: scan.done,
            error: scan.error,
        }
    }
}
