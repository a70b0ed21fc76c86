//! Projects.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steward_proto::artifact::v1 as pb;

use super::Repositories;
use crate::envelope::{Asked, Body, Refusal, all, read_json};

/// The most projects that a list has.
const MAX_PROJECTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewProject {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownProject {
    name: String,
    display_name: String,
    description: String,
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
}

/// Handles `POST /project/create`.
pub(super) async fn create(State(repositories): State<Repositories>, asked: Asked, body: Body) -> Response {
    let created = async {
        let new: NewProject = read_json(body)?;
        let message = pb::CreateProjectRequest {
            name: new.name,
            display_name: new.display_name.unwrap_or_default(),
            description: new.description.unwrap_or_default(),
        };
        let call = Repositories::call(&asked, "CreateProject");
        let created = call.run(repositories.artifacts.clone().create_project(call.request(message))).await;
        created.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&repositories.times, created.await)
}

/// Handles `GET /project/list`.
pub(super) async fn list(State(repositories): State<Repositories>, asked: Asked) -> Response {
    let projects = all(MAX_PROJECTS, |page_size, page_token| {
        let call = Repositories::call(&asked, "ListProjects");
        let mut artifacts = repositories.artifacts.clone();
        async move {
            let message = pb::ListProjectsRequest { page_size, page_token };
            let page = call.run(artifacts.list_projects(call.request(message))).await;
            let page = page.map_err(|failure| Refusal::of(&failure))?;
            Ok((page.projects, page.next_page_token, page.total_size))
        }
    });
    let times = &repositories.times;
    let shown = |project: pb::Project| ShownProject {
        name: project.name,
        display_name: project.display_name,
        description: project.description,
        created_by: project.created_by,
        created_date: times.text(project.create_time),
        last_modified_by: project.modified_by,
        last_modified_date: times.text(project.modify_time),
    };
    let projects = projects.await.map(|projects| projects.into_iter().map(shown).collect::<Vec<_>>());
    asked.answer(times, projects)
}
