//! What a device is to show, in the few places that the model writes to.

use std::io;
use std::ops::Range;

use crate::volume::device::{BLOCK_BYTES, Device, Wait};
use crate::volume::layers::region_map::REGION_BYTES;

const SECTOR: usize = 512;

/// The places: at the start, around the border of two regions, and where only a device that grew has something.
const WINDOWS: [Range<u64>; 3] = [
    0..2 * BLOCK_BYTES,
    REGION_BYTES - 2 * BLOCK_BYTES..REGION_BYTES + 2 * BLOCK_BYTES,
    2 * REGION_BYTES - BLOCK_BYTES..2 * REGION_BYTES + BLOCK_BYTES,
];

/// How long a device is at first, and when it has grown.
pub(super) const SIZES: [u64; 2] = [WINDOWS[1].end, WINDOWS[2].end];

/// The bytes of a device, and what may be there after a power loss.
#[derive(Clone, Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// Of each sector: what it may show instead, since changes of it failed that may have happened all the same.
    doubts: Vec<Vec<Sector>>,
    /// Of each sector: what it was at the last flush and all that it was to be since.
    possible: Vec<Vec<Sector>>,
}

type Sector = [u8; SECTOR];

/// What is written.
pub(super) enum Change<'a> {
    Bytes(&'a [u8]),
    Zeros,
}

impl Content {
    pub(super) fn empty() -> Self {
        Self::of(vec![0; WINDOWS.iter().map(|window| index(window.end - window.start)).sum::<usize>()])
    }

    /// The one of something that was read, all of which is on disk.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let nothing = vec![Vec::new(); bytes.len() / SECTOR];
        let mut content = Content { bytes, doubts: nothing.clone(), possible: nothing };
        content.flushed();
        content
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A range within a place of a device of that size.
    pub(super) fn range(size: u64, at: u32, length: u32) -> Range<u64> {
        let windows: Vec<_> = WINDOWS.iter().filter(|window| window.end <= size).collect();
        let window = windows[at as usize % windows.len()];
        let bytes = window.end - window.start;
        let start = window.start + u64::from(at / 4) % bytes;
        start..(start + 1 + u64::from(length) % bytes).min(window.end)
    }

    /// Makes a range show something else.
    pub(super) fn change(&mut self, range: &Range<u64>, change: &Change<'_>) {
        for part in parts(range) {
            let shown: Vec<Sector> = self.shown(part.sector).map(|before| part.changed(before, change)).collect();
            self.possible[part.sector].extend(&shown);
            self.bytes[part.sector * SECTOR..][..SECTOR].copy_from_slice(&shown[0]);
            self.doubts[part.sector] = shown[1..].to_vec();
        }
    }

    /// Takes it that a change may have happened, to each sector or not.
    pub(super) fn may_change(&mut self, range: &Range<u64>, change: &Change<'_>) {
        for part in parts(range) {
            let shown: Vec<Sector> = self.shown(part.sector).map(|before| part.changed(before, change)).collect();
            self.possible[part.sector].extend(&shown);
            self.doubts[part.sector].extend(shown);
        }
    }

    /// What a sector may show now: what it should at first.
    fn shown(&self, sector: usize) -> impl Iterator<Item = Sector> {
        std::iter::once(sector_of(&self.bytes, sector)).chain(self.doubts[sector].iter().copied())
    }

    /// All that was done is on disk now.
    pub(super) fn flushed(&mut self) {
        for sector in 0..self.possible.len() {
            self.possible[sector] = self.shown(sector).collect();
        }
    }

    /// These bytes were on disk at the last freeze; what was done since may be.
    pub(super) fn flushed_as(&mut self, bytes: &[u8]) {
        for (sector, possible) in self.possible.iter_mut().enumerate() {
            let frozen = sector_of(bytes, sector);
            // The last of these, since that is what was frozen; later ones came after it.
            if let Some(place) = possible.iter().rposition(|version| *version == frozen) {
                possible.drain(..place);
            }
        }
    }

