//! Bringing blocks from layers into another one, so that a crash at any moment leaves what there was.

use std::io;
use std::ops::Range;

use super::Layer;
use super::disk::BlockFile;
use super::region_map::{BlockState, Blocks, bytes_of};
use crate::volume::driver::{Control, Done, Proceed};

/// How much is copied at a time, in bytes.
const PIECE_BYTES: u64 = 1 << 20;
/// After how many bytes the map is stored.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// After how many regions it is stored, however little they have.
const CHECKPOINT_REGIONS: usize = 4096;

/// Blocks on their way into a layer.
pub(super) struct Movement<'a, F> {
    into: &'a Layer<F>,
    control: &'a dyn Control,
    /// What was done since [`Control`] was asked.
    unreported: u64,
    /// What was copied since the map was stored.
    unsaved: u64,
    /// What the layer has of regions, but not yet in its stored map.
    maps: Vec<(u32, Blocks)>,
    /// Bytes that are none any more once the map is stored.
    superfluous: Vec<Range<u64>>,
}

impl<'a, F: BlockFile> Movement<'a, F> {
    pub(super) fn new(into: &'a Layer<F>, control: &'a dyn Control) -> Self {
        Movement { into, control, unreported: 0, unsaved: 0, maps: Vec::new(), superfluous: Vec::new() }
    }

    /// Copies those of the blocks of a region that are data.
    pub(super) fn copy(&mut self, source: &Layer<F>, region: u32, blocks: &Blocks) -> io::Result<Done> {
        for run in blocks.runs_of(BlockState::Data) {
            for piece in pieces(bytes_of(region, &run)) {
                if self.control.proceed(std::mem::take(&mut self.unreported)) == Proceed::Stop {
                    return Ok(Done::Stopped);
                }
                let length = piece.end - piece.start;
                self.into.make_room(length)?;
                self.into.copy_from(source, piece.start, length)?;
                self.unreported += length;
                self.unsaved += length;
            }
        }
        Ok(Done::All)
    }

    /// The bytes of those blocks of a region that are zeros are none any more.
    pub(super) fn drop_zeros(&mut self, region: u32, blocks: &Blocks) {
        self.superfluous.extend(blocks.runs_of(BlockState::Zero).map(|run| bytes_of(region, &run)));
    }

    /// Says what the layer has of a region by now. From time to time that is stored.
    pub(super) fn finish_region(&mut self, region: u32, blocks: Blocks) -> io::Result<()> {
        self.maps.push((region, blocks));
        if self.unsaved >= CHECKPOINT_BYTES || self.maps.len() >= CHECKPOINT_REGIONS {
            self.save()?;
        }
        Ok(())
    }

    /// Stores what was done, so that it need not be done again.
    pub(super) fn save(&mut self) -> io::Result<()> {
        self.into.sync_data()?;
        for (region, blocks) in &self.maps {
            self.into.store(*region, blocks)?;
        }
        self.into.sync_map()?;
        // Only now: until then the stored map may name them as data.
        for bytes in self.superfluous.drain(..) {
            self.into.drop_bytes(bytes.start, bytes.end - bytes.start)?;
        }
        self.maps.clear();
        self.unsaved = 0;
        Ok(())
    }

    /// Stores what was done. It is all that there was to do, or as far as it came.
    pub(super) fn finish(mut self, done: Done) -> io::Result<Done> {
        self.save()?;
        if done == Done::All {
            // Nothing is left that could be stopped.
            let _ = self.control.proceed(self.unreported);
            self.into.seal()?;
        }
        Ok(done)
    }
}

/// A range in parts that are copied at a time.
pub(super) fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let size = usize::try_from(PIECE_BYTES).expect("a piece fits into memory");
    let end = range.end;
    range.step_by(size).map(move |start| start..end.min(start + PIECE_BYTES))
}
