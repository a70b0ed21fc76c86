//! A clone gets what it reads from its parent.

use proptest::prelude::*;

use super::*;
use crate::volume::layers::flatten::flatten;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_flat_clone_shows_what_it_showed_whenever_the_power_goes(seed: u64, checksums: bool) {
        let mut scene = Scene::new(seed, checksums);
        let source = [1, 2, 3].map(|id| scene.layer(id));
        let above = scene.layer(4);
        scene.empty(5);
        let before = show(&[&source[0], &source[1], &source[2], &above]);
        scene.persist(|scene, control| {
            let source = [1, 2, 3].map(|id| scene.open(id));
            flatten(&source, &scene.open(4), &scene.open(5), control)
        });
        prop_assert_eq!(&show(&[&scene.open(5), &scene.open(4)]), &before);
    }
}

#[test]
fn blocks_that_are_there_already_or_that_the_clone_has_are_not_brought() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, false);
        let source = [scene.layer(1), scene.layer(2)];
        let (above, into) = (scene.layer(3), scene.empty(4));
        let control = Watching::new(&|| ());
        assert_eq!(flatten(&source, &above, &into, &control).unwrap(), Done::All);
        assert!(control.is_complete());
        for (region, block) in places() {
            let state = |layer: &TestLayer| layer.load(region, Wait::Allowed).unwrap().blocks.get(block);
            let shown = if state(&source[1]) == BlockState::Absent { state(&source[0]) } else { state(&source[1]) };
            let expected = if state(&above) == BlockState::Absent { shown } else { BlockState::Absent };
            assert_eq!(state(&into), expected);
        }
        let again = Watching::new(&|| ());
        assert_eq!(flatten(&source, &above, &into, &again).unwrap(), Done::All);
        assert_eq!(again.total.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn layers_with_and_without_checksums_go_together() {
    for (of_source, of_target) in [(true, false), (false, true)] {
        let mut scene = Scene::new(5, of_source);
        let source = [scene.layer(1), scene.layer(2)];
        let above = scene.empty(3);
        scene.checksums = of_target;
        let into = scene.empty(4);
        flatten(&source, &above, &into, &Watching::new(&|| ())).unwrap();
        assert_eq!(show(&[&scene.open(4)]), show(&[&source[0], &source[1]]));
    }
}
