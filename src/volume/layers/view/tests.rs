//! What a device shows, whatever is written to it by how many threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;

use super::{MAX_DIRTY, View};
use crate::volume::device::{BLOCK_BYTES, Device, Extent, ExtentKind, Wait, Zero};
use crate::volume::driver::{self, Access, Control, Done, Driver as _, LayerId, LayerSpec, Proceed, View as _};
use crate::volume::layers::depot::Depot;
use crate::volume::layers::disk::simulated::SimulatedDisk;
use crate::volume::layers::disk::{Disk, OsDisk};
use crate::volume::layers::entry::Entry;
use crate::volume::layers::layer;
use crate::volume::layers::page::Cell;
use crate::volume::layers::region_map::REGION_BYTES;
use crate::volume::layers::sums::BLOCK;

fn spec(id: u64, size: u64) -> LayerSpec {
    LayerSpec { id: LayerId(id), size, checksums: false }
}

fn depot() -> (tempfile::TempDir, Depot<OsDisk>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = OsDisk::open(directory.path()).unwrap();
    (directory, Depot::new(disk))
}

/// An open volume with one layer, number 1.
fn volume<D: Disk>(depot: &Depot<D>, size: u64) -> Arc<View<D::File>> {
    layer::create(depot.disk(), spec(1, size)).unwrap();
    depot.open_view(&[spec(1, size)], Access::ReadWrite).unwrap()
}

/// Gives it a new top, and makes what is below last.
fn freeze<D: Disk>(depot: &Depot<D>, view: &Arc<View<D::File>>, top: u64) {
    let top = spec(top, view.size());
    layer::create(depot.disk(), top).unwrap();
    let dynamic: Arc<dyn driver::View> = Arc::<View<D::File>>::clone(view);
    depot.freeze_views(&[(dynamic, top)]).unwrap().settle().unwrap();
}

fn read(view: &dyn Device, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xEE; length];
    view.read_at(&mut bytes, offset, Wait::Allowed).unwrap();
    bytes
}

struct Patient;

impl Control for Patient {
    fn total(&self, _bytes: u64) {}

    fn proceed(&self, _bytes: u64) -> Proceed {
        Proceed::Go
    }
}

