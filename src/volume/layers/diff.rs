//! What differs between what two chains show.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::Layer;
use super::disk::BlockFile;
use super::region_map::{BlockState, REGION_BLOCKS, bytes_of, region_of};
use super::regions::Regions;
use crate::volume::device::Wait;
use crate::volume::driver::{DiffExtent, LayerId};

/// From which layer a block is read, if from any, and whether it is data there.
type Owner = Option<(LayerId, BlockState)>;

/// What differs, in order from `offset` on, joined, at most `limit` extents. Without an older chain: all that was ever
/// written. Empty at the end.
///
/// Layers below a top do not change, so that a block that both read from the same layer is the same.
pub fn diff<F: BlockFile>(
    older: Option<&[Arc<Layer<F>>]>,
    newer: &[Arc<Layer<F>>],
    offset: u64,
    limit: usize,
) -> io::Result<Vec<DiffExtent>> {
    let size = newer.iter().map(|layer| layer.size()).max().unwrap_or(0);
    let mut extents = Extents { found: Vec::new(), offset, size, limit: limit.max(1) };
    for region in Regions::stored(deciding(older.unwrap_or(&[]), newer), region_of(offset))? {
        let region = region?;
        let before = older.map(|older| owners(older, region)).transpose()?;
        let after = owners(newer, region)?;
        for (block, after) in after.iter().enumerate() {
            let is_different = before.as_ref().map_or(after.is_some(), |before| differ(before[block], *after));
            if is_different && !extents.add(region, block, is_zero(*after)) {
                return Ok(extents.found);
            }
        }
    }
    Ok(extents.found)
}

/// The layers that are in one of the chains only: where none of them has anything, both show the same.
fn deciding<'a, F: BlockFile>(older: &'a [Arc<Layer<F>>], newer: &'a [Arc<Layer<F>>]) -> Vec<&'a Layer<F>> {
    let ids = |chain: &[Arc<Layer<F>>]| chain.iter().map(|layer| layer.id()).collect::<BTreeSet<_>>();
    let (in_older, in_newer) = (ids(older), ids(newer));
    let layers = older.iter().chain(newer).map(|layer| &**layer);
    layers.filter(|layer| !(in_older.contains(&layer.id()) && in_newer.contains(&layer.id()))).collect()
}

/// From where each block of a region is read.
fn owners<F: BlockFile>(chain: &[Arc<Layer<F>>], region: u32) -> io::Result<Vec<Owner>> {
    let mut owners = vec![None; REGION_BLOCKS];
    for layer in chain {
        let blocks = layer.load(region, Wait::Allowed)?.blocks;
        for (run, state) in blocks.runs().filter(|(_, state)| *state != BlockState::Absent) {
            owners[run].fill(Some((layer.id(), state)));
        }
    }
    Ok(owners)
}

fn differ(before: Owner, after: Owner) -> bool {
    before != after && !(is_zero(before) && is_zero(after))
}

fn is_zero(owner: Owner) -> bool {
    owner.is_none_or(|(_, state)| state != BlockState::Data)
}

/// Extents that were found.
struct Extents {
    found: Vec<DiffExtent>,
    offset: u64,
    size: u64,
    limit: usize,
}

impl Extents {
    /// Adds a block. Says whether there is room for more.
    fn add(&mut self, region: u32, block: usize, is_zero: bool) -> bool {
        let bytes = bytes_of(region, &(block..block + 1));
        let (start, end) = (bytes.start.max(self.offset), bytes.end.min(self.size));
        if start >= end {
            return true;
        }
        if let Some(last) = self.found.last_mut()
            && (last.offset + last.length, last.is_zero) == (start, is_zero)
        {
            last.length += end - start;
            return true;
        }
        let has_room = self.found.len() < self.limit;
        if has_room {
            self.found.push(DiffExtent { offset: start, length: end - start, is_zero });
        }
        has_room
    }
}
