//! Standing tasks: created, changed, listed, deleted, switched off and on.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use steward_proto::replication::v1 as pb;

use super::Copies;
use super::config::{Config, ShownTask};
use crate::envelope::{Asked, Body, Code, Path, Refusal, all, read_json};

/// The most tasks that a list has.
const MAX_TASKS: usize = 10_000;

type Named = Path<(String, String, String)>;

#[derive(Deserialize)]
struct Configs {
    configs: Vec<Config>,
}

/// Handles `POST …/create/{project}/{repository}`.
pub(super) async fn create(
    State(copies): State<Copies>,
    Path((project, repository)): Path<(String, String)>,
    asked: Asked,
    body: Body,
) -> Response {
    let created = async {
        let Configs { configs } = read_json(body)?;
        let mut converted = Vec::with_capacity(configs.len());
        for mut config in configs {
            let name = config.take_name()?;
            let place = (project.clone(), repository.clone(), name);
            converted.push(config.into_proto(place, &copies.times)?);
        }
        let message = pb::CreateConfigsRequest { project, repository, configs: converted };
        let call = Copies::call(&asked, "CreateConfigs");
        let created = call.run(copies.tasks.clone().create_configs(call.request(message))).await;
        created.map(|_| ()).map_err(|failure| of_change(&failure))
    };
    asked.done(&copies.times, created.await)
}

/// Handles `POST …/update/{project}/{repository}/{name}`.
pub(super) async fn update(State(copies): State<Copies>, Path(place): Named, asked: Asked, body: Body) -> Response {
    let updated = async {
        let config: Config = read_json(body)?;
        let message = pb::UpdateConfigRequest { config: Some(config.into_proto(place, &copies.times)?) };
        let call = Copies::call(&asked, "UpdateConfig");
        let updated = call.run(copies.tasks.clone().update_config(call.request(message))).await;
        updated.map(|_| ()).map_err(|failure| of_change(&failure))
    };
    asked.done(&copies.times, updated.await)
}

/// A task that runs cannot be changed, in the words for that.
pub(super) fn of_change(failure: &crate::upstream::Failure) -> Refusal {
    let refusal = Refusal::of(failure).instead(&Code::TASK_STATUS, &Code::TASK_NOT_CHANGEABLE);
    let is_forbidden = failure.info().is_some_and(|info| info.reason == "TARGET_FORBIDDEN");
    if is_forbidden { Refusal::new(&Code::PARAMETER_INVALID, "url") } else { refusal }
}

/// Handles `GET …/info/{project}/{repository}`.
pub(super) async fn list(
    State(copies): State<Copies>,
    Path((project, repository)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    let tasks = all(MAX_TASKS, |page_size, page_token| {
        let message = pb::ListConfigsRequest {
            project: project.clone(),
            repository: repository.clone(),
            page_size: page_size.min(500),
            page_token,
        };
        let call = Copies::call(&asked, "ListConfigs");
        let mut tasks = copies.tasks.clone();
        async move {
            let page = call.run(tasks.list_configs(call.request(message))).await;
            let page = page.map_err(|failure| Refusal::of(&failure))?;
            Ok((page.tasks, page.next_page_token, page.total_size))
        }
    });
    let tasks = tasks.await.map(|tasks| shown(tasks, &copies));
    asked.answer(&copies.times, tasks)
}

/// Handles `GET …/info/{project}/{repository}/{name}`: a list of one, or of none.
pub(super) async fn info(State(copies): State<Copies>, Path(place): Named, asked: Asked) -> Response {
    let (project, repository, name) = place;
    let found = async {
        let message = pb::GetConfigRequest { project: project.clone(), repository: repository.clone(), name };
        let call = Copies::call(&asked, "GetConfig");
        let found = call.run(copies.tasks.clone().get_config(call.request(message))).await;
        match found.map_err(|failure| Refusal::of(&failure)) {
            Ok(found) => Ok(shown(found.task, &copies)),
            Err(refusal) if refusal.is(&Code::TASK_NOT_FOUND) => {
                // Nothing is there, unless the repository is not there either.
                let message = pb::ListConfigsRequest { project, repository, page_size: 1, page_token: String::new() };
                let call = Copies::call(&asked, "ListConfigs");
                let listed = call.run(copies.tasks.clone().list_configs(call.request(message))).await;
                listed.map(|_| Vec::new()).map_err(|failure| Refusal::of(&failure))
            }
            Err(refusal) => Err(refusal),
        }
    };
    asked.answer(&copies.times, found.await)
}

fn shown(tasks: impl IntoIterator<Item = pb::Task>, copies: &Copies) -> Vec<ShownTask> {
    tasks.into_iter().map(|task| ShownTask::of(task, &copies.times)).collect()
}

/// Handles `DELETE …/delete/{project}/{repository}/{name}`.
pub(super) async fn delete(State(copies): State<Copies>, Path(place): Named, asked: Asked) -> Response {
    let (project, repository, name) = place;
    let call = Copies::call(&asked, "DeleteConfig");
    let message = pb::DeleteConfigRequest { project, repository, name };
    let deleted = call.run(copies.tasks.clone().delete_config(call.request(message))).await;
    asked.done(&copies.times, deleted.map(|_| ()).map_err(|failure| Refusal::of(&failure)))
}

/// Handles `POST …/toggle/status/{project}/{repository}/{name}`.
pub(super) async fn toggle(State(copies): State<Copies>, Path(place): Named, asked: Asked) -> Response {
    let (project, repository, name) = place;
    let call = Copies::call(&asked, "ToggleConfig");
    let message = pb::ToggleConfigRequest { project, repository, name, enabled: None };
    let toggled = call.run(copies.tasks.clone().toggle_config(call.request(message))).await;
    asked.done(&copies.times, toggled.map(|_| ()).map_err(|failure| Refusal::of(&failure)))
}
