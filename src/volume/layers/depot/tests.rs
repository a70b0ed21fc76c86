//! Who may open, freeze and remove what, and what happens when a disk fails.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::Depot;
use crate::volume::device::{BLOCK_BYTES, Device, Wait};
use crate::volume::driver::{Access, Control, Done, Driver, LayerId, LayerSpec, MergeInto, Proceed};
use crate::volume::layers::disk::simulated::SimulatedDisk;

fn spec(id: u64) -> LayerSpec {
    LayerSpec { id: LayerId(id), size: 64 * BLOCK_BYTES, checksums: true }
}

/// A store with layers 1 to 4.
fn depot() -> (SimulatedDisk, Depot<SimulatedDisk>) {
    let disk = SimulatedDisk::default();
    let depot = Depot::new(disk.clone());
    for id in 1..=4 {
        depot.create_layer(spec(id)).unwrap();
    }
    (disk, depot)
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn first_byte(view: &dyn Device) -> u8 {
    let mut byte = [0];
    view.read_at(&mut byte, 0, Wait::Allowed).unwrap();
    byte[0]
}

#[test]
fn layer_is_written_by_one_view_and_stays_while_it_is_used() {
    let (_disk, depot) = depot();
    let busy = Some(Errno::BUSY.raw_os_error());
    let view = depot.open(&[spec(1), spec(2)], Access::ReadWrite).unwrap();
    assert_eq!(errno(depot.open(&[spec(1), spec(2)], Access::ReadWrite)), busy);
    assert_eq!(errno(depot.open(&[spec(2)], Access::ReadOnly)), busy);
    assert_eq!(errno(depot.remove_layer(LayerId(1))), busy);
    assert_eq!(errno(depot.remove_layer(LayerId(2))), busy);
    view.write_at(&[7], 0).unwrap();
    drop(view);
    let view = depot.open(&[spec(1), spec(2)], Access::ReadWrite).unwrap();
    assert_eq!(first_byte(&*view), 7);
    drop(view);
    depot.remove_layer(LayerId(2)).unwrap();
    assert_eq!(depot.layers().unwrap(), [LayerId(1), LayerId(3), LayerId(4)]);
}

#[test]
fn what_cannot_be_a_chain_is_refused() {
    let (_disk, depot) = depot();
    let invalid = Some(Errno::INVAL.raw_os_error());
    assert_eq!(errno(depot.open(&[], Access::ReadOnly)), invalid);
    assert_eq!(errno(depot.open(&[spec(1), spec(1)], Access::ReadOnly)), invalid);
    let short = LayerSpec { size: BLOCK_BYTES, ..spec(2) };
    assert_eq!(errno(depot.open(&[spec(1), short], Access::ReadWrite)), invalid);
    let view = depot.open(&[spec(1)], Access::ReadWrite).unwrap();
    assert_eq!(errno(depot.freeze(vec![(view, short)])), invalid);
}

#[test]
fn views_are_frozen_together_and_go_on_with_their_new_tops() {
    let (_disk, depot) = depot();
    let views = [1, 2].map(|id| depot.open(&[spec(id)], Access::ReadWrite).unwrap());
    for view in &views {
        view.write_at(&[1], 0).unwrap();
    }
    let tops = views.iter().cloned().zip([spec(3), spec(4)]).collect();
    let frozen = depot.freeze(tops).unwrap();
    for view in &views {
        view.write_at(&[2], 0).unwrap();
    }
    frozen.settle().unwrap();
    drop(frozen);
    for (view, below) in views.iter().zip([1, 2]) {
        assert_eq!(first_byte(&**view), 2);
        let snapshot = depot.open(&[spec(below)], Access::ReadOnly).unwrap();
        assert_eq!(first_byte(&*snapshot), 1);
    }
}

#[test]
fn flush_waits_for_the_record_of_a_new_top_and_settles_what_nobody_settled() {
    let (_disk, depot) = depot();
    let view = depot.open(&[spec(1)], Access::ReadWrite).unwrap();
    view.write_at(&[1], 0).unwrap();
    let frozen = depot.freeze(vec![(Arc::clone(&view), spec(3))]).unwrap();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| view.flush());
        assert!(!flush.is_finished());
        drop(frozen);
        flush.join().unwrap().unwrap();
    });
    let snapshot = depot.open(&[spec(1)], Access::ReadOnly).unwrap();
    assert_eq!(first_byte(&*snapshot), 1);
}

#[test]
fn device_refuses_writes_after_a_sync_has_failed_and_is_read_on() {
    let (disk, depot) = depot();
    let view = depot.open(&[spec(1)], Access::ReadWrite).unwrap();
    view.write_at(&[1], 0).unwrap();
    disk.fail_next_sync();
    let broken = Some(Errno::IO.raw_os_error());
    assert_eq!(errno(view.flush()), broken);
    assert_eq!(errno(view.flush()), broken, "a sync that succeeds now would mean nothing");
    assert_eq!(errno(view.write_at(&[2], 0)), broken);
    assert_eq!(first_byte(&*view), 1);
    // Given it is closed, it is not written again either, since what is read may be in memory only
    drop(view);
    assert_eq!(errno(depot.open(&[spec(1)], Access::ReadWrite)), broken);
    assert_eq!(errno(depot.open(&[spec(1), spec(2)], Access::ReadWrite)), broken);
    depot.open(&[spec(1)], Access::ReadOnly).unwrap();
    // Then only a process that starts anew does so
    drop(depot);
    let depot = Depot::new(disk);
    depot.open(&[spec(1)], Access::ReadWrite).unwrap().write_at(&[2], 0).unwrap();
}

