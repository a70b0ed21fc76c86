//! A clone gets what it reads from its parent, in a layer of its own.

use std::io;
use std::sync::Arc;

use super::Layer;
use super::disk::BlockFile;
use super::movement::Movement;
use super::region_map::{BlockState, Blocks};
use super::regions::Regions;
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::driver::{Control, Done};

/// Brings into `into` every block that `source`, a chain with the bottom first, shows and that `above` does not have.
/// When it returns `Ok(Done::All)`, it survives a power loss. What is there already stays.
///
/// `above` may be written meanwhile; a block that it gets too late for this is brought in vain.
pub fn flatten<F: BlockFile>(
    source: &[Arc<Layer<F>>],
    above: &Layer<F>,
    into: &Layer<F>,
    control: &dyn Control,
) -> io::Result<Done> {
    let _work = into.work();
    control.total(missing_bytes(source, above, into)?);
    let mut movement = Movement::new(into, control);
    for region in regions_of(source)? {
        let region = region?;
        let mut has = into.load(region, Wait::Allowed)?.blocks;
        for (layer, part) in missing(source, above, &has, region)? {
            if movement.copy(layer, region, &part)? == Done::Stopped {
                return movement.finish(Done::Stopped);
            }
            has = has.over(&part);
        }
        movement.finish_region(region, has)?;
    }
    // What was left out because `above` has it must be there after a power loss too.
    above.sync_map()?;
    movement.finish(Done::All)
}

/// Of which layer which blocks of a region are missing.
fn missing<'a, F: BlockFile>(
    source: &'a [Arc<Layer<F>>],
    above: &Layer<F>,
    into: &Blocks,
    region: u32,
) -> io::Result<Vec<(&'a Layer<F>, Blocks)>> {
    let mut decided = above.load(region, Wait::Allowed)?.blocks.over(into);
    let mut missing = Vec::new();
    for layer in source.iter().rev() {
        let part = layer.load(region, Wait::Allowed)?.blocks.without(&decided);
        if !part.is_absent() {
            decided = decided.over(&part);
            missing.push((&**layer, part));
        }
    }
    Ok(missing)
}

fn missing_bytes<F: BlockFile>(source: &[Arc<Layer<F>>], above: &Layer<F>, into: &Layer<F>) -> io::Result<u64> {
    let mut bytes = 0;
    for region in regions_of(source)? {
        let region = region?;
        let has = into.load(region, Wait::Allowed)?.blocks;
        for (_, part) in missing(source, above, &has, region)? {
            bytes += part.count(BlockState::Data) * BLOCK_BYTES;
        }
    }
    Ok(bytes)
}

fn regions_of<F: BlockFile>(source: &[Arc<Layer<F>>]) -> io::Result<Regions<'_, F>> {
    Regions::stored(source.iter().map(|layer| &**layer).collect(), 0)
}