fn code<T: std::fmt::Debug>(result: std::io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

#[test]
fn what_is_written_is_read_across_blocks_regions_and_layers() {
    let (_directory, depot) = depot();
    let view = volume(&depot, 2 * REGION_BYTES);
    let at = REGION_BYTES - 5000;
    view.write_at(&[1; 9100], at).unwrap();
    freeze(&depot, &view, 2);
    view.write_at(&[2; 10], at + 100).unwrap();
    view.write_at(&[3; 2 * BLOCK], REGION_BYTES - BLOCK_BYTES).unwrap();
    let mut expected = vec![1; 9100];
    expected[100..110].fill(2);
    // The last block before the border, and the first one behind it.
    let third = 5000 - BLOCK;
    expected[third..third + 2 * BLOCK].fill(3);
    assert_eq!(read(&*view, at, 9100), expected);
    assert_eq!(read(&*view, at - 100, 100), vec![0; 100]);
    // Given it is closed and opened again
    let chain = view.chain();
    drop(view);
    let view = depot.open_view(&chain, Access::ReadOnly).unwrap();
    assert_eq!(read(&*view, at, 9100), expected);
    assert_eq!(code(view.write_at(&[0], 0)), Some(Errno::PERM.raw_os_error()));
    assert_eq!(code(view.read_at(&mut [0; 2], 2 * REGION_BYTES - 1, Wait::Allowed)), Some(Errno::INVAL.raw_os_error()));
    assert_eq!(code(view.read_at(&mut [0; 2], u64::MAX, Wait::Allowed)), Some(Errno::INVAL.raw_os_error()));
}

#[test]
fn zeros_and_trims_hide_what_is_below_and_extents_tell_of_it() {
    let (_directory, depot) = depot();
    let view = volume(&depot, 3 * REGION_BYTES);
    view.write_at(&vec![1; 8 * BLOCK], 0).unwrap();
    freeze(&depot, &view, 2);
    view.write_at(&[2; BLOCK], BLOCK_BYTES).unwrap();
    view.zero(2 * BLOCK_BYTES - 10, 20, Zero::Deallocate).unwrap();
    view.trim(4 * BLOCK_BYTES - 10, 2 * BLOCK_BYTES).unwrap();
    assert_eq!(read(&*view, 2 * BLOCK_BYTES - 11, 22), [vec![2], vec![0; 20], vec![1]].concat());
    assert_eq!(read(&*view, 4 * BLOCK_BYTES - 1, BLOCK + 2), [vec![1], vec![0; BLOCK], vec![1]].concat());
    let extent = |blocks: u64, kind, depth| Extent { length: blocks * BLOCK_BYTES, kind, depth };
    let expected = [
        extent(1, ExtentKind::Data, Some(0)),
        extent(2, ExtentKind::Data, Some(1)),
        extent(1, ExtentKind::Data, Some(0)),
        extent(1, ExtentKind::Zero, Some(1)),
        extent(3, ExtentKind::Data, Some(0)),
        extent(3 * 1024 - 8, ExtentKind::Hole, None),
    ];
    assert_eq!(view.extents(0, 3 * REGION_BYTES, 100).unwrap(), expected);
    assert_eq!(view.extents(0, 3 * REGION_BYTES, 2).unwrap(), expected[..2]);
    let part = Extent { length: 5, kind: ExtentKind::Zero, depth: Some(1) };
    assert_eq!(view.extents(4 * BLOCK_BYTES + 7, 5, 9).unwrap(), [part]);
}

#[test]
fn trim_of_a_huge_device_touches_only_what_was_written() {
    let (_directory, depot) = depot();
    // The longest file that ext4 can have is one of 16 TiB.
    let size = 15 << 40;
    let view = volume(&depot, size);
    assert_eq!(view.stack.read().map.cells().count(), 0, "an idle device costs nothing");
    for at in [0, size / 2, size - BLOCK_BYTES] {
        view.write_at(&[7; BLOCK], at).unwrap();
    }
    view.flush().unwrap();
    view.trim(0, size).unwrap();
    assert_eq!(view.stack.read().map.cells().count(), 3 * 1024);
    assert_eq!(read(&*view, size / 2, BLOCK), vec![0; BLOCK]);
    view.zero(0, size, Zero::Deallocate).unwrap();
    let kinds: Vec<ExtentKind> = view.extents(0, size, 10).unwrap().iter().map(|extent| extent.kind).collect();
    let (hole, zeros) = (ExtentKind::Hole, ExtentKind::Zero);
    assert_eq!(kinds, [zeros, hole, zeros, hole, zeros]);
}

#[test]
fn work_on_a_layer_waits_for_no_view_that_does_not_have_it() {
    // Given a view with an operation that does not end, and another one
    let (_directory, depot) = depot();
    let busy = volume(&depot, REGION_BYTES);
    let operation = busy.stack.read();
    let chain = [spec(2, REGION_BYTES), spec(3, REGION_BYTES)];
    for spec in chain {
        layer::create(depot.disk(), spec).unwrap();
    }
    depot.open_view(&chain[..1], Access::ReadWrite).unwrap().write_at(&[1; BLOCK], 0).unwrap();
    let view = depot.open_view(&chain, Access::ReadWrite).unwrap();
    view.write_at(&[2; BLOCK], 0).unwrap();
    // When something is given back that only the other one has
    let freed = depot.discard_hidden(chain[0], chain[1], &Patient).unwrap();
    // Then it does not wait
    assert_eq!(freed, (Done::All, BLOCK_BYTES));
    drop(operation);
}

#[test]
fn writer_that_never_flushes_takes_no_more_memory_than_one_that_does() {
    let (_directory, depot) = depot();
    let regions = 3000;
    let view = volume(&depot, regions * REGION_BYTES);
    for region in 0..regions {
        view.write_at(&[1; 10], region * REGION_BYTES).unwrap();
    }
    let count =
        |is_counted: fn(&Cell) -> bool| view.stack.read().map.cells().filter(|(_, cell)| is_counted(cell)).count();
    assert!(count(Cell::is_dirty) < MAX_DIRTY);
    let loaded = count(|cell| cell.page.read().is_loaded());
    assert!(loaded < 1000, "{loaded}");
    view.zero(0, regions * REGION_BYTES, Zero::Deallocate).unwrap();
    // A batch of regions may come on top.
    assert!(count(Cell::is_dirty) < 2 * MAX_DIRTY);
}

#[test]
fn extents_of_what_is_known_are_told_without_a_look_at_the_layers() {
    // Given a device whose map is in memory
    let disk = SimulatedDisk::default();
    let depot = Depot::new(disk.clone());
    let view = volume(&depot, 2 * REGION_BYTES);
    view.write_at(&[1; BLOCK], 0).unwrap();
    freeze(&depot, &view, 2);
    view.write_at(&[2; BLOCK], BLOCK_BYTES).unwrap();
    let extents = || view.extents(0, 4 * BLOCK_BYTES, 9);
    let before = extents().unwrap();
    assert_eq!(before.iter().map(|extent| extent.depth).collect::<Vec<_>>(), [Some(0), Some(1), None]);
    // When the disk does not answer
    disk.fail_after(0);
    // Then they are told all the same
    assert_eq!(extents().unwrap(), before);
}

#[test]
fn size_that_no_file_can_have_is_refused_at_once() {
    let (_directory, depot) = depot();
    let size = u64::MAX / BLOCK_BYTES * BLOCK_BYTES;
    let refused = depot.create_layer(spec(7, size)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::FileTooLarge);
    assert!(refused.to_string().contains(&size.to_string()), "{refused}");
    let view = volume(&depot, REGION_BYTES);
    assert_eq!(view.grow(size).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    assert_eq!(view.size(), REGION_BYTES);
}

#[test]
fn reads_that_must_not_wait_say_so_until_the_map_is_there() {
    let (_directory, depot) = depot();
    let view = volume(&depot, REGION_BYTES);
    let refused = view.read_at(&mut [0; 10], 0, Wait::Never).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    view.write_at(&[5; 10], 0).unwrap();
    let mut bytes = [0; 10];
    view.read_at(&mut bytes, 0, Wait::Never).unwrap();
    assert_eq!(bytes, [5; 10]);
}

#[test]
fn device_grows_and_the_new_part_is_empty() {
    let (_directory, depot) = depot();
    let view = volume(&depot, BLOCK_BYTES);
    view.grow(5 * REGION_BYTES).unwrap();
    view.write_at(&[9; BLOCK], 4 * REGION_BYTES).unwrap();
    assert_eq!(read(&*view, BLOCK_BYTES, 100), vec![0; 100]);
    assert_eq!(code(view.grow(BLOCK_BYTES)), Some(Errno::INVAL.raw_os_error()));
    drop(view);
    // A record that was lost opens it with the old size; what was beyond that is gone for good.
    let view = depot.open_view(&[spec(1, BLOCK_BYTES)], Access::ReadWrite).unwrap();
    assert_eq!(view.size(), BLOCK_BYTES);
    view.grow(5 * REGION_BYTES).unwrap();
    assert_eq!(read(&*view, 4 * REGION_BYTES, BLOCK), vec![0; BLOCK]);
}

#[test]
fn writers_of_the_same_blocks_lose_nothing_while_tops_come_and_go() {
    // Given four threads that write sectors side by side, one that flushes and one that puts new tops on
    const SECTOR: usize = 512;
    const SECTOR_BYTES: u64 = 512;
    let (_directory, depot) = depot();
    let size = REGION_BYTES + 16 * BLOCK_BYTES;
    let view = volume(&depot, size);
    let is_over = AtomicBool::new(false);
    let (first, sectors) = ((REGION_BYTES - 4 * BLOCK_BYTES) / SECTOR_BYTES, 64_u8);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u8)
            .map(|thread| {
                let view = &view;
                scope.spawn(move || {
                    for round in 0..3000_u64 {
                        let sector = first + (round * 7 % u64::from(sectors / 4)) * 4 + u64::from(thread);
                        let mut bytes = [0; SECTOR];
                        bytes[..8].copy_from_slice(&round.to_le_bytes());
                        view.write_at(&bytes, sector * SECTOR_BYTES).unwrap();
                        if round % 5 == 0 {
                            // Of blocks that nobody writes in part.
                            let other = REGION_BYTES + u64::from(5 + thread) * BLOCK_BYTES;
                            view.write_at(&[thread + 1; BLOCK], other).unwrap();
                            view.trim(other, BLOCK_BYTES).unwrap();
                        }
                        assert_eq!(read(&**view, sector * SECTOR_BYTES, SECTOR), bytes);
                    }
                })
            })
            .collect();
        let over = &is_over;
        let (view, depot) = (&view, &depot);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                view.flush().unwrap();
            }
        });
        scope.spawn(move || {
            for top in 2..60 {
                freeze(depot, view, top);
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // Then all of it is there, also when it is opened again
    let (start, length) = (first * SECTOR_BYTES, usize::from(sectors) * SECTOR);
    let before = read(&*view, start, length);
    let chain = view.chain();
    drop(view);
    let view = depot.open_view(&chain, Access::ReadOnly).unwrap();
    assert_eq!(read(&*view, start, length), before);
    assert!(before.chunks(SECTOR).all(|sector| u64::from_le_bytes(sector[..8].try_into().unwrap()) >= 2000));
}

#[test]
fn nobody_meets_a_block_that_the_next_flush_would_not_know_of() {
    let (_directory, depot) = depot();
    let view = volume(&depot, REGION_BYTES);
    view.write_at(&[1; BLOCK], BLOCK_BYTES).unwrap();
    view.flush().unwrap();
    let entry = || view.stack.read().page(0, Wait::Allowed).unwrap().get(0);
    std::thread::scope(|scope| {
        // Given a write that cannot tell the next flush yet
        let dirty = view.dirty.lock();
        let writer = scope.spawn(|| view.write_at(&[2; BLOCK], 0));
        let is_written = || {
            let mut bytes = [0; BLOCK];
            view.stack.read().top().read_unmapped(&mut bytes, 0).unwrap();
            bytes == [2; BLOCK]
        };
        while !is_written() {
            std::thread::yield_now();
        }
        // Then another one that comes does not take the block for one that it knows of
        for _ in 0..1000 {
            assert_eq!(entry(), Entry::HOLE);
            std::thread::yield_now();
        }
        drop(dirty);
        writer.join().unwrap().unwrap();
    });
    assert_ne!(entry(), Entry::HOLE);
    assert_eq!(*view.dirty.lock(), [0]);
}

#[test]
fn snapshot_shows_one_point_in_time() {
    // Given a writer that writes a number to one block and then to another one
    let (_directory, depot) = depot();
    let view = volume(&depot, 2 * REGION_BYTES);
    let written = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1_u64.. {
                view.write_at(&number.to_le_bytes(), 0).unwrap();
                view.write_at(&number.to_le_bytes(), REGION_BYTES + 100).unwrap();
                written.store(number, Ordering::Release);
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for top in 2..40 {
            // When a snapshot is taken in between
            let chain = view.chain();
            let acknowledged = written.load(Ordering::Acquire);
            freeze(&depot, &view, top);
            // Then it has all that was acknowledged, and the second number only with the first
            let snapshot = depot.open_view(&chain, Access::ReadOnly).unwrap();
            let number = |offset| u64::from_le_bytes(read(&*snapshot, offset, 8).try_into().unwrap());
            let (first, second) = (number(0), number(REGION_BYTES + 100));
            assert!(first == second || first == second + 1, "{first} {second}");
            assert!(second >= acknowledged);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
