//! Standing tasks as they are created, changed, switched and deleted.

use prost_types::Timestamp;
use steward_proto::replication::v1::schedule::When;
use steward_proto::replication::v1::target::Target;
use steward_proto::replication::v1::*;

use super::{BASE, texts};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, in_shanghai, invalid, missing, refused, unreadable};

fn path(what: &str) -> String {
    format!("{BASE}/{what}")
}

/// The settings of a task that says nothing of them.
fn settings() -> Settings {
    Settings {
        include_metadata: Some(true),
        conflict_strategy: ConflictStrategy::Skip.into(),
        error_strategy: ErrorStrategy::Continue.into(),
        schedule: Some(Schedule { when: Some(When::Immediately(Immediately {})), time_zone: String::new() }),
        ..Settings::default()
    }
}

fn to(target: Target) -> steward_proto::replication::v1::Target {
    steward_proto::replication::v1::Target { target: Some(target) }
}

fn registry() -> RegistryTarget {
    RegistryTarget { registry: "http://host.test".to_owned(), ..RegistryTarget::default() }
}

/// A task `t` of `p/r` that says nothing more than its target.
fn plain_config() -> Config {
    Config {
        project: "p".to_owned(),
        repository: "r".to_owned(),
        name: "t".to_owned(),
        target: Some(to(Target::Registry(registry()))),
        replica_type: ReplicaType::RealTime.into(),
        settings: Some(settings()),
        enabled: Some(true),
        ..Config::default()
    }
}

