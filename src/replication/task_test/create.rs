//! Creating and changing tasks.

use steward_proto::replication::v1::{self as api, Config, ReplicaType};

use super::super::access::Maker;
use super::world::{World, cluster, config, id, package, path, refusal, registry, scheduled};
use crate::replication::error::Error;
use crate::replication::queue::Cause;
use crate::replication::target::TargetError;
use crate::store::Table;

fn run_once(name: &str) -> Config {
    Config {
        replica_type: ReplicaType::RunOnce.into(),
        package_constraints: vec![package("docker://nginx", &["1.1"], &[])],
        ..config(name)
    }
}

#[tokio::test]
async fn all_tasks_of_a_request_are_created_or_none() {
    let world = World::new();
    let many: Vec<_> = (0..31).map(|number| config(&format!("task{number}"))).collect();
    let with_bad = [many.clone(), vec![config("9bad")]].concat();
    let refused = world.create(with_bad).await.unwrap_err();
    assert!(matches!(&refused, Error::InConfig { index: 31, name, .. } if name == "9bad"), "{refused}");
    assert_eq!(refusal::<()>(Err(refused)), ("PARAMETER_INVALID".into(), "9bad".into()));
    assert!(world.rows(Table::ReplicaTask).await.is_empty());
    assert!(world.rows(Table::ReplicaConfig).await.is_empty());

    let all = [many, vec![config("last")]].concat();
    let created = world.create(all.clone()).await.expect("all of them");
    assert_eq!(created.len(), 32);
    assert_eq!(world.rows(Table::ReplicaTask).await.len(), 32);
    assert_eq!(world.rows(Table::ReplicaTaskKey).await.len(), 32);
    assert_eq!(world.reach.asked.lock().len(), 2, "the one target of a request is asked once");
    let too_many = [all, vec![config("one_more")]].concat();
    assert_eq!(refusal(world.create(too_many).await), ("PARAMETER_INVALID".into(), "configs".into()));
}

#[tokio::test]
async fn there_are_no_more_tasks_than_may_be_and_then_none_of_a_request() {
    let world = World::new();
    let some = |prefix: &str, count| (0..count).map(|number| config(&format!("{prefix}{number}"))).collect::<Vec<_>>();
    world.create(some("a", 30)).await.expect("room");
    assert_eq!(refusal(world.create(some("b", 21)).await).0, "TOO_MANY_TASKS");
    assert_eq!(world.rows(Table::ReplicaTask).await.len(), 30);
    assert_eq!(world.rows(Table::ReplicaConfig).await.len(), 30, "what was written for them is gone");
    world.create([some("a", 5), some("b", 20)].concat()).await.expect("those that are there take no room");
}

#[tokio::test]
async fn a_task_that_is_created_again_keeps_its_key_its_type_and_whether_it_is_enabled() {
    let world = World::new();
    let first = world.create_one(Config { enabled: Some(false), ..config("mirror") }).await.unwrap();
    world.pass(60);
    let again = Config {
        replica_type: ReplicaType::Scheduled.into(),
        enabled: Some(true),
        description: "changed".to_owned(),
        ..config("mirror")
    };
    let second = world.create_one(again).await.unwrap();
    let (before, after) = (first.config.unwrap(), second.config.unwrap());
    assert_eq!((&second.key, after.replica_type, after.enabled), (&first.key, before.replica_type, before.enabled));
    assert_eq!(after.description, "changed");
    assert_eq!((second.create_time, second.created_by.as_str()), (first.create_time, "ann"));
    assert_ne!(second.modify_time, first.modify_time);
    assert_eq!(world.rows(Table::ReplicaConfig).await.len(), 1, "what it was to do before is gone");
}

