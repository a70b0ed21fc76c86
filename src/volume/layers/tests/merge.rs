//! Two layers become one.

use proptest::prelude::*;

use super::*;
use crate::volume::driver::{MergeInto, Repair};
use crate::volume::layers::diff::diff;
use crate::volume::layers::flatten::flatten;
use crate::volume::layers::merge::{cost, merge};
use crate::volume::layers::scrub::scrub;

const EITHER: [MergeInto; 2] = [MergeInto::Lower, MergeInto::Upper];

/// A chain of four layers, of which the two in the middle are to become one.
fn chain(scene: &Scene) -> [TestLayer; 4] {
    [1, 2, 3, 4].map(|id| scene.open(id))
}

fn shown_by(chain: &[TestLayer; 4]) -> Vec<u8> {
    show(&chain.each_ref())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_merge_shows_the_same_at_every_moment_whenever_the_power_goes(seed: u64, checksums: bool) {
        for into in EITHER {
            let mut scene = Scene::new(seed, checksums);
            let layers = [1, 2, 3, 4].map(|id| scene.layer(id));
            let before = shown_by(&layers);
            scene.persist(|scene, control| {
                let layers = chain(scene);
                shows_the_same(&before, &layers, scene);
                merge(&layers[1], &layers[2], into, control)
            });
            let [base, lower, upper, top] = &chain(&scene);
            let merged = if into == MergeInto::Lower { lower } else { upper };
            prop_assert_eq!(&show(&[base, merged, top]), &before);
            let again = scrub(merged, Repair::Yes, &Watching::new(&|| ())).unwrap();
            prop_assert!(again.findings.iter().all(|finding| finding.is_repaired));
            let clean = scrub(merged, Repair::No, &Watching::new(&|| ())).unwrap();
            prop_assert_eq!(&clean.findings, &[]);
        }
    }
}

/// What is shown after a crash; without power nothing is.
fn shows_the_same(before: &[u8], layers: &[TestLayer; 4], scene: &Scene) {
    let layers = layers.each_ref();
    for ((region, block), before) in places().zip(before) {
        if let Ok(now) = shown(&layers, region, block) {
            assert_eq!(now, *before, "block {block} of region {region}");
        } else {
            assert!(!scene.disk.has_power());
        }
    }
}

#[test]
fn readers_see_the_same_while_it_goes_on_and_the_work_is_what_was_said() {
    for seed in 0..20 {
        for (into, checksums) in [(EITHER[0], false), (EITHER[1], true), (EITHER[0], true), (EITHER[1], false)] {
            let mut scene = Scene::new(seed, checksums);
            let layers = [1, 2, 3, 4].map(|id| scene.layer(id));
            let before = shown_by(&layers);
            let look = || assert_eq!(shown_by(&layers), before);
            let control = Watching::new(&look);
            let expected = cost(&layers[1], &layers[2]).unwrap();
            assert_eq!(merge(&layers[1], &layers[2], into, &control).unwrap(), Done::All);
            assert!(control.is_complete());
            let expected = if into == MergeInto::Lower { expected.into_lower } else { expected.into_upper };
            assert_eq!(control.total.load(Ordering::Relaxed), expected);
            look();
        }
    }
}

#[test]
fn a_block_that_is_damaged_stays_so_when_it_moves() {
    let mut scene = Scene::new(3, true);
    let (lower, upper) = (scene.empty(1), scene.empty(2));
    let mut map = Blocks::ABSENT;
    map.fill(0..2, BlockState::Data);
    lower.put(&[1; 2 * BLOCK], 0).unwrap();
    store(&lower, &[map]);
    scene.disk.damage("0000000000000001.data", 17);
    merge(&lower, &upper, MergeInto::Upper, &Watching::new(&|| ())).unwrap();
    scene.crash();
    let upper = scene.open(2);
    assert_eq!(shown(&[&upper], 0, 0).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(shown(&[&upper], 0, 1).unwrap(), 1);
}

#[test]
fn what_is_behind_the_end_of_a_layer_does_not_come_back() {
    for into in EITHER {
        // Given a layer whose map names blocks behind its end, in its last region and in another one
        let scene = Scene::new(1, false);
        let upper = scene.empty(2);
        let long = scene.empty(1);
        let mut map = Blocks::ABSENT;
        map.fill(0..5, BlockState::Data);
        for region in [0, 2] {
            long.put(&vec![7; 5 * BLOCK], bytes_of(region, &(0..5)).start).unwrap();
        }
        store(&long, &[map.clone(), Blocks::ABSENT, map]);
        drop(long);
        let lower = Layer::open(&scene.disk, LayerSpec { size: 2 * BLOCK as u64, ..scene.spec(1) });
        let lower = Arc::new(lower);
        let shows = [&[7, 7, 0, 0, 0][..], &[0; 4]].concat();
        assert_eq!(show(&[&lower, &upper]), shows);
        let two_blocks = 2 * BLOCK as u64;
        assert_eq!(cost(&lower, &upper).unwrap().into_upper, two_blocks);
        // When it is flattened, or becomes one with a longer one
        let (above, flat) = (scene.empty(3), scene.empty(4));
        flatten(&[Arc::clone(&lower)], &above, &flat, &Watching::new(&|| ())).unwrap();
        merge(&lower, &upper, into, &Watching::new(&|| ())).unwrap();
        // Then they are still not there
        let merged = scene.open(if into == MergeInto::Lower { 1 } else { 2 });
        for layer in [scene.open(4), merged] {
            assert_eq!(show(&[&layer]), shows);
            let extents = diff(None, &[Arc::clone(&layer)], 0, 9).unwrap();
            assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), two_blocks);
            assert!(layer.load(2, Wait::Allowed).unwrap().blocks.is_absent());
        }
    }
}
