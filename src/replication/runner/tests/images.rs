//! Images and their versions.

use super::*;

#[tokio::test]
async fn a_whole_repository_is_copied_with_indexes_and_referrers_and_a_second_run_sends_nothing() {
    let world = World::new();
    let (index, signature) = all_images(&world);
    let single = world.artifacts.image("tools/jq", &[b"jq layer"]);
    world.artifacts.tag("tools/jq", "latest", &single);

    let first = run_once(&world, config()).await;

    assert!(is_success(&first), "{first:?}");
    assert_eq!(world.target.digest("app", "1.0"), Some(index));
    assert_eq!(world.target.digest("tools/jq", "latest"), Some(single));
    assert_eq!(world.target.count(&signature), 1);
    assert_eq!((first.success, first.failed, first.total_bytes), (2, 0, Some(first.replicated_bytes)));
    let brought = world.target.state.lock().log.len();

    let second = run_once(&world, config()).await;

    assert!(is_success(&second), "{second:?}");
    let outcomes = world.outcomes(&second.id).await;
    assert_eq!(outcomes, [named("docker://app", "1.0", Unchanged), named("docker://tools/jq", "latest", Unchanged)]);
    assert_eq!((world.target.state.lock().log.len(), second.sent_bytes), (brought, 0));
}

#[tokio::test]
async fn a_signature_that_comes_later_goes_along_with_an_image_that_is_there() {
    let world = World::new();
    let (index, _) = all_images(&world);
    run_once(&world, config()).await;
    let late = world.artifacts.referrer("app", &index, b"a late signature");

    let second = run_once(&world, config()).await;

    assert_eq!(world.outcomes(&second.id).await, [named("docker://app", "1.0", Copied)]);
    assert_eq!((world.target.count(&late), world.target.count(&index)), (1, 1));
}

#[tokio::test]
async fn a_version_gets_the_names_that_the_task_gives_it() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1.1", &digest);
    let mut constraint = package("docker://app", &["1.1"]);
    constraint.target_versions = vec!["1.2".into(), "1.3".into()];

    let run = run_once(&world, with(|config, _| config.package_constraints = vec![constraint])).await;

    assert!(is_success(&run));
    assert_eq!(world.target.digest("app", "1.1"), None);
    assert_eq!(world.target.digest("app", "1.3"), Some(digest));
    assert_eq!(world.results(&run.id).await[0].target_versions, ["1.2", "1.3"]);
}

#[tokio::test]
async fn a_layer_of_two_images_is_sent_once() {
    let world = World::new();
    for image in ["a", "b", "c"] {
        let digest = world.artifacts.image(image, &[b"a shared layer", image.as_bytes()]);
        world.artifacts.tag(image, "1", &digest);
    }
    let shared = world.artifacts.blob(b"a shared layer");

    let run = run_once(&world, config()).await;

    assert!(is_success(&run));
    assert_eq!((world.target.count(&shared), world.target.count(&format!("mount {shared}"))), (1, 2));
    assert_eq!(world.results(&run.id).await.iter().map(|result| result.mounted).sum::<u32>(), 2);
}

#[tokio::test]
async fn what_the_target_has_otherwise_stays_is_replaced_or_fails() {
    use api::ConflictStrategy::{FastFail, Overwrite, Skip};
    for (strategy, outcome, succeeds) in
        [(Skip, SkippedConflict, true), (Overwrite, Copied, true), (FastFail, Failed, false)]
    {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        world.artifacts.tag("app", "1", &digest);
        world.target.put_tag("app", "1", "sha256:other");

        let run = run_once(&world, with(|_, settings| settings.set_conflict_strategy(strategy))).await;

        assert_eq!(world.outcomes(&run.id).await, [named("docker://app", "1", outcome)], "{strategy:?}");
        assert_eq!((is_success(&run), run.conflict), (succeeds, 1), "{strategy:?}");
        assert_eq!(world.target.digest("app", "1") == Some(digest), strategy == Overwrite);
    }
}
