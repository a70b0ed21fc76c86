//! Files and folders.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use steward_proto::artifact::v1 as pb;

use super::Repositories;
use crate::envelope::{Asked, LocalTimes, Paging, Query, Refusal};

type Place = Path<(String, String, String)>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNode {
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
    folder: bool,
    path: String,
    name: String,
    full_path: String,
    size: i64,
    sha256: Option<String>,
    md5: Option<String>,
    crc64ecma: Option<String>,
    metadata: BTreeMap<String, String>,
    project_id: String,
    repo_name: String,
    expire_date: Option<String>,
}

impl ShownNode {
    fn of(file: pb::File, times: &LocalTimes) -> Self {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let of_file = |text: String| Some(text).filter(|text| !text.is_empty());
        ShownNode {
            path: format!("{parent}/"),
            name: name.to_owned(),
            created_by: file.created_by,
            created_date: times.text(file.create_time),
            last_modified_by: file.modified_by,
            last_modified_date: times.text(file.modify_time),
            folder: file.folder,
            size: file.size,
            sha256: of_file(file.sha256),
            md5: of_file(file.md5),
            crc64ecma: of_file(file.crc64ecma),
            metadata: file.metadata.into_iter().collect(),
            project_id: file.project,
            repo_name: file.repository,
            expire_date: times.text(file.expire_time),
            full_path: file.path,
        }
    }
}

/// Handles `GET /node/detail/{project}/{repository}`.
pub(super) async fn detail_of_root(
    state: State<Repositories>,
    Path((project, repository)): Path<(String, String)>,
    asked: Asked,
) -> Response {
    detail(state, Path((project, repository, String::new())), asked).await
}

/// Handles `GET /node/detail/{project}/{repository}/{path}`.
pub(super) async fn detail(
    State(repositories): State<Repositories>,
    Path((project, repository, path)): Place,
    asked: Asked,
) -> Response {
    let found = find(&repositories, &asked, (project, repository, path)).await;
    let shown = found.map(|file| ShownNode::of(file, &repositories.times));
    asked.answer(&repositories.times, shown)
}

/// A file or folder that is there.
pub(super) async fn find(
    repositories: &Repositories,
    asked: &Asked,
    (project, repository, path): (String, String, String),
) -> Result<pb::File, Refusal> {
    let message = pb::GetFileRequest { project, repository, path: format!("/{path}") };
    let call = Repositories::call(asked, "GetFile");
    let found = call.run(repositories.artifacts.clone().get_file(call.request(message))).await;
    Ok(found.map_err(|failure| Refusal::of(&failure))?.file.unwrap_or_default())
}

/// Handles `GET /node/page/{project}/{repository}`.
pub(super) async fn page_of_root(
    state: State<Repositories>,
    Path((project, repository)): Path<(String, String)>,
    asked: Asked,
    query: Query,
) -> Response {
    page(state, Path((project, repository, String::new())), asked, query).await
}

/// Handles `GET /node/page/{project}/{repository}/{path}?pageNumber=&pageSize=&includeFolder=&includeMetadata=&deep=`.
///
/// Quirk: `sort` asks for folders first and then names; the order here is that of the paths in any case.
pub(super) async fn page(
    State(repositories): State<Repositories>,
    Path((project, repository, path)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let filter = pb::ListFilesRequest {
        project,
        repository,
        folder: format!("/{path}"),
        deep: query.flag("deep", false),
        include_folders: query.flag("includeFolder", true),
        include_metadata: query.flag("includeMetadata", false),
        ..pb::ListFilesRequest::default()
    };
    let fetch = |page_size, page_token| {
        let message = pb::ListFilesRequest { page_size, page_token, ..filter.clone() };
        let call = Repositories::call(&asked, "ListFiles");
        let mut artifacts = repositories.artifacts.clone();
        async move {
            let page = call.run(artifacts.list_files(call.request(message))).await;
            let page = page.map_err(|failure| Refusal::of(&failure))?;
            Ok((page.files, page.next_page_token, page.total_size))
        }
    };
    let page = async { Paging::of(&query)?.walk(fetch, |file| ShownNode::of(file, &repositories.times)).await };
    asked.answer(&repositories.times, page.await)
}
