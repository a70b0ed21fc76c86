//! The disk of the operating system, on whatever file system the temporary directory is.

use std::ops::Range;

use super::super::BlockFile as _;
use super::*;
use crate::volume::device::Wait;

const NAME: &str = "00000000000000ff.data";

fn disk() -> (tempfile::TempDir, OsDisk) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = OsDisk::open(&directory.path().join("layers")).expect("a disk");
    (directory, disk)
}

#[test]
fn bytes_beyond_the_end_and_in_holes_read_as_zeros() {
    let (_directory, disk) = disk();
    let file = disk.create(NAME).unwrap();
    file.write_at(&[7; 100], 1 << 40).unwrap();
    let mut read = [1; 200];
    file.read_at(&mut read, 1 << 40, Wait::Allowed).unwrap();
    assert_eq!((&read[..100], &read[100..]), (&[7; 100][..], &[0; 100][..]));
    file.read_at(&mut read, 5000, Wait::Allowed).unwrap();
    assert_eq!(read, [0; 200]);
    assert!(file.used_bytes().unwrap() < 1 << 20);
}

#[test]
fn what_was_just_written_is_read_without_waiting() {
    let (_directory, disk) = disk();
    let file = disk.create(NAME).unwrap();
    file.write_at(&[7; 8192], 0).unwrap();
    let mut read = [0; 8192];
    file.read_at(&mut read, 0, Wait::Never).unwrap();
    assert_eq!(read, [7; 8192]);
}

#[test]
fn punched_ranges_read_as_zeros_and_are_no_extents_any_more() {
    let (_directory, disk) = disk();
    let file = disk.create(NAME).unwrap();
    file.write_at(&vec![7; 1 << 20], 0).unwrap();
    file.punch(1 << 18, 1 << 18).unwrap();
    let mut read = vec![1; 1 << 20];
    file.read_at(&mut read, 0, Wait::Allowed).unwrap();
    assert!(read[..1 << 18].iter().chain(&read[1 << 19..]).all(|byte| *byte == 7));
    assert!(read[1 << 18..1 << 19].iter().all(|byte| *byte == 0));
    let extents = file.data_extents(0, 1 << 30).unwrap();
    assert_eq!(extents, [0..1 << 18, 1 << 19..1 << 20]);
    assert_eq!(file.data_extents(100, 1000).unwrap(), vec![Range { start: 100, end: 1100 }]);
    assert_eq!(file.length().unwrap(), 1 << 20);
}

#[test]
fn copies_bring_the_zeros_beyond_the_end_of_their_source_too() {
    let (_directory, disk) = disk();
    let source = disk.create(NAME).unwrap();
    let target = disk.create("00000000000000fe.data").unwrap();
    source.write_at(&[7; 5000], 0).unwrap();
    target.write_at(&vec![9; 20_000], 0).unwrap();
    target.copy_from(&source, 4096, 8192).unwrap();
    let mut read = vec![1; 20_000];
    target.read_at(&mut read, 0, Wait::Allowed).unwrap();
    let mut expected = vec![9; 20_000];
    expected[4096..5000].fill(7);
    expected[5000..4096 + 8192].fill(0);
    assert_eq!(read, expected);
}

#[test]
fn files_are_found_again_by_name_and_strange_names_are_refused() {
    let (_directory, disk) = disk();
    for name in [NAME, "0000000000000a01.map", "0000000000000a01.data"] {
        disk.create(name).unwrap();
    }
    disk.sync_dir().unwrap();
    std::fs::write(disk.directory.join("01").join("a note"), "").unwrap();
    disk.remove(NAME).unwrap();
    disk.remove(NAME).unwrap();
    disk.sync_dir().unwrap();
    let mut names = disk.list().unwrap();
    names.sort();
    assert_eq!(names, ["0000000000000a01.data", "0000000000000a01.map"]);
    for name in ["../../etc/passwd", "00000000000000FF.data", "00ff.data", "00000000000000ff", "00000000000000ff./x"] {
        assert_eq!(disk.create(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
    }
    assert_eq!(disk.open(NAME).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(disk.free_bytes().unwrap() > 0);
}
