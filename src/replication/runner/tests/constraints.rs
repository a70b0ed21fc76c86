//! What a task is for, and what of that is not there.

use super::*;

#[tokio::test]
async fn constraints_let_through_what_they_name() {
    let newest = || api::PackageConstraint { newest: 2, ..package("docker://app", &[]) };
    let range = || api::PackageConstraint { semver_range: ">=1.1, <3".into(), ..package("docker://app", &[]) };
    let regex = || api::PackageConstraint { version_regex: vec!["v?2.*".into()], ..package("docker://app", &[]) };
    for (constraint, expected) in [
        (newest(), &["app 1.0.0", "app edge"][..]),
        (range(), &["app 1.1.0", "app 2.0.0"]),
        (regex(), &["app 2.0.0"]),
        (api::PackageConstraint { newest: 1, ..range() }, &["app 1.1.0"]),
        (package("docker://app", &["2.0.0"]), &["app 2.0.0"]),
        (package("docker://team/*", &[]), &["team/a 1", "team/b 1"]),
        (api::PackageConstraint { package_regex: vec![".*/b".into()], ..package("", &[]) }, &["team/b 1"]),
    ] {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        for tag in ["2.0.0", "1.1.0", "1.0.0", "edge"] {
            world.artifacts.tag("app", tag, &digest);
        }
        for image in ["team/a", "team/b"] {
            let digest = world.artifacts.image(image, &[b"layer"]);
            world.artifacts.tag(image, "1", &digest);
        }

        let run = run_once(&world, with(|config, _| config.package_constraints = vec![constraint.clone()])).await;

        assert!(is_success(&run), "{constraint:?}: {run:?}");
        let there: Vec<String> =
            world.target.state.lock().tags.keys().map(|(image, tag)| format!("{image} {tag}")).collect();
        assert_eq!(there, expected, "{constraint:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_and_not_there_fails_by_name_and_the_rest_is_copied() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1", &digest);
    let constraints =
        vec![package("docker://app", &["1", "2"]), package("docker://none", &["1"]), package("docker://no/*", &[])];

    let run = run_once(&world, with(|config, _| config.package_constraints = constraints)).await;

    let mut expected = [
        ("docker://app", "1", Copied),
        ("docker://app", "2", Failed),
        ("docker://no/*", "", Failed),
        ("docker://none", "1", Failed),
    ]
    .map(|(artifact, version, outcome)| named(artifact, version, outcome));
    expected.sort();
    assert_eq!(world.outcomes(&run.id).await, expected);
    assert_eq!(run.status, i32::from(ExecutionStatus::Failed));
    assert!(run.error_reason.starts_with("3 of 4 artifacts failed"), "{}", run.error_reason);
    let errors: Vec<String> = world.results(&run.id).await.into_iter().map(|result| result.error).collect();
    assert!(
        errors.iter().any(|error| error.contains(r#"version "2" of package "docker://app" not found"#)),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_repository_without_anything_is_a_failure_and_no_success() {
    let world = World::new();
    let run = run_once(&world, config()).await;
    assert_eq!((run.status, &*run.error_reason), (ExecutionStatus::Failed.into(), "there is nothing to copy"));
}