#[test]
fn full_disk_is_told_and_a_later_flush_brings_all_that_was_left() {
    let (disk, depot) = depot();
    let view = depot.open(&[spec(1)], Access::ReadWrite).unwrap();
    view.write_at(&[1; 4096], 0).unwrap();
    let full = Some(Errno::NOSPC.raw_os_error());
    disk.set_room(Some(0));
    assert_eq!(errno(view.write_at(&[2; 4096], 8192)), full);
    assert_eq!(errno(view.flush()), full);
    disk.set_room(None);
    view.flush().unwrap();
    disk.fail_after(0);
    drop(view);
    let mut random = crate::volume::layers::disk::simulated::Random(1);
    disk.cut_power(&mut random);
    let depot = Depot::new(disk);
    let view = depot.open(&[spec(1)], Access::ReadOnly).unwrap();
    assert_eq!(first_byte(&*view), 1);
}

#[test]
fn layer_that_is_being_removed_is_given_to_nobody_and_others_are() {
    let (_disk, depot) = depot();
    depot.handles.lock().removing.insert(LayerId(1));
    let missing = Some(Errno::NOENT.raw_os_error());
    assert_eq!(errno(depot.open(&[spec(1)], Access::ReadOnly)), missing);
    assert_eq!(errno(depot.remove_layer(LayerId(1))), Some(Errno::BUSY.raw_os_error()));
    depot.open(&[spec(2)], Access::ReadWrite).unwrap();
    depot.remove_layer(LayerId(3)).unwrap();
    assert!(!depot.handles.lock().removing.contains(&LayerId(3)));
}

struct Patient;

impl Control for Patient {
    fn total(&self, _bytes: u64) {}

    fn proceed(&self, _bytes: u64) -> Proceed {
        Proceed::Go
    }
}

#[test]
fn clone_that_stays_open_reads_no_layer_of_its_parent_after_a_merge_and_a_flatten() {
    for (into, kept) in [(MergeInto::Upper, 2), (MergeInto::Lower, 1)] {
        for is_told_both in [true, false] {
            // Given two layers of a parent, and a clone that is open
            let (_disk, depot) = depot();
            for (id, place) in [(1, 0), (2, 4096)] {
                let chain = [spec(1), spec(2)];
                let parent = depot.open(&chain[..id], Access::ReadWrite).unwrap();
                parent.write_at(&[u8::try_from(id).unwrap(); 4096], place).unwrap();
            }
            let clone = depot.open(&[1, 2, 3].map(spec), Access::ReadWrite).unwrap();
            assert_eq!(first_byte(&*clone), 1);
            // When the two become one
            assert_eq!(depot.merge(spec(1), spec(2), into, &Patient).unwrap(), Done::All);
            let gone = LayerId(3 - kept);
            let from = if is_told_both { vec![LayerId(1), LayerId(2)] } else { vec![gone] };
            depot.replace(&from, spec(kept), None).unwrap();
            // Then it is there once, and the other one can go
            assert_eq!(clone.chain(), [spec(kept), spec(3)]);
            depot.remove_layer(gone).unwrap();
            // And when the clone gets what is left of the parent, that can go too
            assert_eq!(depot.flatten(&[spec(kept)], spec(3), spec(4), &Patient).unwrap(), Done::All);
            depot.replace(&[LayerId(kept)], spec(4), Some(LayerId(3))).unwrap();
            assert_eq!(clone.chain(), [spec(4), spec(3)]);
            depot.remove_layer(LayerId(kept)).unwrap();
            let mut bytes = [0; 8192];
            clone.read_at(&mut bytes, 0, Wait::Allowed).unwrap();
            assert_eq!((bytes[0], bytes[4096]), (1, 2));
        }
    }
}

#[test]
fn clone_that_stays_open_reads_what_a_merge_brought_that_was_not_told_of() {
    // Given layers of two blocks of which the lower one has both, and a clone whose map is in memory
    for is_discarded in [true, false] {
        let (_disk, depot) = depot();
        depot.open(&[spec(1)], Access::ReadWrite).unwrap().write_at(&[1; 8192], 0).unwrap();
        let clone = depot.open(&[1, 2, 3].map(spec), Access::ReadWrite).unwrap();
        assert_eq!(first_byte(&*clone), 1);
        // When the upper one gets all that it lacks, and nobody says so
        assert_eq!(depot.merge(spec(1), spec(2), MergeInto::Upper, &Patient).unwrap(), Done::All);
        if is_discarded {
            // Then the lower one can give back what is hidden
            assert_eq!(depot.discard_hidden(spec(1), spec(2), &Patient).unwrap(), (Done::All, 8192));
        } else {
            // Then another one, which lacks what the upper one has, can take the place of the lower one
            assert_eq!(depot.flatten(&[spec(1)], spec(2), spec(4), &Patient).unwrap(), Done::All);
            depot.replace(&[LayerId(1)], spec(4), Some(LayerId(2))).unwrap();
            depot.remove_layer(LayerId(1)).unwrap();
        }
        // And the clone shows what it did, also around what is written to it
        clone.write_at(&[3], 4096).unwrap();
        let mut bytes = [0; 8192];
        clone.read_at(&mut bytes, 0, Wait::Allowed).unwrap();
        assert_eq!((bytes[0], bytes[4096], bytes[4097]), (1, 3, 1));
    }
}
