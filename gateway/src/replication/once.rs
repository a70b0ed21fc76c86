//! Tasks that run once.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use steward_proto::artifact::v1::{GetRepositoryRequest, RepositoryType};
use steward_proto::replication::v1 as pb;

use super::Copies;
use super::config::{ObjectType, ReplicaType, TargetFields};
use super::execution::ShownExecution;
use super::setting::Setting;
use super::tasks::of_change;
use crate::envelope::{Asked, Body, Code, Path, Query, Refusal, never_null, null_as_default, read_json};
use crate::upstream::Failure;

type Place = Path<(String, String)>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Once {
    name: String,
    #[serde(flatten)]
    target: TargetFields,
    #[serde(default)]
    replica_object_type: Option<ObjectType>,
    #[serde(default)]
    package_name: Option<String>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    target_versions: Option<Vec<String>>,
    #[serde(default)]
    path_constraints: Option<Vec<String>>,
    #[serde(default, deserialize_with = "never_null")]
    replica_type: Option<ReplicaType>,
    #[serde(default, deserialize_with = "never_null")]
    setting: Option<Setting>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    enable: Option<bool>,
}

/// Handles `POST …/create/runOnceTask/{project}/{repository}`.
pub(super) async fn create(
    State(copies): State<Copies>,
    Path((project, repository)): Place,
    asked: Asked,
    body: Body,
) -> Response {
    let created = async {
        let once: Once = read_json(body)?;
        let config = config(once, (project, repository), &copies, &asked).await?;
        let message = pb::CreateRunOnceTaskRequest { config: Some(config) };
        let call = Copies::call(&asked, "CreateRunOnceTask");
        let created = call.run(copies.tasks.clone().create_run_once_task(call.request(message))).await;
        created.map(|_| ()).map_err(|failure| of_change(&failure))
    };
    asked.done(&copies.times, created.await)
}

async fn config(
    once: Once,
    (project, repository): (String, String),
    copies: &Copies,
    asked: &Asked,
) -> Result<pb::Config, Refusal> {
    if once.replica_type.is_some_and(|kind| kind != ReplicaType::RunOnce) {
        return Err(Refusal::new(&Code::PARAMETER_INVALID, "replicaType"));
    }
    let target = once.target.into_proto()?;
    let versions = once.versions.unwrap_or_default();
    let package_name = once.package_name.unwrap_or_default();
    let paths = once.path_constraints.unwrap_or_default();
    let package_constraints = match (package_name.is_empty(), versions.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => return Err(Refusal::new(&Code::PARAMETER_MISSING, "packageName")),
        (false, true) => return Err(Refusal::new(&Code::PARAMETER_INVALID, "versions")),
        (false, false) => {
            let key = package_key(&project, &repository, &package_name, copies, asked).await?;
            let target_versions = once.target_versions.unwrap_or_default();
            let packages = pb::PackageConstraint { package_key: key, versions, target_versions, ..Default::default() };
            vec![packages]
        }
    };
    let is_whole = matches!(once.replica_object_type, Some(ObjectType::Repository));
    if package_constraints.is_empty() && paths.is_empty() && !is_whole {
        return Err(Refusal::new(&Code::PARAMETER_INVALID, "Package or path"));
    }
    let path = |path| pb::PathConstraint { path, path_regex: Vec::new() };
    let object_type = once.replica_object_type.map_or(pb::ReplicaObjectType::Unspecified, Into::into);
    Ok(pb::Config {
        project,
        repository,
        name: once.name,
        target: Some(target),
        package_constraints,
        path_constraints: paths.into_iter().map(path).collect(),
        object_type: object_type.into(),
        replica_type: pb::ReplicaType::RunOnce.into(),
        settings: Some(once.setting.unwrap_or_default().to_proto(true, &copies.times)?),
        enabled: Some(once.enable.unwrap_or(true)),
        description: once.description.unwrap_or_default(),
    })
}

