//! What differs between two chains.

use proptest::prelude::*;

use super::*;
use crate::volume::driver::DiffExtent;
use crate::volume::layers::diff::diff;

/// Whether a block is among extents, and as zeros.
fn find(extents: &[DiffExtent], region: u32, block: usize) -> Option<bool> {
    let at = bytes_of(region, &(block..block + 1)).start;
    let extent = extents.iter().find(|extent| (extent.offset..extent.offset + extent.length).contains(&at));
    extent.map(|extent| extent.is_zero)
}

fn all(older: Option<&[TestLayer]>, newer: &[TestLayer]) -> Vec<DiffExtent> {
    diff(older, newer, 0, usize::MAX).expect("a diff")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_a_diff_does_not_name_is_the_same(seed: u64, shared in 1..4_usize, older in 0..3_usize, newer in 0..3_usize) {
        let mut scene = Scene::new(seed, false);
        let shared: Vec<TestLayer> = (0..shared).map(|id| scene.layer(id as u64)).collect();
        let mut branch = |first: u64, count: usize| {
            let own = (0..count).map(|id| scene.layer(first + id as u64)).collect::<Vec<_>>();
            [shared.clone(), own].concat()
        };
        let (older, newer) = (branch(10, older), branch(20, newer));
        let found = all(Some(&older), &newer);
        let content = |chain: &[TestLayer]| show(&chain.iter().collect::<Vec<_>>());
        for ((region, block), (before, after)) in places().zip(content(&older).into_iter().zip(content(&newer))) {
            let named = find(&found, region, block);
            prop_assert!(named.map_or(before == after, |is_zero| is_zero == (after == 0)));
        }
        let bytes: u64 = found.iter().map(|extent| extent.length).sum();
        prop_assert!(bytes <= 9 * BLOCK as u64);
        prop_assert_eq!(all(Some(&newer), &newer), vec![]);
    }

    #[test]
    fn pages_of_a_diff_are_the_whole(seed: u64, limit in 1..4_usize) {
        let mut scene = Scene::new(seed, false);
        let chain = [scene.layer(1), scene.layer(2)];
        let whole = all(None, &chain);
        let (mut pages, mut offset) = (Vec::new(), 0);
        loop {
            let page = diff(None, &chain, offset, limit).unwrap();
            prop_assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            offset = last.offset + last.length;
            pages.extend(page);
        }
        prop_assert_eq!(pages, whole);
    }
}

#[test]
fn without_an_older_one_all_that_was_ever_written_is_named() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, false);
        let layer = scene.layer(1);
        let found = all(None, std::slice::from_ref(&layer));
        for (region, block) in places() {
            let expected = match layer.load(region, Wait::Allowed).unwrap().blocks.get(block) {
                BlockState::Absent => None,
                state => Some(state == BlockState::Zero),
            };
            assert_eq!(find(&found, region, block), expected);
        }
    }
}

#[test]
fn a_diff_starts_within_an_extent_and_ends_at_the_end() {
    let scene = Scene::new(1, false);
    let layer = scene.empty(1);
    let mut map = Blocks::ABSENT;
    map.fill(0..1024, BlockState::Zero);
    store(&layer, &[map.clone(), map]);
    let extent = |offset, length| vec![DiffExtent { offset, length, is_zero: true }];
    let chain = std::slice::from_ref(&layer);
    assert_eq!(diff(None, chain, 0, 9).unwrap(), extent(0, 2 * REGION_BYTES));
    assert_eq!(diff(None, chain, 5000, 9).unwrap(), extent(5000, 2 * REGION_BYTES - 5000));
    assert_eq!(diff(None, chain, 2 * REGION_BYTES, 9).unwrap(), vec![]);
    assert_eq!(diff(None, chain, u64::MAX, 9).unwrap(), vec![]);
}
