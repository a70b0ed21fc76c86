//! What the scripted object service is told, and what it remembers.

use std::time::Duration;

use steward_proto::restic::v1::{DownloadRequest, UploadStart, download_response};
use tonic::Status;

/// What the service does with an upload.
#[derive(Clone)]
pub(super) enum Uploads {
    /// Reads all of it.
    Store,
    /// Says so as soon as it knows the name.
    Exists,
    /// Refuses it as soon as it knows the name.
    Refuse(Status),
    /// Stops reading and never answers.
    Stall,
}

/// What the service answers.
#[derive(Clone)]
pub(super) struct Script {
    /// To every call that has no answer of its own here.
    pub(super) refusal: Option<Status>,
    pub(super) size: i64,
    pub(super) parts: Vec<Result<download_response::Part, Status>>,
    pub(super) batches: Vec<Result<Vec<(String, i64)>, Status>>,
    pub(super) uploads: Uploads,
    /// Bytes of objects do not come and go as messages.
    pub(super) is_direct: bool,
    /// Streams do not end after their last message.
    pub(super) hangs: bool,
    /// How long each message of a stream takes.
    pub(super) delay: Duration,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            refusal: None,
            size: 1000,
            parts: Vec::new(),
            batches: Vec::new(),
            uploads: Uploads::Store,
            is_direct: false,
            hangs: false,
            delay: Duration::ZERO,
        }
    }
}

/// What came of one upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) start: Option<UploadStart>,
    pub(super) content: Vec<u8>,
    pub(super) longest_chunk: usize,
    pub(super) finish: Option<i64>,
}

impl Received {
    pub(super) fn take(&mut self, chunk: &[u8]) {
        self.content.extend(chunk);
        self.longest_chunk = self.longest_chunk.max(chunk.len());
    }
}

/// What the service was asked, newest last.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) calls: Vec<String>,
    pub(super) downloads: Vec<DownloadRequest>,
    pub(super) uploads: Vec<Received>,
    /// How many calls of uploads the service is rid of, whatever came of them.
    pub(super) ended_uploads: usize,
}