#[tokio::test]
async fn a_task_with_many_constraints_reads_back_as_it_was_written() {
    let world = World::new();
    let constraints: Vec<_> = (0..256).map(|number| package(&format!("docker://{number:0>300}"), &[], &[])).collect();
    let wanted = Config { package_constraints: constraints.clone(), ..config("mirror") };
    let task = world.create_one(wanted).await.unwrap();
    assert_eq!(task.config.unwrap().package_constraints, constraints);
    assert!(world.rows(Table::ReplicaConfig).await.len() > 20);
    let paths: Vec<_> = (0..256).map(|number| path(&format!("/{number:0>390}"))).collect();
    let bigger = Config { package_constraints: constraints, path_constraints: paths, ..config("mirror") };
    world.create_one(bigger.clone()).await.expect("it fits");
    let regexes = vec!["x".repeat(500); 256];
    let mut huge = bigger;
    huge.package_constraints[0].version_regex = regexes;
    assert_eq!(refusal(world.create(vec![huge]).await), ("PARAMETER_INVALID".into(), "configs".into()));
}

#[tokio::test]
async fn an_update_applies_everything_and_the_rest_stays() {
    let world = World::new();
    let first = world.create_one(config("mirror")).await.unwrap();
    let every_hour = scheduled("mirror", api::schedule::When::Cron("0 0 * * * ?".to_owned()));
    let update = Config { enabled: Some(false), ..every_hour };
    let second = world.replication.update_task(update, &Maker::named("eve")).await.expect("changed");
    let after = second.config.unwrap();
    assert_eq!((second.key, after.replica_type(), after.enabled), (first.key, ReplicaType::Scheduled, Some(false)));
    assert_eq!(second.created_by, "ann");
    let unsaid = Config { replica_type: 0, enabled: None, ..config("mirror") };
    let third = world.replication.update_task(unsaid, &Maker::named("eve")).await.expect("changed").config.unwrap();
    assert_eq!((third.replica_type(), third.enabled), (ReplicaType::Scheduled, Some(false)));

    let missing = world.replication.update_task(config("nothing"), &Maker::default()).await;
    assert_eq!(refusal(missing), ("TASK_NOT_FOUND".into(), "nothing".into()));
    let once = Config { replica_type: ReplicaType::RunOnce.into(), ..config("mirror") };
    assert_eq!(
        refusal(world.replication.update_task(once, &Maker::default()).await),
        ("PARAMETER_INVALID".into(), "replicaType".into())
    );
}

#[tokio::test]
async fn a_password_is_kept_for_its_place_and_never_told() {
    let world = World::new();
    let with = |url: &str, password| Config { target: registry(url, password), ..config("mirror") };
    let nobody = Maker::default();
    let update = |config| world.replication.update_task(config, &nobody);
    let password = async || {
        let (record, config) = world.replication.task_and_config(&id("mirror")).await.unwrap().unwrap();
        world.replication.task_password(&record, &config).unwrap()
    };
    let task = world.create_one(with("http://127.0.0.1:5055/mirror", Some("hunter2"))).await.unwrap();
    assert!(task.has_password && !format!("{task:?}").contains("hunter2"));
    for table in [Table::ReplicaTask, Table::ReplicaConfig] {
        for (_, value) in world.rows(table).await {
            assert!(!value.windows(7).any(|part| part == b"hunter2"));
        }
    }
    assert!(update(with("http://127.0.0.1:5055/other", None)).await.unwrap().has_password);
    assert_eq!(password().await.as_deref(), Some("hunter2"));
    // Another place gets the password only from who knows it.
    for url in ["http://127.0.0.2:5055/mirror", "http://127.0.0.1:5056/mirror", "https://127.0.0.1:5055/mirror"] {
        assert_eq!(refusal(update(with(url, None)).await), ("PARAMETER_MISSING".into(), "password".into()));
    }
    update(with("http://127.0.0.2:5055/", Some("secret"))).await.expect("changed");
    assert_eq!(password().await.as_deref(), Some("secret"));
    assert!(!update(with("http://127.0.0.2:5055/", Some(""))).await.unwrap().has_password);
    assert_eq!(password().await, None);
}

