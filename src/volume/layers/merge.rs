//! Two neighbours of a chain become one.
//!
//! Into the lower one goes all that the upper one has; what it replaces there is hidden by the upper one until that goes.
//! Into the upper one goes what it lacks. Either way a block shows the same before, at every moment, and afterwards.

use std::io;

use super::Layer;
use super::disk::BlockFile;
use super::movement::Movement;
use super::region_map::{BlockState, Blocks};
use super::regions::Regions;
use crate::volume::device::{BLOCK_BYTES, Wait};
use crate::volume::driver::{Control, Done, MergeCost, MergeInto};

/// Makes one of two layers hold what both show together. When it returns `Ok(Done::All)`, it survives a power loss.
///
/// What was brought into the upper one stays there when it is told to stop, or there is a crash, and is not brought again.
/// Into the lower one everything is brought again: whether what is there is older cannot be told.
pub fn merge<F: BlockFile>(
    lower: &Layer<F>,
    upper: &Layer<F>,
    into: MergeInto,
    control: &dyn Control,
) -> io::Result<Done> {
    let cost = cost(lower, upper)?;
    match into {
        MergeInto::Lower => {
            let _work = lower.work();
            control.total(cost.into_lower);
            // Blocks behind its end count from now on: first those go that nobody was to see.
            lower.clear_all_beyond_end()?;
            lower.grow(upper.size());
            into_lower(lower, upper, control)
        }
        MergeInto::Upper => {
            let _work = upper.work();
            control.total(cost.into_upper);
            into_upper(lower, upper, control)
        }
    }
}

/// How many bytes a merge would have to move into either of two layers.
pub fn cost<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>) -> io::Result<MergeCost> {
    let mut cost = MergeCost { into_lower: 0, into_upper: 0 };
    for region in Regions::stored(vec![lower, upper], 0)? {
        let (below, above) = both(lower, upper, region?)?;
        cost.into_lower += above.count(BlockState::Data) * BLOCK_BYTES;
        cost.into_upper += below.without(&above).count(BlockState::Data) * BLOCK_BYTES;
    }
    Ok(cost)
}

fn into_lower<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>, control: &dyn Control) -> io::Result<Done> {
    let mut movement = Movement::new(lower, control);
    for region in Regions::stored(vec![upper], 0)? {
        let region = region?;
        let (below, above) = both(lower, upper, region)?;
        if movement.copy(upper, region, &above)? == Done::Stopped {
            return movement.finish(Done::Stopped);
        }
        movement.drop_zeros(region, &above);
        movement.finish_region(region, above.over(&below))?;
    }
    movement.finish(Done::All)
}

fn into_upper<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>, control: &dyn Control) -> io::Result<Done> {
    let mut movement = Movement::new(upper, control);
    for region in Regions::stored(vec![lower], 0)? {
        let region = region?;
        let (below, above) = both(lower, upper, region)?;
        if movement.copy(lower, region, &below.without(&above))? == Done::Stopped {
            return movement.finish(Done::Stopped);
        }
        movement.finish_region(region, above.over(&below))?;
    }
    movement.finish(Done::All)
}

/// What the two have of a region.
fn both<F: BlockFile>(lower: &Layer<F>, upper: &Layer<F>, region: u32) -> io::Result<(Blocks, Blocks)> {
    Ok((lower.load(region, Wait::Allowed)?.blocks, upper.load(region, Wait::Allowed)?.blocks))
}