    /// Whether a change has failed, and nobody has looked what came of it.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubts.iter().any(|doubts| !doubts.is_empty())
    }

    /// Checks that each sector is what it was to be, or one of what failed, and goes on from there.
    pub(super) fn look(&mut self, read: Vec<u8>) {
        for sector in 0..self.doubts.len() {
            let found = sector_of(&read, sector);
            let is_known = self.shown(sector).any(|shown| shown == found);
            assert!(is_known, "sector {sector} of the model is not as it was written: {:?}", &found[..8]);
        }
        self.go_on_from(read);
    }

    /// Checks that after a power loss each sector is one of what it may be, and goes on from there.
    pub(super) fn recover(&mut self, read: Vec<u8>) {
        for (sector, possible) in self.possible.iter().enumerate() {
            let found = sector_of(&read, sector);
            let is_known = possible.contains(&found);
            assert!(is_known, "sector {sector} of the model is neither old nor new: {:?}", &found[..8]);
        }
        self.go_on_from(read);
        self.flushed();
    }

    fn go_on_from(&mut self, read: Vec<u8>) {
        self.bytes = read;
        self.doubts.iter_mut().for_each(Vec::clear);
    }

    /// What a device shows.
    pub(super) fn read(device: &dyn Device) -> Vec<u8> {
        Self::read_from(device).unwrap()
    }

    /// What a device shows that may have no power.
    pub(super) fn read_from(device: &dyn Device) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for window in WINDOWS {
            let mut part = vec![0; index(window.end - window.start)];
            if window.end <= device.size() {
                part.fill(0xEE);
                device.read_at(&mut part, window.start, Wait::Allowed)?;
            }
            bytes.extend(part);
        }
        Ok(bytes)
    }

    /// Checks that all in which two contents differ is in those ranges, and that those that are to be zeros are.
    pub(super) fn check_differences(older: &Content, newer: &Content, size: u64, ranges: &[(Range<u64>, bool)]) {
        for (place, offset) in WINDOWS.into_iter().flatten().enumerate() {
            let range = ranges.iter().find(|(range, _)| range.contains(&offset));
            // There is nothing to be told of what is beyond its end.
            let is_equal = offset >= size || older.bytes[place] == newer.bytes[place];
            assert!(is_equal || range.is_some(), "byte {offset} differs, and is in none of {ranges:?}");
            assert!(newer.bytes[place] == 0 || range.is_none_or(|(_, is_zero)| !is_zero), "byte {offset} is not zero");
        }
    }

    /// Checks that a device shows it.
    pub(super) fn check(&self, device: &dyn Device) {
        let read = Self::read(device);
        let differs = read.iter().zip(&self.bytes).position(|(read, expected)| read != expected);
        assert_eq!(differs, None, "byte of the model that is not as it was written");
    }
}

/// A sector that a change touches.
struct Part {
    sector: usize,
    /// What of it is changed.
    place: Range<usize>,
    /// Where in the change that comes from.
    from: usize,
}

impl Part {
    fn changed(&self, mut sector: Sector, change: &Change<'_>) -> Sector {
        let place = &mut sector[self.place.clone()];
        match change {
            Change::Bytes(data) => place.copy_from_slice(&data[self.from..][..place.len()]),
            Change::Zeros => place.fill(0),
        }
        sector
    }
}

/// The sectors of the model that a range of a device touches.
fn parts(range: &Range<u64>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (sector, start) in WINDOWS.into_iter().flat_map(|window| window.step_by(SECTOR)).enumerate() {
        let hit = range.start.max(start)..range.end.min(start + SECTOR as u64);
        if hit.start < hit.end {
            let place = index(hit.start - start)..index(hit.end - start);
            parts.push(Part { sector, place, from: index(hit.start - range.start) });
        }
    }
    parts
}

fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    bytes[sector * SECTOR..][..SECTOR].try_into().unwrap()
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}
