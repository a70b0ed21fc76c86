//! Layers with and without checksums, on a disk that loses its power.

mod crash;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::volume::device::BLOCK_BYTES;
use crate::volume::layers::disk::simulated::{SimulatedDisk, SimulatedFile};
use crate::volume::layers::region_map::{BlockState, REGION_BYTES};
use crate::volume::layers::sums::BLOCK;

const ID: LayerId = LayerId(0x1a);
const CHECKED: LayerSpec = LayerSpec { id: ID, size: 4 * REGION_BYTES, checksums: true };
const LONG: Duration = Duration::from_secs(1000);

type Changing = fn(&Layer<SimulatedFile>) -> io::Result<()>;

/// Ways to change the first block, or a part of it.
const CHANGES: [Changing; 3] = [
    |layer| layer.write(&[2; BLOCK], 0),
    |layer| layer.write_partial(&[2; 100], 1000),
    |layer| layer.punch(0, BLOCK_BYTES),
];

fn new_layer() -> (Arc<SimulatedDisk>, Layer<SimulatedFile>) {
    let disk = Arc::new(SimulatedDisk::default());
    create(&disk, CHECKED).expect("a new layer");
    let layer = Layer::open(&disk, CHECKED);
    (disk, layer)
}

fn data(blocks: std::ops::Range<usize>) -> Blocks {
    let mut map = Blocks::ABSENT;
    map.fill(blocks, BlockState::Data);
    map
}

fn flush(layer: &Layer<SimulatedFile>, blocks: &Blocks, idle: Duration) {
    layer.sync_data().unwrap();
    layer.store(0, blocks).unwrap();
    layer.sync_map().unwrap();
    layer.rest(idle).unwrap();
}

fn read(layer: &Layer<SimulatedFile>, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    layer.read(&mut bytes, offset, Wait::Allowed).map(|()| bytes)
}

#[test]
fn any_part_of_what_was_written_is_read_also_across_regions() {
    let (_disk, layer) = new_layer();
    let bytes: Vec<u8> = (0..8 * BLOCK).map(|index| u8::try_from(index / 7 % 251).unwrap()).collect();
    let start = REGION_BYTES - 4 * BLOCK_BYTES;
    layer.write(&bytes, start).unwrap();
    layer.write_partial(&[255; 100], start + 4096 + 50).unwrap();
    let mut expected = bytes;
    expected[4096 + 50..4096 + 150].fill(255);
    for (from, length) in [(0, 8 * BLOCK), (1, 10), (4095, 2), (4 * BLOCK - 1, 2), (5000, 20_000)] {
        assert_eq!(read(&layer, start + from as u64, length).unwrap(), expected[from..from + length]);
    }
}

#[test]
fn a_bit_that_turned_over_is_an_error_where_data_rests() {
    for is_sealed in [true, false] {
        let (disk, layer) = new_layer();
        layer.write(&[1; 4 * BLOCK], 0).unwrap();
        flush(&layer, &data(0..4), Duration::ZERO);
        if is_sealed {
            layer.seal().unwrap();
        }
        disk.damage("000000000000001a.data", 5000);
        for layer in [layer, Layer::open(&disk, CHECKED)] {
            assert_eq!(read(&layer, 4096, 1).unwrap_err().raw_os_error(), Some(5));
            assert_eq!(layer.write_partial(&[2], 4096).unwrap_err().raw_os_error(), Some(5));
            assert!(read(&layer, 0, BLOCK).is_ok() && read(&layer, 2 * BLOCK_BYTES, 2 * BLOCK).is_ok());
            assert_eq!(layer.mismatches(0, 0..4).unwrap(), [1]);
            layer.seal().unwrap();
        }
        let layer = Layer::open(&disk, CHECKED);
        layer.write(&[2; BLOCK], 4096).unwrap();
        assert!(read(&layer, 0, 4 * BLOCK).is_ok());
    }
}

#[test]
fn a_region_is_marked_before_data_that_is_on_disk_is_written_over_and_again_after_it_rested() {
    let (_disk, layer) = new_layer();
    let sums = || layer.load(0, Wait::Allowed).unwrap().sums;
    layer.write(&[1; BLOCK], 0).unwrap();
    assert_eq!(sums(), SumsState::Valid);
    flush(&layer, &data(0..1), LONG);
    assert_eq!(sums(), SumsState::Stale);
    flush(&layer, &data(0..1), Duration::ZERO);
    assert_eq!(sums(), SumsState::Valid);
    layer.write(&[2; BLOCK], 0).unwrap();
    assert_eq!(sums(), SumsState::Stale);
    layer.rest(Duration::ZERO).unwrap();
    assert_eq!(sums(), SumsState::Stale);
    layer.seal().unwrap();
    assert_eq!(sums(), SumsState::Valid);
}

