//! Tasks that run once.

use steward_proto::artifact::v1::{GetRepositoryRequest, GetRepositoryResponse, Repository, RepositoryType};
use steward_proto::replication::v1::schedule::When;
use steward_proto::replication::v1::target::Target;
use steward_proto::replication::v1::*;
use tonic::Code;

use super::{BASE, TIME, texts};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, invalid, missing, ok, refused, refusing, unreadable};
use crate::restic::refusal;

fn path(what: &str) -> String {
    format!("{BASE}/{what}/p/r")
}

fn holding(kind: RepositoryType) -> Fake {
    let repository = Repository { r#type: kind.into(), ..Repository::default() };
    Fake::default().answering(GetRepositoryResponse { repository: Some(repository) })
}

async fn created(fake: &Fake, fields: &str) -> Config {
    let body = format!(r#"{{"name":"once","registry":"http://host.test",{fields}}}"#);
    assert_eq!(ask(&fake.router(), "POST", &path("create/runOnceTask"), &body).await, done(), "{body}");
    fake.asked::<CreateRunOnceTaskRequest>().pop().unwrap().config.unwrap()
}

#[tokio::test]
async fn task_for_paths_arrives_with_the_defaults_of_one_that_runs_once() {
    let fake = Fake::default();
    let config = created(&fake, r#""pathConstraints":["/a.txt","/d"],"replicaType":"RUN_ONCE""#).await;
    assert_eq!(fake.calls(), ["create_run_once_task"]);
    let path = |path: &str| PathConstraint { path: path.to_owned(), path_regex: Vec::new() };
    let target = RegistryTarget { registry: "http://host.test".to_owned(), ..RegistryTarget::default() };
    let settings = Settings {
        include_metadata: Some(true),
        conflict_strategy: ConflictStrategy::Overwrite.into(),
        error_strategy: ErrorStrategy::FastFail.into(),
        schedule: Some(Schedule { when: Some(When::Immediately(Immediately {})), time_zone: String::new() }),
        ..Settings::default()
    };
    let expected = Config {
        project: "p".to_owned(),
        repository: "r".to_owned(),
        name: "once".to_owned(),
        target: Some(steward_proto::replication::v1::Target { target: Some(Target::Registry(target)) }),
        path_constraints: vec![path("/a.txt"), path("/d")],
        replica_type: ReplicaType::RunOnce.into(),
        settings: Some(settings),
        enabled: Some(true),
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[tokio::test]
async fn package_has_the_key_of_what_the_repository_holds() {
    for (kind, key) in [
        (RepositoryType::Docker, "docker://nginx"),
        (RepositoryType::Oci, "oci://nginx"),
        (RepositoryType::Helm, "helm://nginx"),
        (RepositoryType::Maven, "gav://nginx"),
        (RepositoryType::Generic, "generic://nginx"),
        (RepositoryType::Npm, "npm://nginx"),
    ] {
        let fake = holding(kind);
        let fields = r#""packageName":"nginx","versions":["1","2"],"targetVersions":["x"],
            "setting":{"conflictStrategy":"SKIP","errorStrategy":"CONTINUE"}"#;
        let config = created(&fake, fields).await;
        let [project, repository] = ["p", "r"].map(str::to_owned);
        fake.expect(&[GetRepositoryRequest { project, repository }]);
        let packages = PackageConstraint {
            package_key: key.to_owned(),
            versions: texts(&["1", "2"]),
            target_versions: texts(&["x"]),
            ..PackageConstraint::default()
        };
        assert_eq!(config.package_constraints, [packages]);
        // Quirk: it replaces what is there, whatever it says.
        let settings = config.settings.unwrap();
        assert_eq!(settings.conflict_strategy(), ConflictStrategy::Overwrite);
        assert_eq!(settings.error_strategy(), ErrorStrategy::Continue);
    }
}

#[tokio::test]
async fn whole_repository_is_said_in_a_word() {
    let config = created(&Fake::default(), r#""replicaObjectType":"REPOSITORY""#).await;
    assert_eq!(config.object_type(), ReplicaObjectType::Repository);
    assert!(config.package_constraints.is_empty() && config.path_constraints.is_empty());
}

#[tokio::test]
async fn tasks_that_make_no_sense_are_refused_before_anything_is_asked() {
    let registry = r#""registry":"http://host.test""#;
    for (fields, expected) in [
        (r#""pathConstraints":["/a"]"#.to_owned(), invalid("registry")),
        (format!(r#"{registry},"clusterId":"c","pathConstraints":["/a"]"#), invalid("registry")),
        (format!(r#"{registry},"packageName":"nginx""#), invalid("versions")),
        (format!(r#"{registry},"packageName":"nginx","versions":[]"#), invalid("versions")),
        (format!(r#"{registry},"versions":["1"]"#), missing("packageName")),
        (registry.to_owned(), invalid("Package or path")),
        (format!(r#"{registry},"replicaType":"REAL_TIME","pathConstraints":["/a"]"#), invalid("replicaType")),
        (format!(r#"{registry},"pathConstraints":[{{"path":"/a"}}]"#), unreadable()),
        (format!(r#"{registry},"setting":null,"pathConstraints":["/a"]"#), unreadable()),
    ] {
        let body = format!(r#"{{"name":"once",{fields}}}"#);
        expect_without_call("POST", &path("create/runOnceTask"), &body, &expected).await;
    }
    for body in ["", "{}", r#"{"name":null,"registry":"h.test"}"#, r#"{"registry":"h.test"}"#] {
        expect_without_call("POST", &path("create/runOnceTask"), body, &unreadable()).await;
    }
}

#[tokio::test]
async fn package_needs_its_repository() {
    let fake = refusing(Code::NotFound, "REPOSITORY_NOT_FOUND");
    let body = r#"{"name":"once","registry":"h.test","packageName":"a","versions":["1"]}"#;
    let expected = refused(404, 251_006, "Repository [x] not found");
    assert_eq!(ask(&fake.router(), "POST", &path("create/runOnceTask"), body).await, expected);
    assert_eq!(fake.calls(), ["get_repository"]);
}

const BY_NAME: [(&str, &str); 5] = [
    ("POST", "execute/runOnceTask"),
    ("GET", "get/runOnceTaskStatus"),
    ("DELETE", "delete/runOnceTask"),
    ("POST", "cancel/runOnceTask"),
    ("GET", "watch/runOnceTask"),
];

#[tokio::test]
async fn name_is_looked_for_before_anything_else() {
    for (method, what) in BY_NAME {
        for query in ["", "?", "?Name=x", "?after=1"] {
            expect_without_call(method, &format!("{}{query}", path(what)), "", &missing("name")).await;
        }
    }
}

#[tokio::test]
async fn task_is_run_read_and_deleted_by_its_name() {
    let fake = Fake::default();
    for (method, what) in &BY_NAME[..3] {
        assert_eq!(ask(&fake.router(), method, &format!("{}?name=a%20b&name=c", path(what)), "").await, done());
    }
    let [project, repository, name] = ["p", "r", "a b"].map(str::to_owned);
    fake.expect(&[ExecuteRunOnceTaskRequest {
        project: project.clone(),
        repository: repository.clone(),
        name: name.clone(),
    }]);
    fake.expect(&[GetRunOnceTaskStatusRequest {
        project: project.clone(),
        repository: repository.clone(),
        name: name.clone(),
    }]);
    fake.expect(&[DeleteRunOnceTaskRequest { project, repository, name }]);
}

pub(super) fn execution(status: ExecutionStatus) -> Execution {
    Execution {
        id: "63043f3ff0cad86bddf5e215".to_owned(),
        task_key: "a39012fb57564d13b5c5c237d67f01dc".to_owned(),
        status: status.into(),
        start_time: Some(TIME),
        replicated_bytes: 1234,
        total_bytes: 1234,
        overview: Some(Overview { success: 1, file_success: 3, ..Overview::default() }),
        ..Execution::default()
    }
}

#[tokio::test]
async fn latest_run_is_told() {
    let end_time = Some(prost_types::Timestamp { seconds: 1_661_251_520, nanos: 0 });
    let run = Execution { end_time, ..execution(ExecutionStatus::Success) };
    let fake = Fake::default().answering(GetRunOnceTaskStatusResponse { execution: Some(run) });
    let expected = r#"{
    "id" : "63043f3ff0cad86bddf5e215",
    "taskKey" : "a39012fb57564d13b5c5c237d67f01dc",
    "status" : "SUCCESS",
    "startTime" : "2022-08-23T10:45:19.79",
    "endTime" : "2022-08-23T10:45:20",
    "errorReason" : null,
    "replicatedBytes" : 1234,
    "totalBytes" : 1234,
    "replicaOverview" : {
      "success" : 1,
      "failed" : 0,
      "conflict" : 0,
      "fileSuccess" : 3,
      "fileFailed" : 0
    }
  }"#;
    assert_eq!(
        ask(&fake.router(), "GET", &format!("{}?name=t", path("get/runOnceTaskStatus")), "").await,
        ok(expected)
    );
}

#[tokio::test]
async fn states_are_three() {
    for (status, expected) in [
        (ExecutionStatus::Queued, "RUNNING"),
        (ExecutionStatus::Running, "RUNNING"),
        (ExecutionStatus::Success, "SUCCESS"),
        (ExecutionStatus::Failed, "FAILED"),
        (ExecutionStatus::Cancelled, "FAILED"),
    ] {
        let fake = Fake::default().answering(GetRunOnceTaskStatusResponse { execution: Some(execution(status)) });
        let answer = ask(&fake.router(), "GET", &format!("{}?name=t", path("get/runOnceTaskStatus")), "").await;
        assert!(answer.contains(&format!(r#""status" : "{expected}""#)), "{status:?}");
    }
}

#[tokio::test]
async fn latest_run_is_what_is_cancelled() {
    let url = format!("{}?name=t", path("cancel/runOnceTask"));
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "POST", &url, "").await, refused(400, 250_303, "task status invalid"));
    let fake = fake
        .answering(GetRunOnceTaskStatusResponse { execution: Some(execution(ExecutionStatus::Running)) })
        .answering(CancelExecutionResponse { execution: Some(execution(ExecutionStatus::Cancelled)) });
    assert!(ask(&fake.router(), "POST", &url, "").await.contains(r#""status" : "FAILED""#));
    fake.expect(&[CancelExecutionRequest { execution_id: "63043f3ff0cad86bddf5e215".to_owned() }]);
}

#[tokio::test]
async fn reasons_have_codes_of_their_own_here() {
    let table = [
        (0, "TASK_NOT_FOUND", refused(400, 250_108, "Resource [t] not found")),
        (1, "TASK_NOT_FOUND", refused(400, 250_108, "Resource [t] not found")),
        (3, "TASK_NOT_FOUND", refused(400, 250_108, "Resource [t] not found")),
        (4, "TASK_NOT_FOUND", refused(400, 250_108, "Resource [t] not found")),
        (0, "NOT_RUN_ONCE", refused(400, 250_112, "Method not allowed, reason: t")),
        (0, "TASK_RUNNING", refused(400, 250_303, "task status invalid")),
        (0, "TASK_DISABLED", refused(400, 250_304, "task enables is false")),
        (2, "TASK_RUNNING", refused(400, 250_113, "Access denied: p/r/t")),
        (2, "NOT_RUN_ONCE", refused(400, 250_113, "Access denied: p/r/t")),
        (2, "REPOSITORY_NOT_FOUND", refused(404, 251_006, "Repository [x] not found")),
    ];
    for (which, reason, expected) in table {
        let (method, what) = BY_NAME[which];
        let router = refusing(Code::FailedPrecondition, reason).router();
        assert_eq!(ask(&router, method, &format!("{}?name=t", path(what)), "").await, expected, "{what} {reason}");
    }
}

#[tokio::test]
async fn run_that_has_ended_is_not_cancelled() {
    let fake = Fake::default()
        .answering(GetRunOnceTaskStatusResponse { execution: Some(execution(ExecutionStatus::Success)) })
        .refusing("cancel_execution", refusal(Code::FailedPrecondition, "EXECUTION_ENDED", ""));
    let answer = ask(&fake.router(), "POST", &format!("{}?name=t", path("cancel/runOnceTask")), "").await;
    assert_eq!(answer, refused(400, 250_303, "task status invalid"));
}
