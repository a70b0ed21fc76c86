//! The content of a file: what readers see, what is on disk, and what may be.

use std::collections::BTreeMap;
use std::ops::Range;

use super::random::Random;

/// What is written whole or not at all.
pub(super) const SECTOR: usize = 512;
/// In which units space is taken, in bytes.
pub(super) const UNIT: u64 = 4096;

/// A sector that is written, or nothing for one that takes no space.
type Sector = Option<[u8; SECTOR]>;

/// A file.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// What readers see.
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    /// Sectors that changed since the last sync: all that they were since then, what is surely on disk at first.
    unsynced: BTreeMap<u64, Vec<Sector>>,
}

impl Image {
    pub(super) fn read(&self, into: &mut [u8], offset: u64) {
        let mut done = 0;
        while done < into.len() {
            let (sector, within) = place(offset + done as u64);
            let size = (SECTOR - within).min(into.len() - done);
            match self.sectors.get(&sector) {
                Some(bytes) => into[done..done + size].copy_from_slice(&bytes[within..within + size]),
                None => into[done..done + size].fill(0),
            }
            done += size;
        }
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) {
        let mut done = 0;
        while done < data.len() {
            let (sector, within) = place(offset + done as u64);
            let size = (SECTOR - within).min(data.len() - done);
            let mut bytes = self.sectors.get(&sector).copied().unwrap_or([0; SECTOR]);
            bytes[within..within + size].copy_from_slice(&data[done..done + size]);
            self.put(sector, &Some(bytes));
            done += size;
        }
    }

    pub(super) fn punch(&mut self, range: Range<u64>) {
        let whole = range.start.div_ceil(SECTOR as u64)..range.end / SECTOR as u64;
        assert!(whole.start * SECTOR as u64 == range.start && whole.end * SECTOR as u64 == range.end, "whole sectors");
        let inside: Vec<u64> = self.sectors.range(whole).map(|(sector, _)| *sector).collect();
        for sector in inside {
            self.put(sector, &None);
        }
    }

    fn put(&mut self, sector: u64, bytes: &Sector) {
        let before = self.sectors.get(&sector).copied();
        self.unsynced.entry(sector).or_insert_with(|| vec![before]).push(*bytes);
        match bytes {
            Some(bytes) => self.sectors.insert(sector, *bytes),
            None => self.sectors.remove(&sector),
        };
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn cut_power(&mut self, random: &mut Random) {
        // By turns, so that a part of what was written is there sometimes, and sometimes almost all or almost nothing.
        let bias = random.below(4);
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            let chance = match bias {
                0 => 0,
                1 => versions.len() as u64 - 1,
                _ => random.below(versions.len() as u64),
            };
            let survivor = if random.below(8) == 0 { random.below(versions.len() as u64) } else { chance };
            match versions[usize::try_from(survivor).expect("few versions")] {
                Some(bytes) => self.sectors.insert(sector, bytes),
                None => self.sectors.remove(&sector),
            };
        }
    }

    pub(super) fn damage(&mut self, offset: u64) {
        let (sector, within) = place(offset);
        self.sectors.entry(sector).or_insert([0; SECTOR])[within] ^= 1;
    }

    pub(super) fn length(&self) -> u64 {
        self.sectors.last_key_value().map_or(0, |(sector, _)| (sector + 1) * SECTOR as u64)
    }

    /// How much more space a write would take.
    pub(super) fn needed(&self, offset: u64, length: u64) -> u64 {
        let units = offset / UNIT..(offset + length).div_ceil(UNIT);
        units.filter(|unit| self.extents(unit * UNIT..(unit + 1) * UNIT).is_empty()).count() as u64 * UNIT
    }

    pub(super) fn extents(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut extents: Vec<Range<u64>> = Vec::new();
        let first = range.start / UNIT * UNIT / SECTOR as u64;
        for sector in self.sectors.range(first..).map(|(sector, _)| *sector) {
            let unit = sector * SECTOR as u64 / UNIT * UNIT;
            let (start, end) = (unit.max(range.start), (unit + UNIT).min(range.end));
            if start >= range.end {
                break;
            }
            match extents.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = end,
                None => extents.push(start..end),
            }
        }
        extents
    }
}

fn place(offset: u64) -> (u64, usize) {
    let within = usize::try_from(offset % SECTOR as u64).expect("less than a sector");
    (offset / SECTOR as u64, within)
}
