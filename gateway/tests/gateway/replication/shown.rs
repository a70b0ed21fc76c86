//! Standing tasks as they are read.

use steward_proto::replication::v1::schedule::When;
use steward_proto::replication::v1::target::Target;
use steward_proto::replication::v1::*;
use tonic::Code;

use super::{BASE, TIME, texts};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, ok, refused};
use crate::restic::refusal_with;

fn config(target: Target) -> Config {
    Config {
        project: "p".to_owned(),
        repository: "r".to_owned(),
        name: "mirrors".to_owned(),
        target: Some(steward_proto::replication::v1::Target { target: Some(target) }),
        ..Config::default()
    }
}

fn to_registry() -> Target {
    Target::Registry(RegistryTarget {
        registry: "https://host.test/repo".to_owned(),
        username: "u".to_owned(),
        password: Some("never told".to_owned()),
        ..RegistryTarget::default()
    })
}

async fn shown(config: Config) -> String {
    let task = Task { config: Some(config), has_password: true, ..Task::default() };
    let fake = Fake::default().answering(GetConfigResponse { task: Some(task) });
    let answer = ask(&fake.router(), "GET", &format!("{BASE}/info/p/r/mirrors"), "").await;
    let [project, repository, name] = ["p", "r", "mirrors"].map(str::to_owned);
    fake.expect(&[GetConfigRequest { project, repository, name }]);
    answer
}

#[tokio::test]
async fn task_is_told_with_every_null_but_never_its_password() {
    let expected = r#"[ {
    "projectId" : "p",
    "repoName" : "r",
    "name" : "mirrors",
    "registry" : "https://host.test/repo",
    "certificate" : null,
    "username" : "u",
    "password" : null,
    "packageConstraints" : null,
    "pathConstraints" : null,
    "replicaType" : "REAL_TIME",
    "setting" : {
      "rateLimit" : 0,
      "includeMetadata" : true,
      "conflictStrategy" : "SKIP",
      "errorStrategy" : "CONTINUE",
      "executionStrategy" : "IMMEDIATELY",
      "executionPlan" : {
        "executeImmediately" : true,
        "executeTime" : null,
        "cronExpression" : null
      },
      "storageConsistencyCheck" : false,
      "automaticCreateRemoteRepo" : true
    },
    "description" : null,
    "enable" : true,
    "clusterId" : null,
    "remoteProjectId" : null,
    "remoteRepoName" : null
  } ]"#;
    assert_eq!(shown(config(to_registry())).await, ok(expected));
}

#[tokio::test]
async fn cluster_constraints_and_plan_are_told() {
    let [cluster_id, remote_project_id, remote_repo_name] = ["c1", "rp", "rr"].map(str::to_owned);
    let target = Target::Cluster(ClusterTarget { cluster_id, remote_project_id, remote_repo_name });
    let packages = PackageConstraint {
        package_key: "docker://nginx".to_owned(),
        versions: texts(&["1.1"]),
        target_versions: texts(&["1.2"]),
        ..PackageConstraint::default()
    };
    let settings = Settings {
        include_referrers: Some(false),
        max_deletes: 3,
        schedule: Some(Schedule { when: Some(When::At(TIME)), time_zone: String::new() }),
        ..Settings::default()
    };
    let config = Config {
        package_constraints: vec![packages],
        path_constraints: vec![PathConstraint { path: "/a.txt".to_owned(), path_regex: Vec::new() }],
        replica_type: ReplicaType::Scheduled.into(),
        settings: Some(settings),
        enabled: Some(false),
        ..config(target)
    };
    let answer = shown(config).await;
    for part in [
        r#""registry" : null"#,
        r#""packageConstraints" : [ {
      "packageKey" : "docker://nginx",
      "versions" : [ "1.1" ],
      "targetVersions" : [ "1.2" ],
      "packageRegex" : null,
      "versionRegex" : null,
      "deletedDate" : null
    } ],
    "pathConstraints" : [ {
      "path" : "/a.txt",
      "pathRegex" : null,
      "deletedDate" : null
    } ],
    "replicaType" : "SCHEDULED""#,
        r#""executionStrategy" : "SPECIFIED_TIME",
      "executionPlan" : {
        "executeImmediately" : false,
        "executeTime" : "2022-08-23T10:45:19.79",
        "cronExpression" : null
      },
      "storageConsistencyCheck" : false,
      "automaticCreateRemoteRepo" : true,
      "includeReferrers" : false,
      "maxDeletes" : 3
    },
    "description" : null,
    "enable" : false,
    "clusterId" : "c1",
    "remoteProjectId" : "rp",
    "remoteRepoName" : "rr""#,
    ] {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
}

#[tokio::test]
async fn tasks_of_a_repository_are_a_list() {
    let path = format!("{BASE}/info/p/r");
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "GET", &path, "").await, ok("[ ]"));
    let [project, repository] = ["p", "r"].map(str::to_owned);
    fake.expect(&[ListConfigsRequest { project, repository, page_size: 500, page_token: String::new() }]);

    let task = || Task { config: Some(config(to_registry())), ..Task::default() };
    let fake = Fake::default().answering(ListConfigsResponse { tasks: vec![task(), task()], ..Default::default() });
    let answer = ask(&fake.router(), "GET", &path, "").await;
    assert_eq!(answer.matches(r#""name" : "mirrors""#).count(), 2);
}

#[tokio::test]
async fn task_that_is_not_there_is_an_empty_list_but_its_repository_has_to_be() {
    let path = format!("{BASE}/info/p/r/t");
    let gone = || refusal_with(Code::NotFound, "TASK_NOT_FOUND", "", &[("arg", "t")]);
    let fake = Fake::default().refusing("get_config", gone());
    assert_eq!(ask(&fake.router(), "GET", &path, "").await, ok("[ ]"));
    let none = refusal_with(Code::NotFound, "REPOSITORY_NOT_FOUND", "", &[("arg", "r")]);
    let fake = fake.refusing("list_configs", none);
    let expected = refused(404, 251_006, "Repository [r] not found");
    assert_eq!(ask(&fake.router(), "GET", &path, "").await, expected);
}