async fn created(config: &str) -> Config {
    let fake = Fake::default();
    let body = format!(r#"{{"configs":[{config}]}}"#);
    assert_eq!(ask(&fake.router(), "POST", &path("create/p/r"), &body).await, done(), "{body}");
    let request = fake.asked::<CreateConfigsRequest>().pop().unwrap();
    assert_eq!((request.project.as_str(), request.repository.as_str()), ("p", "r"));
    request.configs.into_iter().next().unwrap()
}

#[tokio::test]
async fn what_a_task_says_nothing_of_has_its_default() {
    assert_eq!(created(r#"{"name":"t","registry":"http://host.test"}"#).await, plain_config());
    let nulls = r#"{"name":"t","registry":"http://host.test","clusterId":null,"username":null,"password":null,
        "certificate":null,"packageConstraints":null,"pathConstraints":null,"replicaObjectType":null,
        "description":null,"unknown":{"a":1}}"#;
    assert_eq!(created(nulls).await, plain_config());
    // Quirk: the whole repository.
    let empty = r#"{"name":"t","registry":"http://host.test","packageConstraints":[],"pathConstraints":[]}"#;
    assert_eq!(created(empty).await, plain_config());
}

#[tokio::test]
async fn whole_task_arrives() {
    let config = created(
        r#"{"name":"t","registry":"https://host.test/mirror","username":"u","password":"pw","certificate":"PEM",
        "packageConstraints":[{"packageKey":"docker://nginx","versions":["1.1"],"targetVersions":["1.2"],
            "packageRegex":["a"],"versionRegex":["b"],"semverRange":">=1","newest":3,"deletedDate":null}],
        "pathConstraints":[{"path":"/a.txt","pathRegex":["c"],"deletedDate":null}],
        "replicaType":"SCHEDULED","replicaObjectType":"PACKAGE","description":"d","enable":false,
        "setting":{"rateLimit":1024,"includeMetadata":false,"conflictStrategy":"FAST_FAIL","errorStrategy":"FAST_FAIL",
            "executionStrategy":"CRON_EXPRESSION","executionPlan":{"executeImmediately":false,"executeTime":null,
            "cronExpression":" 0 0 2 * * ? "},"storageConsistencyCheck":true,"automaticCreateRemoteRepo":false,
            "includeReferrers":false,"propagateDeletes":true,"maxDeletes":5,"parallelism":2}}"#,
    )
    .await;
    let target = RegistryTarget {
        registry: "https://host.test/mirror".to_owned(),
        username: "u".to_owned(),
        password: Some("pw".to_owned()),
        certificate: "PEM".to_owned(),
    };
    let packages = PackageConstraint {
        package_key: "docker://nginx".to_owned(),
        versions: texts(&["1.1"]),
        target_versions: texts(&["1.2"]),
        package_regex: texts(&["a"]),
        version_regex: texts(&["b"]),
        semver_range: ">=1".to_owned(),
        newest: 3,
    };
    let settings = Settings {
        rate_limit: 1024,
        include_metadata: Some(false),
        conflict_strategy: ConflictStrategy::FastFail.into(),
        error_strategy: ErrorStrategy::FastFail.into(),
        schedule: Some(Schedule { when: Some(When::Cron("0 0 2 * * ?".to_owned())), time_zone: String::new() }),
        include_referrers: Some(false),
        propagate_deletes: true,
        max_deletes: 5,
        parallelism: 2,
        automatic_create_remote_repo: Some(false),
        storage_consistency_check: true,
    };
    let expected = Config {
        target: Some(to(Target::Registry(target))),
        package_constraints: vec![packages],
        path_constraints: vec![PathConstraint { path: "/a.txt".to_owned(), path_regex: texts(&["c"]) }],
        object_type: ReplicaObjectType::Package.into(),
        replica_type: ReplicaType::Scheduled.into(),
        settings: Some(settings),
        enabled: Some(false),
        description: "d".to_owned(),
        ..plain_config()
    };
    assert_eq!(config, expected);
}

#[tokio::test]
async fn target_may_be_a_cluster() {
    let config = created(r#"{"name":"t","clusterId":"c1","remoteProjectId":"rp","remoteRepoName":"rr"}"#).await;
    let [cluster_id, remote_project_id, remote_repo_name] = ["c1", "rp", "rr"].map(str::to_owned);
    let target = Target::Cluster(ClusterTarget { cluster_id, remote_project_id, remote_repo_name });
    assert_eq!(config.target.unwrap().target, Some(target));
}

#[tokio::test]
async fn null_is_false_or_zero_for_a_primitive() {
    let setting =
        r#"{"rateLimit":null,"includeMetadata":null,"storageConsistencyCheck":null,"automaticCreateRemoteRepo":null}"#;
    let config =
        created(&format!(r#"{{"name":"t","registry":"http://host.test","enable":null,"setting":{setting}}}"#)).await;
    let settings = Settings { include_metadata: Some(false), automatic_create_remote_repo: Some(false), ..settings() };
    assert_eq!(config, Config { enabled: Some(false), settings: Some(settings), ..plain_config() });
}

#[tokio::test]
async fn limits_below_zero_are_none() {
    let config = created(r#"{"name":"t","registry":"http://host.test","setting":{"rateLimit":-1}}"#).await;
    assert_eq!(config, plain_config());
}

#[tokio::test]
async fn times_are_those_of_the_servers_zone_whatever_zone_they_name() {
    for time in ["2026-01-02T10:00:00", "2026-01-02T10:00:00Z", "2026-01-02T10:00:00-05:00"] {
        let fake = Fake::default();
        let plan = format!(r#"{{"executeTime":"{time}"}}"#);
        let setting = format!(r#"{{"executionStrategy":"SPECIFIED_TIME","executionPlan":{plan}}}"#);
        let body = format!(r#"{{"configs":[{{"name":"t","registry":"h.test","setting":{setting}}}]}}"#);
        ask_in_shanghai(&fake, &body).await;
        let config = fake.asked::<CreateConfigsRequest>().pop().unwrap().configs.pop().unwrap();
        let when = config.settings.unwrap().schedule.unwrap().when;
        // 02:00 in UTC.
        assert_eq!(when, Some(When::At(Timestamp { seconds: 1_767_319_200, nanos: 0 })), "{time}");
    }
}

async fn ask_in_shanghai(fake: &Fake, body: &str) {
    let response = crate::restic::send(&in_shanghai(fake), "POST", &path("create/p/r"), &[], body.to_owned()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-bkrepo-time-zone"], "+08:00");
}

#[tokio::test]
async fn bodies_that_are_none_are_refused_before_anything_is_asked() {
    let with = |field: &str| format!(r#"{{"configs":[{{"registry":"http://host.test",{field}}}]}}"#);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"configs":null}"#,
        r#"{"configs":[null]}"#,
        r#"{"configs":[{"registry":"http://host.test"}]}"#,
        &with(r#""name":null"#),
        &with(r#""name":"t","setting":null"#),
        &with(r#""name":"t","replicaType":null"#),
        &with(r#""name":"t","replicaType":"NEVER""#),
        &with(r#""name":"t","replicaObjectType":"THING""#),
        &with(r#""name":"t","enable":"often""#),
        &with(r#""name":"t","packageConstraints":{}"#),
        &with(r#""name":"t","pathConstraints":["/a"]"#),
        &with(r#""name":"t","setting":{"conflictStrategy":"ASK"}"#),
        &with(r#""name":"t","setting":{"conflictStrategy":null}"#),
        &with(r#""name":"t","setting":{"executionPlan":null}"#),
        &with(r#""name":"t","setting":{"executionPlan":{"executeTime":"tomorrow"}}"#),
        &with(r#""name":"t","setting":{"rateLimit":"fast"}"#),
    ] {
        expect_without_call("POST", &path("create/p/r"), body, &unreadable()).await;
    }
    expect_without_call("POST", &path("update/p/r/t"), "{", &unreadable()).await;
}

#[tokio::test]
async fn tasks_that_make_no_sense_are_refused_before_anything_is_asked() {
    let with = |field: &str| format!(r#"{{"name":"t","registry":"http://host.test",{field}}}"#);
    let with_setting = |setting: &str| with(&format!(r#""setting":{{{setting}}}"#));
    for (config, expected) in [
        (r#"{"name":"t"}"#.to_owned(), invalid("registry")),
        (r#"{"name":"t","registry":"","clusterId":""}"#.to_owned(), invalid("registry")),
        (with(r#""clusterId":"c1""#), invalid("registry")),
        (with(r#""replicaType":"RUN_ONCE""#), invalid("replicaType")),
        (with(r#""replicaType":"EDGE_PULL""#), invalid("replicaType")),
        (with(r#""replicaType":"FEDERATION""#), invalid("replicaType")),
        (with_setting(r#""executionPlan":{"executeImmediately":false}"#), invalid("executeImmediately")),
        (with_setting(r#""executionStrategy":"SPECIFIED_TIME""#), missing("executeTime")),
        (with_setting(r#""executionStrategy":"CRON_EXPRESSION""#), missing("cronExpression")),
        (
            with_setting(r#""executionStrategy":"CRON_EXPRESSION","executionPlan":{"cronExpression":" "}"#),
            refused(400, 250_104, "Parameter [cronExpression] should not be empty"),
        ),
    ] {
        let body = format!(r#"{{"configs":[{config}]}}"#);
        expect_without_call("POST", &path("create/p/r"), &body, &expected).await;
        expect_without_call("POST", &path("update/p/r/t"), &config, &expected).await;
    }
}

#[tokio::test]
async fn several_tasks_are_one_request() {
    let fake = Fake::default();
    let body = r#"{"configs":[{"name":"t","registry":"http://host.test"},{"name":"t2","clusterId":"c"}]}"#;
    assert_eq!(ask(&fake.router(), "POST", &path("create/p/r"), body).await, done());
    let names: Vec<_> = fake.asked::<CreateConfigsRequest>().pop().unwrap().configs;
    assert_eq!(names.iter().map(|config| config.name.as_str()).collect::<Vec<_>>(), ["t", "t2"]);

    assert_eq!(ask(&fake.router(), "POST", &path("create/p/r"), r#"{"configs":[]}"#).await, done());
    assert!(fake.asked::<CreateConfigsRequest>().pop().unwrap().configs.is_empty());
}

#[tokio::test]
async fn password_that_is_not_said_is_told_from_an_empty_one() {
    for (field, expected) in [
        ("", None),
        (r#","password":null"#, None),
        (r#","password":"""#, Some("")),
        (r#","password":"pw""#, Some("pw")),
    ] {
        let fake = Fake::default();
        let body = format!(r#"{{"name":"ignored","registry":"http://host.test"{field}}}"#);
        assert_eq!(ask(&fake.router(), "POST", &path("update/p/r/t"), &body).await, done());
        let config = fake.asked::<UpdateConfigRequest>().pop().unwrap().config.unwrap();
        let target = RegistryTarget { password: expected.map(str::to_owned), ..registry() };
        let target = to(Target::Registry(target));
        assert_eq!(config, Config { target: Some(target), ..plain_config() }, "{field}");
    }
}

#[tokio::test]
async fn task_is_deleted_and_switched_by_its_name() {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "DELETE", &path("delete/p/r/t%2B1"), "").await, done());
    assert_eq!(ask(&fake.router(), "POST", &path("toggle/status/p/r/t"), "").await, done());
    let [project, repository] = ["p", "r"].map(str::to_owned);
    let name = "t+1".to_owned();
    fake.expect(&[DeleteConfigRequest { project: project.clone(), repository: repository.clone(), name }]);
    fake.expect(&[ToggleConfigRequest { project, repository, name: "t".to_owned(), enabled: None }]);
}
