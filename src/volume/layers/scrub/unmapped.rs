//! Bytes that no map knows of.

use std::io;
use std::ops::Range;

use super::pieces;
use crate::volume::device::BLOCK_BYTES;
use crate::volume::layers::Layer;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::region_map::{BlockState, bytes_of};

/// Those of a region, in whole blocks.
///
/// Blocks that are zeros in the map may keep their space, for a later write. A file system that gives space in units
/// larger than a block surrounds data by zeros that were never written: only what is not zero was left by a crash.
pub(super) fn find<F: BlockFile>(layer: &Layer<F>, region: u32) -> io::Result<Vec<Range<u64>>> {
    let blocks = layer.load_all(region)?.blocks;
    let mut unmapped = Vec::new();
    for run in blocks.runs_of(BlockState::Absent) {
        for extent in layer.data_extents(bytes_of(region, &run))? {
            let whole = extent.start / BLOCK_BYTES * BLOCK_BYTES..extent.end.div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
            if !reads_as_zeros(layer, &whole)? {
                unmapped.push(whole);
            }
        }
    }
    Ok(unmapped)
}

fn reads_as_zeros<F: BlockFile>(layer: &Layer<F>, bytes: &Range<u64>) -> io::Result<bool> {
    for piece in pieces(bytes.clone()) {
        let mut data = vec![0; usize::try_from(piece.end - piece.start).expect("a piece fits into memory")];
        layer.read_unmapped(&mut data, piece.start)?;
        if data.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
