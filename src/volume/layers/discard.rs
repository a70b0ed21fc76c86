//! Giving back what nobody can see any more.

use std::io;
use std::ops::Range;

use super::Layer;
use super::disk::BlockFile;
use super::region_map::{BlockState, Blocks, bytes_of};
use super::regions::Regions;
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::driver::{Control, Done, Proceed};

/// How many regions are done together.
const BATCH: usize = 1024;

/// Gives back what `lower` has of blocks that the stored map of `upper` has too. Returns also how many bytes that were.
///
/// `upper` may be the top of an open view. `let_reads_pass` is called when it is known what is hidden and nothing was
/// given back yet; it must return once no read is on its way any more that began before it was called.
pub fn discard_hidden<F: BlockFile>(
    lower: &Layer<F>,
    upper: &Layer<F>,
    control: &dyn Control,
    let_reads_pass: &dyn Fn() -> io::Result<()>,
) -> io::Result<(Done, u64)> {
    let _work = lower.work();
    control.total(hidden_bytes(lower, upper)?);
    let mut regions = Regions::stored(vec![lower], 0)?;
    let (mut freed, mut unreported) = (0, 0);
    loop {
        let batch = regions.by_ref().take(BATCH).collect::<io::Result<Vec<u32>>>()?;
        let proceed = control.proceed(unreported);
        if batch.is_empty() {
            // Nothing is left that could be stopped.
            return Ok((Done::All, freed));
        }
        if proceed == Proceed::Stop {
            return Ok((Done::Stopped, freed));
        }
        let mut hidden = Vec::new();
        for region in batch {
            hidden.extend(Hidden::find(lower, upper, region)?);
        }
        unreported = discard(lower, upper, &hidden, let_reads_pass)?;
        freed += unreported;
    }
}

fn hidden_bytes<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>) -> io::Result<u64> {
    let mut bytes = 0;
    for region in Regions::stored(vec![lower], 0)? {
        let hidden = Hidden::find(lower, upper, region?)?;
        bytes += hidden.map_or(0, |hidden| hidden.blocks.count(BlockState::Data) * BLOCK_BYTES);
    }
    Ok(bytes)
}

/// What is hidden of a region.
struct Hidden {
    region: u32,
    blocks: Blocks,
    left: Blocks,
}

impl Hidden {
    fn find<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>, region: u32) -> io::Result<Option<Self>> {
        let below = lower.load(region, Wait::Allowed)?.blocks;
        let above = upper.load(region, Wait::Allowed)?.blocks;
        let blocks = below.within(&above);
        Ok((!blocks.is_absent()).then(|| Hidden { region, blocks, left: below.without(&above) }))
    }

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
