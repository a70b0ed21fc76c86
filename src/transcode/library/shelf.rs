//! What the scanner asks of whoever keeps the records of videos.

use async_trait::async_trait;
use steward_proto::transcode::v1::LogLevel;

use super::probe::Probe;
use crate::error::Failure;

/// How many files are recorded at a time, at most.
pub const BATCH: usize = 20;
/// How many videos are marked at a time, at most.
pub const MARKS: usize = 50;

/// What is known of a file from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The video.
    pub id: i32,
    /// Bytes.
    pub size_bytes: i64,
    /// When the file was last written: nanoseconds since 1970, as its file system says.
    pub modify_nanos: i64,
    /// It was there when it was last looked for.
    pub exists: bool,
}

/// A video that looks the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The video.
    pub id: i32,
    /// Its library's name, a slash, and the path in it.
    pub path: String,
    /// It was there when it was last looked for.
    pub exists: bool,
}

/// A file that was probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The library's name, a slash, and the path in it. At most [`super::MAX_PATH_BYTES`].
    pub path: String,
    /// What ffprobe said.
    pub probe: Probe,
    /// Bytes.
    pub size_bytes: i64,
    /// When it was last written: nanoseconds since 1970, as its file system says.
    pub modify_nanos: i64,
    /// The same after a move.
    pub fingerprint: [u8; 16],
    /// Its name marks it as VR.
    pub is_vr: bool,
    /// The rules of its library say so.
    pub needs_transcoding: bool,
    /// The video that this file most likely is: it has the same fingerprint, and there is no file at its path any
    /// more. Told of one file of a scan at most. It counts only if `path` belongs to no video yet.
    pub moved_from: Option<i32>,
}

/// What came of recording a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The video was not known.
    Added,
    /// The video was known, with another file.
    Changed,
    /// The video was known by another path.
    Moved,
    /// All was known already.
    Unchanged,
}

/// The records of videos. Each call is atomic, or at least leaves nothing half said about one video, and is durable
/// when it returns.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// What is known of the file at a path (`LIBRARY/relative`).
    fn lookup(&self, path: &str) -> Option<Known>;

    /// The path of a video (`LIBRARY/relative`), if it is known.
    fn path(&self, id: i32) -> Option<String>;

    /// The videos of a library whose files are there, by id.
    fn existing(&self, library: &str) -> Vec<i32>;

    /// The videos of any library that have this fingerprint; a few are enough when there are many.
    fn twins(&self, fingerprint: &[u8; 16]) -> Vec<Twin>;

    /// Keeps what was found: at most [`BATCH`] files, each at its own path. The answers are in the order
    /// of the files.
    async fn record(&self, library: &str, found: Vec<Found>) -> Result<Vec<(i32, Recorded)>, Failure>;

    /// The files of these videos are gone. An id that is not known, or not of this library any more, is passed over.
    /// At most [`MARKS`] ids.
    async fn mark_missing(&self, library: &str, ids: Vec<i32>) -> Result<(), Failure>;

    /// The files of these videos are there again, as they were. At most [`MARKS`] ids.
    async fn mark_present(&self, library: &str, ids: Vec<i32>) -> Result<(), Failure>;

    /// Writes an entry of the farm's log that is about no task.
    async fn report(&self, level: LogLevel, message: String);

    /// A whole scan of a library has ended; with `error`, before its end: then nothing was marked as missing.
    async fn scan_ended(&self, library: &str, error: Option<String>);
}
