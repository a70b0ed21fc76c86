//! Giving back what nobody can see.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::volume::layers::discard::discard_hidden;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_shown_stays_whenever_the_power_goes_and_nothing_hidden_is_left(seed: u64, checksums: bool) {
        let mut scene = Scene::new(seed, checksums);
        let (lower, upper) = (scene.layer(1), scene.layer(2));
        let before = show(&[&lower, &upper]);
        scene.persist(|scene, control| {
            Ok(discard_hidden(&scene.open(1), &scene.open(2), control, &|| Ok(()))?.0)
        });
        let (lower, upper) = (scene.open(1), scene.open(2));
        prop_assert_eq!(&show(&[&lower, &upper]), &before);
        for region in [0, 2] {
            let below = lower.load(region, Wait::Allowed).unwrap().blocks;
            prop_assert!(below.within(&upper.load(region, Wait::Allowed).unwrap().blocks).is_absent());
        }
    }
}

#[test]
fn space_is_given_back_only_when_reads_have_passed() {
    let scene = Scene::new(1, false);
    let (lower, upper) = (scene.empty(1), scene.empty(2));
    let mut map = Blocks::ABSENT;
    map.fill(0..10, BlockState::Data);
    lower.put(&vec![1; 10 * BLOCK], 0).unwrap();
    store(&lower, std::slice::from_ref(&map));
    map.fill(0..10, BlockState::Absent);
    map.fill(4..6, BlockState::Zero);
    map.fill(6..8, BlockState::Data);
    upper.put(&[2; 2 * BLOCK], 6 * BLOCK as u64).unwrap();
    store(&upper, &[map]);

    let is_called = Cell::new(false);
    let used = lower.used_bytes().unwrap();
    let let_reads_pass = || {
        is_called.set(true);
        let mut bytes = [0; 2 * BLOCK];
        lower.read(&mut bytes, 5 * BLOCK as u64, Wait::Allowed)?;
        assert_eq!(bytes, [1; 2 * BLOCK]);
        Ok(())
    };
    let control = Watching::new(&|| ());
    let freed = 4 * BLOCK as u64;
    assert_eq!(discard_hidden(&lower, &upper, &control, &let_reads_pass).unwrap(), (Done::All, freed));
    assert!(is_called.get() && control.is_complete());
    assert_eq!(control.total.load(Ordering::Relaxed), freed);
    assert_eq!(lower.used_bytes().unwrap(), used - 4 * BLOCK as u64);
    let nothing_waits = || panic!("nothing is left to give back");
    assert_eq!(discard_hidden(&lower, &upper, &control, &nothing_waits).unwrap(), (Done::All, 0));
}

#[test]
fn discarding_stops_between_batches_when_it_is_told_to() {
    let scene = Scene::new(1, false);
    let [lower, upper] = [1, 2].map(|id| {
        scene.empty(id);
        Arc::new(Layer::open(&scene.disk, LayerSpec { size: 1500 * REGION_BYTES, ..scene.spec(id) }))
    });
    let mut map = Blocks::ABSENT;
    map.fill(0..1, BlockState::Zero);
    for layer in [&lower, &upper] {
        store(layer, &vec![map.clone(); 1500]);
    }
    let is_left = |region| !lower.load(region, Wait::Allowed).unwrap().blocks.is_absent();
    let (done, freed) = discard_hidden(&lower, &upper, &Stopping(1.into()), &|| Ok(())).unwrap();
    assert_eq!((done, freed), (Done::Stopped, 0));
    assert!(!is_left(0) && is_left(1499));
}