#[test]
fn a_full_disk_leaves_data_that_fits_its_checksums() {
    let (disk, layer) = new_layer();
    layer.write(&[1; 4 * BLOCK], 0).unwrap();
    flush(&layer, &data(0..4), LONG);
    for room in 0..4 {
        disk.set_room(Some(room * BLOCK_BYTES));
        let error = layer.write(&vec![2; 64 * BLOCK], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(read(&layer, 0, 4 * BLOCK).is_ok());
    }
    assert_eq!(read(&layer, 0, 1).unwrap(), [2]);
}

#[test]
fn data_fits_its_checksums_after_a_disk_did_not_answer_for_a_while() {
    for count in 0..8 {
        for change in CHANGES {
            // Given data on disk
            let (disk, layer) = new_layer();
            layer.write(&[1; 2 * BLOCK], 0).unwrap();
            flush(&layer, &data(0..2), LONG);
            // When the disk fails in the middle of a change, and answers again later
            disk.fail_after(count);
            let _ = change(&layer);
            disk.answer_again();
            // Then no block is taken for a damaged one, neither now nor when the layer is opened again
            assert_eq!(layer.mismatches(0, 0..2).unwrap(), [0; 0], "after {count}");
            let now = read(&layer, 0, 2 * BLOCK).unwrap();
            layer.seal().unwrap();
            assert_eq!(read(&Layer::open(&disk, CHECKED), 0, 2 * BLOCK).unwrap(), now, "after {count}");
        }
    }
}

#[test]
fn checksums_in_doubt_when_a_layer_is_closed_are_made_anew_when_it_is_opened() {
    for count in 0..8 {
        for change in CHANGES {
            let (disk, layer) = new_layer();
            layer.write(&[1; 2 * BLOCK], 0).unwrap();
            flush(&layer, &data(0..2), LONG);
            disk.fail_after(count);
            let _ = change(&layer);
            disk.answer_again();
            // When it is closed before anybody asks for the checksums
            layer.seal().unwrap();
            assert!(read(&Layer::open(&disk, CHECKED), 0, 2 * BLOCK).is_ok(), "after {count}");
        }
    }
}

#[test]
fn a_sync_that_failed_is_not_taken_for_done() {
    let (disk, layer) = new_layer();
    layer.write(&[1; BLOCK], 0).unwrap();
    disk.fail_next_sync();
    layer.sync_data().unwrap_err();
    let before = disk.operations();
    layer.sync_data().unwrap();
    assert_eq!(disk.operations(), before + 2);
}

#[test]
fn syncs_of_nothing_reach_no_disk() {
    let (disk, layer) = new_layer();
    layer.write(&[1; BLOCK], 0).unwrap();
    flush(&layer, &data(0..1), LONG);
    let before = disk.operations();
    flush(&layer, &data(0..1), LONG);
    assert_eq!(disk.operations(), before);
}

#[test]
fn reads_that_must_not_wait_say_so_until_the_region_is_known_and_in_memory() {
    let (disk, layer) = new_layer();
    layer.write(&[1; BLOCK], 0).unwrap();
    layer.seal().unwrap();
    let layer = Layer::open(&disk, CHECKED);
    let never =
        |layer: &Layer<SimulatedFile>| layer.read(&mut [0; BLOCK], 0, Wait::Never).map_err(|error| error.kind());
    assert_eq!(never(&layer), Err(io::ErrorKind::WouldBlock));
    read(&layer, 0, BLOCK).unwrap();
    assert_eq!(never(&layer), Ok(()));
    disk.set_cold(true);
    assert_eq!(never(&layer), Err(io::ErrorKind::WouldBlock));
}

#[test]
fn a_layer_is_made_again_as_long_as_nothing_was_written_and_removed_without_a_trace() {
    let (disk, layer) = new_layer();
    create(&disk, CHECKED).unwrap();
    layer.write(&[1; BLOCK], 0).unwrap();
    create(&disk, CHECKED).unwrap();
    flush(&layer, &data(0..1), LONG);
    assert_eq!(create(&disk, CHECKED).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(ids(&*disk).unwrap(), [ID]);
    assert!(layer.used_bytes().unwrap() >= 3 * BLOCK_BYTES);
    remove(&*disk, ID).unwrap();
    remove(&*disk, ID).unwrap();
    assert!(disk.list().unwrap().is_empty() && ids(&*disk).unwrap().is_empty());
}
