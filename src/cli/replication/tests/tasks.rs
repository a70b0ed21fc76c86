//! Tasks and clusters.

use std::fs;

use serde_json::json;
use steward_proto::replication::v1 as pb;

use super::*;

const PLACE: [&str; 3] = ["create", "p1/images", "mirror"];

async fn created(fake: &Fake, words: &[&str]) -> pb::Config {
    said(fake, &[&PLACE, words].concat()).await;
    fake.asked::<pb::CreateConfigsRequest>().pop().unwrap().configs.remove(0)
}

/// A file with a line in it.
fn file_with(line: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{line}\n")).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[tokio::test]
async fn a_task_is_created_with_all_that_is_said_of_it() {
    let (fake, (_file, password)) = (Fake::with(|_| {}), file_with("geheim"));
    let config = created(
        &fake,
        &[
            "--registry",
            "https://registry.example.org",
            "--username",
            "robot",
            "--target-password-file",
            &password,
            "--package",
            "docker://nginx",
            "--version",
            "1.1",
            "--target-version",
            "1.2",
            "--target-version",
            "1.3",
            "--path",
            "/dir",
            "--rate",
            "10M/s",
            "--conflict",
            "fail",
            "--on-error",
            "fail",
            "--propagate-deletes",
            "--max-deletes",
            "7",
            "--no-referrers",
            "--parallelism",
            "2",
            "--cron",
            "0 3 * * *",
            "--disabled",
        ],
    )
    .await;
    let Some(pb::target::Target::Registry(registry)) = config.target.clone().unwrap().target else { panic!() };
    assert_eq!((registry.username.as_str(), registry.password.as_deref()), ("robot", Some("geheim")));
    assert_eq!(config.package_constraints[0].target_versions, ["1.2", "1.3"]);
    assert_eq!(config.path_constraints[0].path, "/dir");
    assert_eq!((config.replica_type(), config.enabled), (pb::ReplicaType::Scheduled, Some(false)));
    let settings = config.settings.unwrap();
    assert_eq!((settings.rate_limit, settings.max_deletes, settings.parallelism), (10 << 20, 7, 2));
    assert_eq!(settings.conflict_strategy(), pb::ConflictStrategy::FastFail);
    assert_eq!((settings.include_referrers, settings.include_metadata), (Some(false), Some(true)));
    assert_eq!(settings.schedule.unwrap().when, Some(pb::schedule::When::Cron("0 3 * * *".to_owned())));
}

#[tokio::test]
async fn a_task_that_runs_once_has_a_call_of_its_own() {
    let fake = Fake::with(|_| {});
    said(&fake, &[&PLACE[..], &["--registry", "https://r.example.org", "--type", "run-once"]].concat()).await;
    let config = fake.asked::<pb::CreateRunOnceTaskRequest>().remove(0).config.unwrap();
    assert_eq!(config.object_type(), pb::ReplicaObjectType::Repository);
    assert!(
        failure(&fake, &[&PLACE[..], &["--registry", "r", "--type", "run-once", "--cron", "* * * * *"]].concat())
            .await
            .contains("scheduled")
    );
}

#[tokio::test]
async fn a_task_copies_to_another_steward_by_its_name() {
    let cluster = pb::Cluster { id: "63".to_owned(), name: "west".to_owned(), ..pb::Cluster::default() };
    let fake = Fake::with(|state| state.clusters.push(cluster));
    let config = created(&fake, &["--cluster", "west", "--remote", "p9/images"]).await;
    let Some(pb::target::Target::Cluster(cluster)) = config.target.unwrap().target else { panic!() };
    assert_eq!((cluster.cluster_id.as_str(), cluster.remote_project_id.as_str()), ("63", "p9"));
    assert!(said(&fake, &["list"]).await.contains("p1/images/mirror  west:p9/images  real-time  never ran"));
    let error = failure(&fake, &[&PLACE[..], &["--cluster", "east", "--remote", "p9/images"]].concat()).await;
    assert!(error.contains("CLUSTER_NOT_FOUND"), "{error}");
}

#[tokio::test]
async fn a_task_that_was_shown_can_be_created_again() {
    let fake = Fake::with(with_mirror);
    let (_file, task) = file_with(&said(&fake, &["show", "p1/images/mirror", "--json"]).await);
    said(&fake, &["create", "p2/other", "copy", "--from-file", &task]).await;
    let config = fake.asked::<pb::CreateConfigsRequest>().remove(0).configs.remove(0);
    assert_eq!((config.project.as_str(), config.name.as_str()), ("p2", "copy"));
    assert_eq!(config.target, mirror().config.unwrap().target);
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    for words in [
        &[][..],
        &["--registry", "r", "--cluster", "c", "--remote", "p/r"],
        &["--cluster", "c"],
        &["--registry", "r", "--version", "1"],
        &["--registry", "r", "--max-deletes", "5"],
        &["--registry", "r", "--cron", "* * * * *", "--at", "2026-03-01T12:00:00Z"],
        &["--registry", "r", "--password", "geheim"],
        &["--from-file", "f", "--rate", "1M/s"],
        &["--registry", "r", "--parallelism", "17"],
    ] {
        assert!(is_refused(&[&PLACE, words].concat()), "{words:?}");
    }
    assert!(!is_refused(&[&PLACE[..], &["--registry", "r", "--at", "2026-03-01T12:00:00Z"]].concat()));
}

#[tokio::test]
async fn tasks_are_listed_shown_and_deleted() {
    let fake = Fake::with(|state| {
        for _ in 0..3 {
            state.tasks.push(mirror());
        }
    });
    let listed = said(&fake, &["list", "p1/images"]).await;
    let row = "p1/images/mirror  https://registry.example.org  real-time  success  -             -";
    assert_eq!(listed.lines().filter(|line| *line == row).count(), 3, "{listed}");
    assert_eq!(fake.asked::<pb::ListConfigsRequest>()[0].repository, "images");
    let shown = said(&fake, &["show", "p1/images/mirror"]).await;
    for line in [
        "  logs in as     robot, with a password\n",
        "  copies         the whole repository\n",
        "  enabled        yes\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert_eq!(said(&fake, &["delete", "p1/images/mirror"]).await, "p1/images/mirror: deleted\n");
    assert!(failure(&fake, &["delete", "p1/images/none"]).await.contains("TASK_NOT_FOUND"));
}

#[tokio::test]
async fn a_task_is_disabled_and_enabled() {
    let fake = Fake::with(with_mirror);
    assert_eq!(said(&fake, &["disable", "p1/images/mirror"]).await, "p1/images/mirror: disabled\n");
    assert!(said(&fake, &["list"]).await.contains("disabled, success"));
    let enabled = objects_of(&said(&fake, &["enable", "p1/images/mirror", "--json"]).await);
    assert_eq!(enabled[0]["config"]["enabled"], true);
}

#[tokio::test]
async fn clusters_come_and_go() {
    let (fake, (_file, password)) = (Fake::with(|_| {}), file_with("geheim"));
    let words = ["cluster", "add", "west", "http://10.0.0.2:50051", "--username", "robot", "--target-password-file"];
    let added = said(&fake, &[&words[..], &[&password]].concat()).await;
    assert!(added.starts_with("west\n  id             id of west\n") && !added.contains("geheim"), "{added}");
    let spec = fake.asked::<pb::CreateClusterRequest>().remove(0).cluster.unwrap();
    assert_eq!((spec.password.as_deref(), spec.ping), (Some("geheim"), Some(true)));
    let listed = said(&fake, &["cluster", "list"]).await;
    assert!(listed.contains("\nwest  http://10.0.0.2:50051  robot  healthy  -\n"), "{listed}");
    said(&fake, &["cluster", "update", "west", "--url", "http://10.0.0.3:50051", "--no-check"]).await;
    let spec = fake.asked::<pb::UpdateClusterRequest>().remove(0).cluster.unwrap();
    assert_eq!((spec.url.as_str(), spec.username.as_str()), ("http://10.0.0.3:50051", "robot"));
    assert!(said(&fake, &["cluster", "check", "west"]).await.contains("  status         healthy\n"));
    assert_eq!(objects_of(&said(&fake, &["cluster", "show", "west", "--json"]).await)[0]["has_password"], json!(true));
    assert_eq!(said(&fake, &["cluster", "remove", "west"]).await, "west: removed\n");
    assert_eq!(fake.asked::<pb::DeleteClusterRequest>()[0].id, "id of west");
}
