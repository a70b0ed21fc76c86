//! Reading the log by a filter, a bounded part at a time.

use std::io;

use steward_proto::audit::v1::AuditEntry;

use super::files::Files;
use super::filter::Filter;
use super::segment::Direction;

/// How many pieces of some 64 KiB a search reads before it lets others go on.
const MAX_BLOCKS: usize = 512;

/// What a search has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<AuditEntry>,
    /// Where to go on.
    pub(super) next: u64,
    /// There is nothing more in this direction.
    pub(super) is_end: bool,
    /// The first entries that were asked for are kept no more. What was found is behind them.
    pub(super) is_beyond_removed: bool,
}

/// Up to `limit` entries from `number` on in a direction, perhaps fewer although more follow. Blocks.
pub(super) fn search(
    files: &Files,
    filter: &Filter,
    number: u64,
    direction: Direction,
    limit: usize,
) -> io::Result<Found> {
    let mut found = Found { next: number, ..Found::default() };
    for _ in 0..MAX_BLOCKS {
        if direction == Direction::Backward && found.next == 0 {
            found.is_end = true;
            break;
        }
        if let Some(next) = files.skip(found.next, direction, &filter.time) {
            found.next = next;
            continue;
        }
        let block = files.read(found.next, direction)?;
        if direction == Direction::Forward && is_removed(files, found.next, &block) {
            if found.next > number {
                // Those before are told of first.
                return Ok(found);
            }
            found.is_beyond_removed = true;
        }
        if block.is_empty() {
            found.is_end = true;
            break;
        }
        for entry in block {
            let number = u64::try_from(entry.number).unwrap_or(0);
            found.next = match direction {
                Direction::Forward => number + 1,
                Direction::Backward => number.saturating_sub(1),
            };
            if filter.matches(&entry) {
                found.entries.push(entry);
                if found.entries.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// Whether the entry of this number is gone, and not only hidden by damage, since it is not what `block` begins with.
fn is_removed(files: &Files, number: u64, block: &[AuditEntry]) -> bool {
    let first = block.first().and_then(|entry| u64::try_from(entry.number).ok());
    first != Some(number) && number < files.floor()
}
