//! Giving back what nobody can see any more.

use std::io;
use std::ops::Range;

use super::Layer;
use super::disk::BlockFile;
use super::region_map::{BlockState, Blocks, bytes_of};
use super::regions::Regions;
use crate::volume::device::Wait;

/// How many regions are done together.
const BATCH: usize = 256;

/// Gives back what `lower` has of blocks that the stored map of `upper` has too. Returns how many bytes that were.
///
/// `upper` may be the top of an open view. `let_reads_pass` is called when it is known what is hidden and nothing was
/// given back yet; it must return once no read is on its way any more that began before it was called.
pub fn discard_hidden<F: BlockFile>(
    lower: &Layer<F>,
    upper: &Layer<F>,
    let_reads_pass: &dyn Fn() -> io::Result<()>,
) -> io::Result<u64> {
    let _work = lower.work();
    let mut bytes = 0;
    let mut batch = Vec::with_capacity(BATCH);
    for region in Regions::stored(vec![lower], 0)? {
        let region = region?;
        let below = lower.load(region, Wait::Allowed)?.blocks;
        let above = upper.load(region, Wait::Allowed)?.blocks;
        if !below.within(&above).is_absent() {
            batch.push(Hidden { region, blocks: below.within(&above), left: below.without(&above) });
        }
        if batch.len() == BATCH {
            bytes += discard(lower, upper, &std::mem::take(&mut batch), let_reads_pass)?;
        }
    }
    Ok(bytes + discard(lower, upper, &batch, let_reads_pass)?)
}

/// What is hidden of a region.
struct Hidden {
    region: u32,
    blocks: Blocks,
    left: Blocks,
}

impl Hidden {
    fn bytes(&self) -> impl Iterator<Item = Range<u64>> {
        self.blocks.runs_of(BlockState::Data).map(|run| bytes_of(self.region, &run))
    }
}

fn discard<F: BlockFile>(
    lower: &Layer<F>,
    upper: &Layer<F>,
    batch: &[Hidden],
    let_reads_pass: &dyn Fn() -> io::Result<()>,
) -> io::Result<u64> {
    if batch.is_empty() {
        return Ok(0);
    }
    // What hides them may be stored by a flush that has not synced it yet.
    upper.sync_map()?;
    let_reads_pass()?;
    for hidden in batch {
        lower.store(hidden.region, &hidden.left)?;
    }
    // Before the bytes go: a map that names them as data would say that they were lost.
    lower.sync_map()?;
    let mut given_back = 0;
    for bytes in batch.iter().flat_map(Hidden::bytes) {
        lower.drop_bytes(bytes.start, bytes.end - bytes.start)?;
        given_back += bytes.end - bytes.start;
    }
    Ok(given_back)
}
