//! What a scrub tells.

use serde::Serialize;
use steward_proto::volume::v1 as pb;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Finding {
    kind: String,
    layer: u64,
    offset: u64,
    length: u64,
    is_repaired: bool,
}

/// What the last line of a scrub says.
#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Scrubbed {
    pub(in crate::cli::volume) layers: u64,
    pub(in crate::cli::volume) blocks: u64,
    pub(in crate::cli::volume) verified: u64,
    pub(in crate::cli::volume) findings: u64,
    pub(in crate::cli::volume) repaired: u64,
    pub(in crate::cli::volume) more_findings: u64,
}

impl From<pb::ScrubFinding> for Finding {
    fn from(finding: pb::ScrubFinding) -> Self {
        let pb::ScrubFinding { kind, layer, offset, length, is_repaired } = finding;
        Finding { kind, layer, offset, length, is_repaired }
    }
}
