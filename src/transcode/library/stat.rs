//! What tells one state of a file from another.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// The size and times of a file. Two that are equal: nobody has written to it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: i64,
    /// When it was last written, in nanoseconds since 1970.
    pub(super) modify_nanos: i64,
    /// When it or its name last changed, in nanoseconds since 1970. Nobody can set this one.
    pub(super) change_nanos: i64,
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Stat {
            size: i64::try_from(metadata.size()).unwrap_or(i64::MAX),
            modify_nanos: nanos(metadata.mtime(), metadata.mtime_nsec()),
            change_nanos: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
