//! Checking the files of a layer, and mending what needs no guess.

use std::io;
use std::ops::Range;

use rustix::io::Errno;

use super::Layer;
use super::disk::BlockFile;
use super::movement::pieces;
use super::region_map::{BlockState, Blocks, REGION_BLOCKS, blocks_before, bytes_of, start_of};
use super::regions::Regions;
use crate::volume::device::BLOCK_BYTES;
use crate::volume::driver::{Control, Finding, FindingKind, Proceed, Repair, ScrubReport};

mod findings;
mod unmapped;

use findings::Findings;

/// Checks a layer. Told to stop, it says what it has found by then.
///
/// It may be the top of an open view; then bytes that no map knows of are left alone, since they may be those of a write
/// that was not flushed.
pub fn scrub<F: BlockFile>(layer: &Layer<F>, repair: Repair, control: &dyn Control) -> io::Result<ScrubReport> {
    let mut scrub = Scrub { layer, repair, findings: Findings::default() };
    let missing = layer.missing_files()?;
    if missing > 0 {
        for _ in 0..missing {
            scrub.findings.add(FindingKind::MissingFile, 0..0, false);
        }
        return Ok(scrub.findings.report);
    }
    control.total(layer.data_bytes()?);
    let mut done = 0;
    for region in Regions::taken(layer)? {
        if control.proceed(done) == Proceed::Stop {
            break;
        }
        done = scrub.region(region?)?;
    }
    layer.sync_map()?;
    Ok(scrub.findings.report)
}

struct Scrub<'a, F> {
    layer: &'a Layer<F>,
    repair: Repair,
    findings: Findings,
}

impl<F: BlockFile> Scrub<'_, F> {
    /// Returns how many bytes of data there are.
    fn region(&mut self, region: u32) -> io::Result<u64> {
        let map = match self.layer.load_all(region) {
            Ok(map) => map,
            Err(error) if is_damage(&error) => {
                self.findings.add(FindingKind::MapLost, bytes_of(region, &(0..REGION_BLOCKS)), false);
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        if map.is_copy_damaged {
            if self.repair == Repair::Yes {
                self.layer.mend_map(region)?;
            }
            self.found(FindingKind::MapCopyDamaged, bytes_of(region, &(0..REGION_BLOCKS)));
        }
        self.beyond_end(region, &map.blocks)?;
        for run in map.blocks.runs_of(BlockState::Data) {
            self.findings.report.blocks += run.len() as u64;
            for piece in pieces(bytes_of(region, &run)) {
                self.checksums(region, block_of(region, piece.start)..block_of(region, piece.end))?;
            }
        }
        self.unmapped(region)?;
        Ok(map.blocks.count(BlockState::Data) * BLOCK_BYTES)
    }

    /// What the map names where there is nothing.
    fn beyond_end(&mut self, region: u32, blocks: &Blocks) -> io::Result<()> {
        let end = blocks_before(self.layer.size(), region);
        let is_beyond = |(run, state): &(Range<usize>, BlockState)| run.end > end && *state != BlockState::Absent;
        let beyond: Vec<Range<usize>> =
            blocks.runs().filter(is_beyond).map(|(run, _)| run.start.max(end)..run.end).collect();
        if beyond.is_empty() {
            return Ok(());
        }
        if self.repair == Repair::Yes {
            self.layer.clear_beyond_end(region)?;
        }
        for run in beyond {
            self.found(FindingKind::BeyondEnd, bytes_of(region, &run));
        }
        Ok(())
    }

    fn checksums(&mut self, region: u32, blocks: Range<usize>) -> io::Result<()> {
        if !self.layer.has_checksums() {
            return Ok(());
        }
        self.findings.report.verified += blocks.len() as u64;
        let mismatches = match self.layer.mismatches(region, blocks.clone()) {
            Err(error) if is_damage(&error) => self.unreadable(region, blocks)?,
            mismatches => mismatches?,
        };
        for block in mismatches {
            self.findings.add(FindingKind::ChecksumMismatch, bytes_of(region, &(block..block + 1)), false);
        }
        Ok(())
    }

    /// Which of several blocks are damaged, if some of them cannot be read at all.
    fn unreadable(&self, region: u32, blocks: Range<usize>) -> io::Result<Vec<usize>> {
        let mut damaged = Vec::new();
        for block in blocks {
            match self.layer.mismatches(region, block..block + 1) {
                Ok(mismatches) => damaged.extend(mismatches),
                Err(error) if is_damage(&error) => damaged.push(block),
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    /// What takes space without being known.
    fn unmapped(&mut self, region: u32) -> io::Result<()> {
        let layer = self.layer;
        // Held until the end, so that nobody writes what this takes for left over.
        let Some(_at_rest) = layer.at_rest() else { return Ok(()) };
        for bytes in unmapped::find(layer, region)? {
            if self.repair == Repair::Yes {
                layer.drop_bytes(bytes.start, bytes.end - bytes.start)?;
            }
            self.found(FindingKind::UnmappedData, bytes);
        }
        Ok(())
    }

    /// Something that is mended if that is wanted.
    fn found(&mut self, kind: FindingKind, bytes: Range<u64>) {
        self.findings.add(kind, bytes, self.repair == Repair::Yes);
    }
}

/// Which block of a region is at an offset.
fn block_of(region: u32, offset: u64) -> usize {
    usize::try_from((offset - start_of(region)) / BLOCK_BYTES).expect("a block of one region")
}

fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}
