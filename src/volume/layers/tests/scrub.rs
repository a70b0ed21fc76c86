//! Checking and mending a layer.

use super::*;
use crate::volume::driver::{Finding, FindingKind, MAX_FINDINGS, Repair, ScrubReport};
use crate::volume::layers::disk::{BlockFile as _, Disk as _, OsDisk};
use crate::volume::layers::scrub::scrub;

const DATA: &str = "0000000000000001.data";
const MAP: &str = "0000000000000001.map";

/// A layer with data in the blocks 2 to 9.
fn layer(checksums: bool) -> (Scene, TestLayer) {
    let scene = Scene::new(1, checksums);
    let layer = scene.empty(1);
    layer.put(&vec![1; 8 * BLOCK], 2 * BLOCK as u64).unwrap();
    store(&layer, &[data(2..10)]);
    (scene, layer)
}

fn data(blocks: std::ops::Range<usize>) -> Blocks {
    let mut map = Blocks::ABSENT;
    map.fill(blocks, BlockState::Data);
    map
}

fn check(layer: &TestLayer, repair: Repair) -> ScrubReport {
    scrub(layer, repair, &Watching::new(&|| ())).expect("a report")
}

fn finding(kind: FindingKind, block: u64, blocks: u64, is_repaired: bool) -> Vec<Finding> {
    vec![Finding { kind, offset: block * BLOCK as u64, length: blocks * BLOCK as u64, is_repaired }]
}

/// Finds it, mends it, and finds nothing more.
fn finds_and_mends(layer: &TestLayer, kind: FindingKind, block: u64, blocks: u64) {
    assert_eq!(check(layer, Repair::No).findings, finding(kind, block, blocks, false));
    assert_eq!(check(layer, Repair::Yes).findings, finding(kind, block, blocks, true));
    assert_eq!(check(layer, Repair::No).findings, []);
}

#[test]
fn a_sound_layer_has_no_findings_and_its_checksums_are_verified() {
    for (checksums, verified) in [(true, 8), (false, 0)] {
        let (_scene, layer) = layer(checksums);
        let expected = ScrubReport { blocks: 8, verified, ..ScrubReport::default() };
        assert_eq!(check(&layer, Repair::Yes), expected);
    }
}

#[test]
fn a_damaged_copy_of_a_map_is_written_anew_from_the_other() {
    let (scene, layer) = layer(false);
    store(&layer, &[data(2..9)]);
    store(&layer, &[data(2..10)]);
    scene.disk.damage(MAP, 512 + 40);
    assert!(layer.load(0, Wait::Allowed).unwrap().is_copy_damaged);
    finds_and_mends(&layer, FindingKind::MapCopyDamaged, 0, 1024);
    assert_eq!(layer.load(0, Wait::Allowed).unwrap().blocks, data(2..10));
}

#[test]
fn a_lost_map_is_told_and_the_bytes_under_it_stay() {
    let (scene, layer) = layer(false);
    scene.disk.damage(MAP, 0);
    scene.disk.damage(MAP, 512);
    let used = layer.used_bytes().unwrap();
    assert_eq!(check(&layer, Repair::Yes).findings, finding(FindingKind::MapLost, 0, 1024, false));
    assert_eq!(layer.used_bytes().unwrap(), used);
}

#[test]
fn bytes_that_no_map_knows_are_given_back() {
    let (scene, layer) = layer(false);
    let file = scene.disk.open(DATA).unwrap();
    file.write_at(&[5; 2 * BLOCK], 10 * BLOCK as u64).unwrap();
    finds_and_mends(&layer, FindingKind::UnmappedData, 10, 2);
    file.write_at(&[5; BLOCK], 50 * REGION_BYTES).unwrap();
    finds_and_mends(&layer, FindingKind::UnmappedData, 50 * 1024, 1);
    // As file systems have around data that give space in large units.
    file.write_at(&[0; 4 * BLOCK], 20 * BLOCK as u64).unwrap();
    assert_eq!(check(&layer, Repair::No).findings, []);
    assert_eq!(shown(&[&layer], 0, 9).unwrap(), 1);
}

#[test]
fn bytes_of_a_layer_that_is_written_are_left_alone_until_it_is_sealed() {
    let (_scene, layer) = layer(true);
    layer.write(&[7; BLOCK], 100 * BLOCK as u64).unwrap();
    assert_eq!(check(&layer, Repair::Yes).findings, []);
    let mut bytes = [0; BLOCK];
    layer.read(&mut bytes, 100 * BLOCK as u64, Wait::Allowed).unwrap();
    assert_eq!(bytes, [7; BLOCK]);
    layer.seal().unwrap();
    finds_and_mends(&layer, FindingKind::UnmappedData, 100, 1);
}