#[tokio::test]
async fn a_task_that_runs_once_is_created_with_what_is_there() {
    let world = World::new();
    let ann = Maker::named("ann");
    let create = |config| world.replication.create_run_once(config, &ann);
    let task = create(run_once("once")).await.expect("a task");
    let settings = task.config.clone().unwrap().settings.unwrap();
    assert_eq!(settings.conflict_strategy(), api::ConflictStrategy::Overwrite);
    assert_eq!(settings.error_strategy(), api::ErrorStrategy::FastFail);
    assert!(task.next_time.is_none() && task.last_execution_id.is_empty(), "nothing is queued");

    let none = Config { package_constraints: Vec::new(), ..run_once("once") };
    assert_eq!(refusal(create(none.clone()).await), ("PARAMETER_INVALID".into(), "Package or path".into()));
    let all = Config { object_type: api::ReplicaObjectType::Repository.into(), ..none };
    create(all).await.expect("all of it");
    let unknown =
        Config { package_constraints: vec![package("docker://nginx", &["1.1", "9"], &[])], ..run_once("once") };
    assert_eq!(refusal(create(unknown).await), ("VERSION_NOT_FOUND".into(), "docker://nginx".into()));
    let wrong = Config { replica_type: ReplicaType::RealTime.into(), ..run_once("once") };
    assert_eq!(refusal(create(wrong).await), ("PARAMETER_INVALID".into(), "replicaType".into()));
    let paths =
        Config { package_constraints: Vec::new(), path_constraints: vec![path("/not/there")], ..run_once("once") };
    let again = create(paths).await.expect("paths need not be there");
    assert_eq!(again.key, task.key);

    world.replication.queue_execution(&id("once"), Cause::Manual).await.expect("queued");
    assert_eq!(refusal(create(run_once("once")).await), ("TASK_RUNNING".into(), "once".into()));
    world.create_one(config("standing")).await.unwrap();
    assert_eq!(refusal(create(run_once("standing")).await), ("NOT_RUN_ONCE".into(), "standing".into()));
}

#[tokio::test]
async fn a_cluster_is_a_target_with_a_project_and_a_repository() {
    let world = World::new();
    let cluster_of = |name: &str, kind: api::ClusterType| api::ClusterSpec {
        name: name.to_owned(),
        url: "http://127.0.0.1:8081/replication".to_owned(),
        r#type: kind.into(),
        ..api::ClusterSpec::default()
    };
    let west = world.replication.create_cluster(cluster_of("west", api::ClusterType::Standalone), "").await.unwrap();
    let edge = world.replication.create_cluster(cluster_of("edge", api::ClusterType::Edge), "").await.unwrap();
    let with = |id: &str, project, repository| Config { target: cluster(id, project, repository), ..config("mirror") };
    for (config, reason, arg) in [
        (with(&west.id, "", "gen9"), "PARAMETER_MISSING", "remoteProjectId"),
        (with(&west.id, "p9", " "), "PARAMETER_MISSING", "remoteRepoName"),
        (with(&edge.id, "p9", "gen9"), "PARAMETER_INVALID", "clusterId"),
        (
            Config {
                package_constraints: vec![package("docker://nginx", &["1.1"], &["2"])],
                ..with(&west.id, "p9", "gen9")
            },
            "PARAMETER_INVALID",
            "targetVersions",
        ),
    ] {
        assert_eq!(refusal(world.create(vec![config]).await), (reason.into(), arg.into()));
    }
    world.reach.down.lock().insert("http://127.0.0.1:8081", TargetError::Unreachable("refused".into()));
    let refused = refusal(world.create(vec![with(&west.id, "p9", "gen9")]).await);
    assert_eq!(refused, ("CLUSTER_UNREACHABLE".into(), "west".into()));
    world.reach.down.lock().clear();
    let task = world.create_one(with(&west.id, "p9", "gen9")).await.expect("a task");
    assert_eq!(task.config.unwrap().target, cluster(&west.id, "p9", "gen9"));
    assert!(!task.has_password);
}
