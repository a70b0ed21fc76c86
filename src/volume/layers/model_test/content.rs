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
    /// Of each sector: what it was at the last flush and all that it was to be since.
    possible: Vec<Vec<[u8; SECTOR]>>,
}

/// What is written.
pub(super) enum Change<'a> {
    Bytes(&'a [u8]),
    Zeros,
}

impl Content {
    pub(super) fn empty() -> Self {
        let length = WINDOWS.iter().map(|window| index(window.end - window.start)).sum::<usize>();
        Content { bytes: vec![0; length], possible: vec![vec![[0; SECTOR]]; length / SECTOR] }
    }

    /// The one of something that was read, all of which is on disk.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let mut content = Content { possible: vec![Vec::new(); bytes.len() / SECTOR], bytes };
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
        self.bytes = self.changed(range, change);
    }

    /// Takes it that a change may have happened, to each sector or not.
    pub(super) fn may_change(&mut self, range: &Range<u64>, change: &Change<'_>) {
        self.changed(range, change);
    }

    fn changed(&mut self, range: &Range<u64>, change: &Change<'_>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let mut base = 0;
        for window in WINDOWS {
            let hit = range.start.max(window.start)..range.end.min(window.end);
            if hit.start < hit.end {
                let place = base + index(hit.start - window.start)..base + index(hit.end - window.start);
                match change {
                    Change::Bytes(data) => {
                        let first = index(hit.start - range.start);
                        bytes[place.clone()].copy_from_slice(&data[first..first + place.len()]);
                    }
                    Change::Zeros => bytes[place.clone()].fill(0),
                }
                for sector in place.start / SECTOR..place.end.div_ceil(SECTOR) {
                    self.possible[sector].push(sector_of(&bytes, sector));
                }
            }
            base += index(window.end - window.start);
        }
        bytes
    }

    /// All that was done is on disk now.
    pub(super) fn flushed(&mut self) {
        for (sector, possible) in self.possible.iter_mut().enumerate() {
            *possible = vec![sector_of(&self.bytes, sector)];
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

    /// Checks that each sector is one of what it may be, and goes on from there.
    pub(super) fn adopt(&mut self, read: Vec<u8>) {
        for (sector, possible) in self.possible.iter().enumerate() {
            let found = sector_of(&read, sector);
            assert!(
                possible.contains(&found),
                "sector {sector} of the model is neither old nor new: {:?}",
                &found[..8]
            );
        }
        self.bytes = read;
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

fn sector_of(bytes: &[u8], sector: usize) -> [u8; SECTOR] {
    bytes[sector * SECTOR..][..SECTOR].try_into().unwrap()
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}
