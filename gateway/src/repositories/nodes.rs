//! Files and folders.

use axum::extract::State;
use axum::response::Response;
use steward_proto::artifact::v1 as pb;

use super::Repositories;
use crate::envelope::{Asked, Node, Paging, Path, Query, Refusal};

type Place = Path<(String, String, String)>;

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
    let shown = found.map(|file| Node::of(file, &repositories.times));
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
    let page = async { Paging::of(&query)?.walk(fetch, |file| Node::of(file, &repositories.times)).await };
    asked.answer(&repositories.times, page.await)
}
