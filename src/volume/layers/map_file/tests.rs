//! The maps of regions in a file of the operating system.

use std::ops::Range;
use std::sync::Arc;

use super::super::disk::{Disk as _, OsDisk};
use super::super::region_map::{BlockState, Blocks};
use super::*;

const LAYER: LayerId = LayerId(7);
const NAME: &str = "0000000000000007.map";

fn disk() -> (tempfile::TempDir, Arc<OsDisk>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = OsDisk::open(directory.path()).expect("a disk");
    disk.create(NAME).expect("a file");
    (directory, Arc::new(disk))
}

fn open(disk: &Arc<OsDisk>) -> MapFile<<OsDisk as super::super::disk::Disk>::File> {
    MapFile::new(LAYER, LazyFile::new(disk, NAME.to_owned()))
}

fn data(blocks: Range<usize>) -> Blocks {
    let mut map = Blocks::ABSENT;
    map.fill(blocks, BlockState::Data);
    map
}

#[test]
fn what_was_stored_last_is_loaded_and_other_regions_have_nothing() {
    let (_directory, disk) = disk();
    for blocks in [3, 5, 9] {
        let map = open(&disk);
        map.update(1_000_000, |map| map.blocks = data(0..blocks)).unwrap();
        map.sync().unwrap();
    }
    let map = open(&disk);
    assert_eq!(map.load(1_000_000, Wait::Allowed).unwrap().blocks, data(0..9));
    assert_eq!(map.load(1_000_000, Wait::Allowed).unwrap().generation, 3);
    assert_eq!(map.load(999_999, Wait::Allowed).unwrap(), RegionMap::ABSENT);
    let stored = map.stored(0..u32::MAX).unwrap();
    assert!(stored.len() == 1 && stored[0].contains(&1_000_000) && stored[0].len() <= 64, "{stored:?}");
    assert!(map.stored(0..999_900).unwrap().is_empty());
}

#[test]
fn damage_to_one_copy_leaves_the_other_and_damage_to_both_is_an_error() {
    let (_directory, disk) = disk();
    let map = open(&disk);
    for blocks in [1, 2] {
        map.update(3, |map| map.blocks = data(0..blocks)).unwrap();
        map.sync().unwrap();
    }
    let file = disk.open(NAME).unwrap();
    file.write_at(&[1], 3 * 1024 + 512 + 40).unwrap();
    let loaded = map.load(3, Wait::Allowed).unwrap();
    assert!(loaded.is_copy_damaged && loaded.blocks == data(0..1));

    map.mend_copy(3).unwrap();
    assert!(!map.load(3, Wait::Allowed).unwrap().is_copy_damaged);

    file.write_at(&[1; 1024], 3 * 1024).unwrap();
    assert_eq!(map.load(3, Wait::Allowed).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(map.update(3, |map| map.blocks = data(0..1)).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(map.load(4, Wait::Allowed).unwrap(), RegionMap::ABSENT);
}

#[test]
fn the_copy_that_is_on_disk_is_not_written_over_before_a_newer_one_is() {
    let (_directory, disk) = disk();
    let map = open(&disk);
    map.update(0, |map| map.blocks = data(0..1)).unwrap();
    map.sync().unwrap();
    for blocks in 2..6 {
        map.update(0, |map| map.blocks = data(0..blocks)).unwrap();
    }
    // Both may be torn in any way that the disk likes, but for the one that was synced.
    disk.open(NAME).unwrap().write_at(&[1; 512], 512).unwrap();
    assert_eq!(map.load(0, Wait::Allowed).unwrap().blocks, data(0..1));
}

#[test]
fn a_map_of_another_layer_or_region_is_not_taken_for_ones_own() {
    let (_directory, disk) = disk();
    open(&disk).update(0, |map| map.blocks = data(0..1)).unwrap();
    let other = MapFile::new(LayerId(8), LazyFile::new(&disk, NAME.to_owned()));
    assert!(other.load(0, Wait::Allowed).is_err());
    let file = disk.open(NAME).unwrap();
    let mut slot = [0; 512];
    file.read_at(&mut slot, 0, Wait::Allowed).unwrap();
    file.write_at(&slot, 1024).unwrap();
    assert!(open(&disk).load(1, Wait::Allowed).is_err());
}
