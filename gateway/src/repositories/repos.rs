//! Repositories.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use steward_proto::artifact::v1 as pb;

use super::Repositories;
use crate::envelope::{
    Answered, Asked, Body, Code, LocalTimes, Paging, Path, Query, Refusal, all, null_as_default, read_json,
};

/// The most repositories that a list has.
const MAX_REPOSITORIES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewRepository {
    project_id: String,
    name: String,
    r#type: Held,
    #[serde(default)]
    category: Option<Category>,
    #[serde(default, deserialize_with = "null_as_default")]
    public: Option<bool>,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Held {
    Generic,
    Docker,
    Oci,
    Helm,
    Maven,
    Npm,
    Pypi,
    Rpm,
    Composer,
    Nuget,
}

const TYPES: [(Held, pb::RepositoryType); 10] = [
    (Held::Generic, pb::RepositoryType::Generic),
    (Held::Docker, pb::RepositoryType::Docker),
    (Held::Oci, pb::RepositoryType::Oci),
    (Held::Helm, pb::RepositoryType::Helm),
    (Held::Maven, pb::RepositoryType::Maven),
    (Held::Npm, pb::RepositoryType::Npm),
    (Held::Pypi, pb::RepositoryType::Pypi),
    (Held::Rpm, pb::RepositoryType::Rpm),
    (Held::Composer, pb::RepositoryType::Composer),
    (Held::Nuget, pb::RepositoryType::Nuget),
];

impl Held {
    fn to_proto(self) -> pb::RepositoryType {
        TYPES.iter().find(|(held, _)| *held == self).map(|(_, kind)| *kind).unwrap_or_default()
    }

    pub(super) fn of(kind: pb::RepositoryType) -> Self {
        TYPES.iter().find(|(_, known)| *known == kind).map_or(Held::Generic, |(held, _)| *held)
    }

    /// The one that a word in a path or a query names.
    fn parse(word: &str) -> Result<Self, Refusal> {
        let word = serde_json::Value::String(word.to_ascii_uppercase());
        serde_json::from_value(word).map_err(|_| Refusal::new(&Code::PARAMETER_INVALID, "type"))
    }
}

/// What a repository holds, as clients read it.
pub(super) fn type_name(kind: pb::RepositoryType) -> impl Serialize {
    Held::of(kind)
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Category {
    Local,
    Remote,
    Virtual,
    Composite,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRepository {
    project_id: String,
    name: String,
    r#type: Held,
    category: &'static str,
    public: bool,
    description: String,
    configuration: Configuration,
    storage_credentials_key: Option<()>,
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
    quota: Option<i64>,
    used: Option<i64>,
}

/// There is nothing to be configured.
#[derive(Serialize)]
struct Configuration {}

impl ShownRepository {
    fn of(repository: pb::Repository, times: &LocalTimes) -> Self {
        let category = match repository.category() {
            pb::RepositoryCategory::Local => "LOCAL",
            pb::RepositoryCategory::Unspecified | pb::RepositoryCategory::Composite => "COMPOSITE",
        };
        ShownRepository {
            r#type: Held::of(repository.r#type()),
            category,
            project_id: repository.project,
            name: repository.name,
            public: repository.public,
            description: repository.description,
            configuration: Configuration {},
            storage_credentials_key: None,
            created_by: repository.created_by,
            created_date: times.text(repository.create_time),
            last_modified_by: repository.modified_by,
            last_modified_date: times.text(repository.modify_time),
            quota: None,
            used: None,
        }
    }
}

/// Handles `POST /repo/create`.
pub(super) async fn create(State(repositories): State<Repositories>, asked: Asked, body: Body) -> Response {
    let created = async {
        let new: NewRepository = read_json(body)?;
        let category = match new.category {
            None | Some(Category::Composite) => pb::RepositoryCategory::Composite,
            Some(Category::Local) => pb::RepositoryCategory::Local,
            // Neither is anything that this server could fetch from elsewhere.
            Some(Category::Remote | Category::Virtual) => {
                return Err(Refusal::new(&Code::PARAMETER_INVALID, "category"));
            }
        };
        let message = pb::CreateRepositoryRequest {
            project: new.project_id,
            name: new.name,
            r#type: new.r#type.to_proto().into(),
            category: category.into(),
            public: new.public.unwrap_or_default(),
            description: new.description.unwrap_or_default(),
        };
        let call = Repositories::call(&asked, "CreateRepository");
        let created = call.run(repositories.artifacts.clone().create_repository(call.request(message))).await;
        created.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&repositories.times, created.await)
}

type Place = Path<(String, String)>;

async fn find(
    repositories: &Repositories,
    asked: &Asked,
    (project, repository): (String, String),
) -> Result<Option<pb::Repository>, Refusal> {
    let message = pb::GetRepositoryRequest { project, repository };
    let call = Repositories::call(asked, "GetRepository");
    let found = call.run(repositories.artifacts.clone().get_repository(call.request(message))).await;
    match found.map_err(|failure| Refusal::of(&failure)) {
        Ok(found) => Ok(found.repository),
        Err(refusal) if refusal.is(&Code::REPOSITORY_NOT_FOUND) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Handles `GET /repo/info/{project}/{repository}`: null where there is none.
pub(super) async fn info(State(repositories): State<Repositories>, Path(place): Place, asked: Asked) -> Response {
    let found = find(&repositories, &asked, place).await;
    let shown = found.map(|found| found.map(|found| ShownRepository::of(found, &repositories.times)));
    asked.answer(&repositories.times, shown)
}

/// Handles `GET /repo/info/{project}/{repository}/{type}`: null where there is none of that type.
pub(super) async fn info_of_type(
    State(repositories): State<Repositories>,
    Path((project, repository, held)): Path<(String, String, String)>,
    asked: Asked,
) -> Response {
    let shown = async {
        let held = Held::parse(&held)?;
        let found = find(&repositories, &asked, (project, repository)).await?;
        let found = found.filter(|found| Held::of(found.r#type()) == held);
        Ok(found.map(|found| ShownRepository::of(found, &repositories.times)))
    };
    asked.answer(&repositories.times, shown.await)
}

/// Handles `GET /repo/exist/{project}/{repository}`.
pub(super) async fn exist(State(repositories): State<Repositories>, Path(place): Place, asked: Asked) -> Response {
    let found = find(&repositories, &asked, place).await;
    asked.answer(&repositories.times, found.map(|found| found.is_some()))
}

/// Handles `GET /repo/list/{project}?name=&type=`.
pub(super) async fn list(
    State(repositories): State<Repositories>,
    Path(project): Path<String>,
    asked: Asked,
    query: Query,
) -> Response {
    let listed = async {
        let filter = filter(&project, &query)?;
        let fetch = |size, token| fetch(&repositories, &asked, &filter, size, token);
        let found = all(MAX_REPOSITORIES, fetch).await?;
        Ok(found.into_iter().map(|one| ShownRepository::of(one, &repositories.times)).collect::<Vec<_>>())
    };
    asked.answer(&repositories.times, listed.await)
}

/// Handles `GET /repo/page/{project}/{number}/{size}?name=&type=`.
pub(super) async fn page(
    State(repositories): State<Repositories>,
    Path((project, number, size)): Path<(String, String, String)>,
    asked: Asked,
    query: Query,
) -> Response {
    let page = async {
        let filter = filter(&project, &query)?;
        let fetch = |size, token| fetch(&repositories, &asked, &filter, size, token);
        Paging::parse(&number, &size)?.walk(fetch, |one| ShownRepository::of(one, &repositories.times)).await
    };
    asked.answer(&repositories.times, page.await)
}

fn filter(project: &str, query: &Query) -> Result<pb::ListRepositoriesRequest, Refusal> {
    let held = query.text("type");
    let kind = if held.is_empty() { pb::RepositoryType::Unspecified } else { Held::parse(&held)?.to_proto() };
    Ok(pb::ListRepositoriesRequest {
        project: project.to_owned(),
        name_prefix: query.text("name"),
        r#type: kind.into(),
        ..pb::ListRepositoriesRequest::default()
    })
}

async fn fetch(
    repositories: &Repositories,
    asked: &Asked,
    filter: &pb::ListRepositoriesRequest,
    page_size: i32,
    page_token: String,
) -> Result<Answered<pb::Repository>, Refusal> {
    let message = pb::ListRepositoriesRequest { page_size, page_token, ..filter.clone() };
    let call = Repositories::call(asked, "ListRepositories");
    let page = call.run(repositories.artifacts.clone().list_repositories(call.request(message))).await;
    let page = page.map_err(|failure| Refusal::of(&failure))?;
    Ok((page.repositories, page.next_page_token, page.total_size))
}

/// Handles `DELETE /repo/delete/{project}/{repository}?forced=`.
pub(super) async fn delete(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let message = pb::DeleteRepositoryRequest { project, repository, force: query.flag("forced", false) };
    let call = Repositories::call(&asked, "DeleteRepository");
    let deleted = call.run(repositories.artifacts.clone().delete_repository(call.request(message))).await;
    asked.done(&repositories.times, deleted.map(|_| ()).map_err(|failure| Refusal::of(&failure)))
}
