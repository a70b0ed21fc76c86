//! Libraries: directories whose videos are found, measured and kept in view.
//!
//! The [`Scanner`] walks each library, asks ffprobe about every file that is new or changed, and hands what it learns
//! to a [`Shelf`], which keeps it. Files that came, went or moved are told; a library that cannot be read hides
//! nothing. What counts as a video, and which videos need transcoding, is said by [`Rules`].

#[cfg(test)]
mod fake;
mod fingerprint;
mod looks;
mod memory;
mod path;
mod probe;
mod progress;
mod roots;
mod rules;
mod scan;
mod scanner;
mod shelf;
mod stable;
mod stat;
#[cfg(test)]
mod tests;
mod trash;
mod walk;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::path::{MAX_PATH_BYTES, place};
pub use self::probe::{Probe, ProbeError, Prober};
pub use self::progress::Progress;
pub use self::roots::Roots;
pub(crate) use self::roots::{overlap, resolve};
pub use self::rules::{Rules, needs_transcoding};
pub use self::scanner::Scanner;
pub use self::shelf::{BATCH, Found, Known, MARKS, Recorded, Shelf, Twin};

/// How often a library is scanned by itself.
const SCAN_INTERVAL: Duration = Duration::from_mins(30);
/// For how long a file has to stay as it is.
const STABLE_FOR: Duration = Duration::from_secs(15);
/// How many files are probed at a time.
const PROBES: usize = 4;
/// How long ffprobe may take for a file.
const PROBE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long replaced originals are kept.
const TRASH_RETENTION: Duration = Duration::from_hours(7 * 24);

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often a library is scanned that says nothing of its own. Zero: never by itself.
    pub scan_interval: Duration,
    /// A file is left alone until it has stayed as it is for so long.
    pub stable_for: Duration,
    /// How many files are probed at a time, in all libraries together.
    pub probes: usize,
    /// How long ffprobe may take for a file.
    pub probe_timeout: Duration,
    /// Whether the kernel is asked to tell of changes.
    pub watch_files: bool,
    /// How long what lies in `.steward/trash` of a library is kept.
    pub trash_retention: Duration,
    /// The program that probes: a path, or a name to look up.
    pub ffprobe: PathBuf,
    /// Where libraries may lie.
    pub roots: Arc<Roots>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            scan_interval: SCAN_INTERVAL,
            stable_for: STABLE_FOR,
            probes: PROBES,
            probe_timeout: PROBE_TIMEOUT,
            watch_files: true,
            trash_retention: TRASH_RETENTION,
            ffprobe: PathBuf::from("ffprobe"),
            roots: Arc::default(),
        }
    }
}

/// A library, as the scanner needs to know it.
#[derive(Clone, Debug)]
pub struct LibrarySpec {
    /// Its name, the first part of the paths of its videos.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// What its videos are.
    pub rules: Arc<Rules>,
    /// How often it is scanned by itself. Zero: never. `None`: as the settings say.
    pub scan_interval: Option<Duration>,
}
