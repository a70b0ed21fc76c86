//! That the adversary is an honest one.

use super::image::SECTOR;
use super::*;

const NAME: &str = "0000000000000001.data";

/// A file with ones that are on disk.
fn synced() -> (SimulatedDisk, SimulatedFile) {
    let disk = SimulatedDisk::default();
    let file = disk.create(NAME).unwrap();
    file.write_at(&[1; 2048], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    (disk, file)
}

fn content(disk: &SimulatedDisk) -> Vec<u8> {
    let mut bytes = vec![0; 2048];
    disk.open(NAME).unwrap().read_at(&mut bytes, 0, Wait::Allowed).unwrap();
    bytes.chunks(SECTOR).map(|sector| sector[0]).collect()
}

#[test]
fn any_sectors_of_what_was_not_synced_may_survive_and_all_of_what_was() {
    let mut random = Random(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        let (disk, file) = synced();
        file.write_at(&[2; 1024], 0).unwrap();
        file.write_at(&[3; 1024], 512).unwrap();
        disk.cut_power(&mut random);
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
        seen.insert(content(&disk));
    }
    // Of the first sector two versions, of the second three, of the third two; the fourth was synced.
    assert_eq!(seen.len(), 12);
    assert!(seen.contains(&vec![1, 3, 1, 1]) && seen.iter().all(|sectors| sectors[3] == 1));
}

#[test]
fn names_survive_once_the_directory_was_synced() {
    let mut random = Random(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let (disk, _) = synced();
        disk.create("0000000000000002.data").unwrap().sync_data().unwrap();
        disk.remove(NAME).unwrap();
        disk.cut_power(&mut random);
        seen.insert(disk.list().unwrap());
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn nothing_works_from_the_chosen_operation_on_until_the_power_is_back() {
    let (disk, file) = synced();
    disk.fail_after(1);
    file.write_at(&[2; 512], 0).unwrap_err();
    file.read_at(&mut [0; 1], 0, Wait::Allowed).unwrap_err();
    disk.sync_dir().unwrap_err();
    disk.cut_power(&mut Random(1));
    assert!([1, 2].contains(&content(&disk)[0]));
}

#[test]
fn power_that_has_gone_comes_back_only_when_it_is_cut() {
    // Given a write that failed, of which something may be there
    let (disk, file) = synced();
    disk.fail_after(1);
    file.write_at(&[2; 512], 0).unwrap_err();
    // When the power is to go once more, and later
    disk.fail_after(100);
    // Then it has gone
    assert!(!disk.has_power());
    file.write_at(&[3; 512], 512).unwrap_err();
    disk.cut_power(&mut Random(1));
    assert!(disk.has_power());
}

#[test]
fn a_full_disk_takes_nothing_more_and_still_lets_old_data_be_written_over() {
    let (disk, file) = synced();
    disk.set_room(Some(1024));
    file.write_at(&[2; 4096], 0).unwrap();
    file.write_at(&[2; 2048], 4096).unwrap_err();
    assert_eq!(disk.free_bytes().unwrap(), 1024);
    assert_eq!(file.data_extents(0, 1 << 20).unwrap(), vec![Range { start: 0, end: 4096 }]);
}