/// The key of a package: what the repository holds, and its name.
async fn package_key(
    project: &str,
    repository: &str,
    name: &str,
    copies: &Copies,
    asked: &Asked,
) -> Result<String, Refusal> {
    let message = GetRepositoryRequest { project: project.to_owned(), repository: repository.to_owned() };
    let call = Copies::call(asked, "GetRepository");
    let found = call.run(copies.artifacts.clone().get_repository(call.request(message))).await;
    let found = found.map_err(|failure| Refusal::of(&failure))?.repository.unwrap_or_default();
    let held = match found.r#type() {
        RepositoryType::Generic => "generic",
        RepositoryType::Unspecified | RepositoryType::Docker => "docker",
        RepositoryType::Oci => "oci",
        RepositoryType::Helm => "helm",
        // Quirk: this one has another name there.
        RepositoryType::Maven => "gav",
        RepositoryType::Npm => "npm",
        RepositoryType::Pypi => "pypi",
        RepositoryType::Rpm => "rpm",
        RepositoryType::Composer => "composer",
        RepositoryType::Nuget => "nuget",
    };
    Ok(format!("{held}://{name}"))
}

/// A task that is not there has a code of its own here.
fn of_task(failure: &Failure, name: &str) -> Refusal {
    Refusal::of(failure).renamed(&Code::TASK_NOT_FOUND, &Code::RESOURCE_NOT_FOUND, name)
}

/// Handles `POST …/execute/runOnceTask/{project}/{repository}?name=`.
pub(super) async fn execute(
    State(copies): State<Copies>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let executed = async {
        let name = query.required("name")?;
        let message = pb::ExecuteRunOnceTaskRequest { project, repository, name: name.clone() };
        let call = Copies::call(&asked, "ExecuteRunOnceTask");
        let executed = call.run(copies.tasks.clone().execute_run_once_task(call.request(message))).await;
        let executed = executed.map(|_| ()).map_err(|failure| of_task(&failure, &name));
        executed.map_err(|refusal| refusal.renamed(&Code::METHOD_NOT_ALLOWED, &Code::METHOD_NOT_ALLOWED, &name))
    };
    asked.done(&copies.times, executed.await)
}

/// Handles `GET …/get/runOnceTaskStatus/{project}/{repository}?name=`.
pub(super) async fn status(
    State(copies): State<Copies>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let latest = async {
        let name = query.required("name")?;
        let latest = latest(&copies, &asked, (project, repository, name)).await?;
        Ok(latest.map(|execution| ShownExecution::of(execution, &copies.times)))
    };
    asked.answer(&copies.times, latest.await)
}

/// The latest run of a task, if it has run.
pub(super) async fn latest(
    copies: &Copies,
    asked: &Asked,
    (project, repository, name): (String, String, String),
) -> Result<Option<pb::Execution>, Refusal> {
    let message = pb::GetRunOnceTaskStatusRequest { project, repository, name: name.clone() };
    let call = Copies::call(asked, "GetRunOnceTaskStatus");
    let latest = call.run(copies.tasks.clone().get_run_once_task_status(call.request(message))).await;
    Ok(latest.map_err(|failure| of_task(&failure, &name))?.execution)
}

/// Handles `DELETE …/delete/runOnceTask/{project}/{repository}?name=`.
pub(super) async fn delete(
    State(copies): State<Copies>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let deleted = async {
        let name = query.required("name")?;
        let full_name = format!("{project}/{repository}/{name}");
        let message = pb::DeleteRunOnceTaskRequest { project, repository, name };
        let call = Copies::call(&asked, "DeleteRunOnceTask");
        let deleted = call.run(copies.tasks.clone().delete_run_once_task(call.request(message))).await;
        deleted.map(|_| ()).map_err(|failure| {
            let refusal = Refusal::of(&failure).renamed(&Code::TASK_STATUS, &Code::DELETION_DENIED, &full_name);
            refusal.renamed(&Code::METHOD_NOT_ALLOWED, &Code::DELETION_DENIED, &full_name)
        })
    };
    asked.done(&copies.times, deleted.await)
}

/// Handles `POST …/cancel/runOnceTask/{project}/{repository}?name=`: what the original could not.
pub(super) async fn cancel(
    State(copies): State<Copies>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let cancelled = async {
        let name = query.required("name")?;
        let latest = latest(&copies, &asked, (project, repository, name)).await?;
        let execution_id = latest.ok_or_else(|| Refusal::plain(&Code::TASK_STATUS))?.id;
        let message = pb::CancelExecutionRequest { execution_id };
        let call = Copies::call(&asked, "CancelExecution");
        let cancelled = call.run(copies.tasks.clone().cancel_execution(call.request(message))).await;
        let cancelled = cancelled.map_err(|failure| Refusal::of(&failure))?;
        Ok(cancelled.execution.map(|execution| ShownExecution::of(execution, &copies.times)))
    };
    asked.answer(&copies.times, cancelled.await)
}
