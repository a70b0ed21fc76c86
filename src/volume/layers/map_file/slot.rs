//! One copy of the map of a region, as it is on disk.
//!
//! All numbers are little endian: magic (8 bytes), layer (8), region (4), flags (4), generation (8), the map (256), zeros,
//! and in the last four bytes the CRC32C of all before.

use crate::volume::driver::LayerId;
use crate::volume::layers::region_map::{Blocks, MAP_BYTES, RegionMap, SumsState};

/// How long a copy is: a sector, which disks write whole or not at all.
pub(super) const SLOT_BYTES: usize = 512;

const MAGIC: &[u8; 8] = b"STWDMAP1";
const MAP_AT: usize = 32;
const MAP_END: usize = MAP_AT + MAP_BYTES;
const SUM_AT: usize = SLOT_BYTES - 4;
/// The flag of regions whose checksums may be older than the data.
const SUMS_STALE: u32 = 1;

/// What is in a slot.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is looked at where it was made, on the stack")]
pub(super) enum Slot {
    /// Nothing was ever stored there.
    Empty,
    /// A map.
    Map(RegionMap),
    /// Something else.
    Damaged,
}

pub(super) fn encode(layer: LayerId, region: u32, map: &RegionMap) -> [u8; SLOT_BYTES] {
    let flags = match map.sums {
        SumsState::Valid => 0,
        SumsState::Stale => SUMS_STALE,
    };
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(MAGIC);
    slot[8..16].copy_from_slice(&layer.0.to_le_bytes());
    slot[16..20].copy_from_slice(&region.to_le_bytes());
    slot[20..24].copy_from_slice(&flags.to_le_bytes());
    slot[24..32].copy_from_slice(&map.generation.to_le_bytes());
    slot[MAP_AT..MAP_END].copy_from_slice(&map.blocks.to_bytes());
    let sum = crc32c::crc32c(&slot[..SUM_AT]);
    slot[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    slot
}

pub(super) fn decode(slot: &[u8; SLOT_BYTES], layer: LayerId, region: u32) -> Slot {
    if slot.iter().all(|byte| *byte == 0) {
        return Slot::Empty;
    }
    decode_map(slot, layer, region).map_or(Slot::Damaged, Slot::Map)
}

fn decode_map(slot: &[u8; SLOT_BYTES], layer: LayerId, region: u32) -> Option<RegionMap> {
    let is_whole = crc32c::crc32c(&slot[..SUM_AT]) == number(slot, SUM_AT);
    // A map of another place is one that a disk wrote to the wrong one.
    let is_ours = slot[8..16] == layer.0.to_le_bytes() && number(slot, 16) == region;
    if !is_whole || &slot[..8] != MAGIC || !is_ours {
        return None;
    }
    let sums = match number(slot, 20) {
        0 => SumsState::Valid,
        SUMS_STALE => SumsState::Stale,
        _ => return None,
    };
    let generation = u64::from_le_bytes(slot[24..32].try_into().expect("eight bytes"));
    let blocks = Blocks::from_bytes(slot[MAP_AT..MAP_END].try_into().expect("as long as a map"))?;
    Some(RegionMap { blocks, sums, generation, is_copy_damaged: false })
}

fn number(slot: &[u8; SLOT_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(slot[at..at + 4].try_into().expect("four bytes"))
}
