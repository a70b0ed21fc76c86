//! Collecting what is found.

use std::ops::Range;

use super::{Finding, FindingKind, ScrubReport};
use crate::volume::driver::MAX_FINDINGS;

/// A report that is written.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) report: ScrubReport,
}

impl Findings {
    pub(super) fn add(&mut self, kind: FindingKind, bytes: Range<u64>, is_repaired: bool) {
        let finding = Finding { kind, offset: bytes.start, length: bytes.end - bytes.start, is_repaired };
        let report = &mut self.report;
        let has_room = report.findings.len() < MAX_FINDINGS;
        match report.findings.last_mut().filter(|last| continues(last, &finding)) {
            Some(last) => last.length += finding.length,
            None if has_room => report.findings.push(finding),
            None => report.more_findings += 1,
        }
    }
}

/// Whether it is the same, a little further on.
fn continues(last: &Finding, finding: &Finding) -> bool {
    let is_next = finding.length > 0 && last.offset + last.length == finding.offset;
    is_next && (last.kind, last.is_repaired) == (finding.kind, finding.is_repaired)
}