#[test]
fn what_was_trimmed_since_the_last_flush_is_no_damage() {
    let (_scene, layer) = layer(true);
    layer.punch(3 * BLOCK as u64, 2 * BLOCK as u64).unwrap();
    assert_eq!(check(&layer, Repair::No).findings, []);
    let mut bytes = [1; 2 * BLOCK];
    layer.read(&mut bytes, 3 * BLOCK as u64, Wait::Allowed).unwrap();
    assert_eq!(bytes, [0; 2 * BLOCK]);
}

#[test]
fn what_a_map_names_behind_the_end_is_taken_out() {
    let (scene, layer) = layer(false);
    let short = Arc::new(Layer::open(&scene.disk, LayerSpec { size: 4 * BLOCK as u64, ..layer.spec() }));
    let found = |is_repaired| {
        let beyond = finding(FindingKind::BeyondEnd, 4, 6, is_repaired);
        let unmapped = if is_repaired { finding(FindingKind::UnmappedData, 4, 6, true) } else { Vec::new() };
        [beyond, unmapped].concat()
    };
    assert_eq!(check(&short, Repair::No).findings, found(false));
    assert_eq!(check(&short, Repair::Yes).findings, found(true));
    assert_eq!(check(&short, Repair::No).findings, []);
    assert_eq!(short.load(0, Wait::Allowed).unwrap().blocks, data(2..4));
}

#[test]
fn damaged_blocks_are_named_and_not_mended() {
    let (scene, layer) = layer(true);
    for block in [3, 4, 7] {
        scene.disk.damage(DATA, block * BLOCK as u64 + 99);
    }
    let kind = FindingKind::ChecksumMismatch;
    let expected = [finding(kind, 3, 2, false), finding(kind, 7, 1, false)].concat();
    assert_eq!(check(&layer, Repair::Yes).findings, expected);
    assert_eq!(check(&layer, Repair::No).findings, expected);
}

#[test]
fn missing_files_are_told() {
    let (scene, layer) = layer(true);
    let spec = layer.spec();
    for (name, missing) in [(DATA, 1), ("0000000000000001.sum", 2), (MAP, 3)] {
        scene.disk.remove(name).unwrap();
        let layer = Arc::new(Layer::open(&scene.disk, spec));
        let report = check(&layer, Repair::Yes);
        assert_eq!(report.findings, vec![finding(FindingKind::MissingFile, 0, 0, false).remove(0); missing]);
    }
}

#[test]
fn no_more_findings_are_named_than_there_is_room_for() {
    let (scene, layer) = layer(false);
    let file = scene.disk.open(DATA).unwrap();
    for block in 0..1200 {
        file.write_at(&[1; 1], (20 + 2 * block) * BLOCK as u64).unwrap();
    }
    let report = check(&layer, Repair::No);
    assert_eq!((report.findings.len(), report.more_findings), (MAX_FINDINGS, 200));
}

#[test]
fn a_scrub_that_is_told_to_stop_says_what_it_found() {
    let (_scene, layer) = layer(true);
    let report = scrub(&layer, Repair::No, &Stopping(0.into())).unwrap();
    assert_eq!(report, ScrubReport::default());
}

#[test]
fn leftovers_are_found_and_given_back_on_a_real_file_system() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = Arc::new(OsDisk::open(directory.path()).unwrap());
    let spec = LayerSpec { id: LayerId(1), size: SIZE, checksums: true };
    create(&disk, spec).unwrap();
    let layer = Layer::open(&disk, spec);
    layer.put(&vec![1; 8 * BLOCK], 0).unwrap();
    layer.sync_data().unwrap();
    layer.store(0, &data(0..4)).unwrap();
    layer.seal().unwrap();
    let scrub = |repair| scrub(&layer, repair, &Watching::new(&|| ())).unwrap().findings;
    assert_eq!(scrub(Repair::Yes), finding(FindingKind::UnmappedData, 4, 4, true));
    assert_eq!(scrub(Repair::No), []);
    let mut bytes = [0; 4 * BLOCK];
    layer.read(&mut bytes, 0, Wait::Allowed).unwrap();
    assert_eq!(bytes, [1; 4 * BLOCK]);
}
