//! Batches of objects, written as one JSON array: never more of it in memory than a batch and a frame.

use std::fmt::Write as _;
use std::vec;

use bytes::Bytes;
use steward_proto::restic::v1::{ObjectEntry, StreamObjectsResponse};
use tonic::{Status, Streaming};

/// How long a frame is, about. Shorter lists are answered whole.
const FRAME_BYTES: usize = 64 * 1024;
/// Room for the entry that makes a frame full.
const SLACK_BYTES: usize = 256;

/// What an entry of the array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// A name.
    One,
    /// A name and a size.
    Two,
}

/// A piece of the array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Others follow.
    More(Bytes),
    /// The array is closed.
    Last(Bytes),
}

/// A list that is being written.
pub(super) struct Listing {
    batches: Streaming<StreamObjectsResponse>,
    batch: vec::IntoIter<ObjectEntry>,
    version: Version,
    is_empty: bool,
}

impl Listing {
    pub(super) fn new(batches: Streaming<StreamObjectsResponse>, version: Version) -> Self {
        Self { batches, batch: Vec::new().into_iter(), version, is_empty: true }
    }

    /// Writes the next piece; not to be asked after the last one.
    pub(super) async fn next_frame(&mut self) -> Result<Frame, Status> {
        let mut json = String::with_capacity(FRAME_BYTES + SLACK_BYTES);
        while json.len() < FRAME_BYTES {
            if let Some(entry) = self.batch.next() {
                json.push(if self.is_empty { '[' } else { ',' });
                self.is_empty = false;
                write(&mut json, self.version, &entry);
            } else if let Some(batch) = self.batches.message().await? {
                self.batch = batch.entries.into_iter();
            } else {
                json.push_str(if self.is_empty { "[]" } else { "]" });
                return Ok(Frame::Last(json.into()));
            }
        }
        Ok(Frame::More(json.into()))
    }
}

fn write(json: &mut String, version: Version, entry: &ObjectEntry) {
    match version {
        Version::One => push_string(json, &entry.name),
        Version::Two => {
            json.push_str(r#"{"name":"#);
            push_string(json, &entry.name);
            write!(json, r#","size":{}}}"#, entry.size).expect("strings take everything");
        }
    }
}

fn push_string(json: &mut String, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        // By contract no name is like that, but a list that is no JSON would be worse than a slow one.
        json.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
    }
}
