//! Packages and their versions.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use steward_proto::artifact::v1 as pb;

use super::Repositories;
use super::repos::type_name;
use crate::envelope::{Asked, LocalTimes, Paging, Path, Query, Refusal};

type Place = Path<(String, String)>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPackage<T> {
    project_id: String,
    repo_name: String,
    name: String,
    key: String,
    r#type: T,
    latest: Option<String>,
    downloads: i64,
    versions: i64,
    description: Option<String>,
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownVersion {
    name: String,
    size: i64,
    downloads: i64,
    stage_tag: Vec<String>,
    metadata: BTreeMap<String, String>,
    tags: Vec<String>,
    manifest_path: Option<String>,
    content_path: Option<String>,
    digest: String,
    media_type: String,
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
}

fn package(package: pb::Package, times: &LocalTimes) -> ShownPackage<impl Serialize> {
    ShownPackage {
        r#type: type_name(package.r#type()),
        project_id: package.project,
        repo_name: package.repository,
        name: package.name,
        key: package.key,
        latest: Some(package.latest).filter(|latest| !latest.is_empty()),
        downloads: 0,
        versions: package.version_count,
        description: None,
        last_modified_by: package.created_by.clone(),
        created_by: package.created_by,
        created_date: times.text(package.create_time),
        last_modified_date: times.text(package.modify_time),
    }
}

fn version(name: &str, version: pb::PackageVersion, times: &LocalTimes) -> ShownVersion {
    let manifest = version.manifest.unwrap_or_default();
    ShownVersion {
        manifest_path: Some(format!("/{name}/manifest/{}/manifest.json", version.name)),
        content_path: None,
        size: manifest.size.saturating_add(manifest.content_size),
        downloads: 0,
        stage_tag: Vec::new(),
        metadata: version.metadata.into_iter().collect(),
        tags: Vec::new(),
        digest: manifest.digest,
        media_type: manifest.media_type,
        created_by: version.modified_by.clone(),
        created_date: times.text(version.create_time),
        last_modified_by: version.modified_by,
        last_modified_date: times.text(version.modify_time),
        name: version.name,
    }
}

/// Handles `GET /package/page/{project}/{repository}?packageName=&pageNumber=&pageSize=`.
pub(super) async fn page(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let name_contains = query.text("packageName");
    let fetch = |page_size, page_token| {
        let (project, repository) = (project.clone(), repository.clone());
        let name_contains = name_contains.clone();
        let message = pb::ListPackagesRequest { project, repository, page_size, page_token, name_contains };
        let call = Repositories::call(&asked, "ListPackages");
        let mut artifacts = repositories.artifacts.clone();
        async move {
            let page = call.run(artifacts.list_packages(call.request(message))).await;
            let page = page.map_err(|failure| Refusal::of(&failure))?;
            Ok((page.packages, page.next_page_token, page.total_size))
        }
    };
    let page = async { Paging::of(&query)?.walk(fetch, |one| package(one, &repositories.times)).await };
    asked.answer(&repositories.times, page.await)
}

/// Handles `GET /package/info/{project}/{repository}?packageKey=`.
pub(super) async fn info(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let found = async {
        let message = pb::GetPackageRequest { project, repository, key: query.required("packageKey")? };
        let call = Repositories::call(&asked, "GetPackage");
        let found = call.run(repositories.artifacts.clone().get_package(call.request(message))).await;
        let found = found.map_err(|failure| Refusal::of(&failure))?;
        Ok(found.package.map(|one| package(one, &repositories.times)))
    };
    asked.answer(&repositories.times, found.await)
}

/// Handles `DELETE /package/delete/{project}/{repository}?packageKey=`.
pub(super) async fn delete(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let deleted = async {
        let message = pb::DeletePackageRequest { project, repository, key: query.required("packageKey")? };
        let call = Repositories::call(&asked, "DeletePackage");
        let deleted = call.run(repositories.artifacts.clone().delete_package(call.request(message))).await;
        deleted.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&repositories.times, deleted.await)
}

/// Handles `GET /version/page/{project}/{repository}?packageKey=&version=&pageNumber=&pageSize=`.
pub(super) async fn versions(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let page = async {
        let key = query.required("packageKey")?;
        let name = key.split_once("://").map_or(key.clone(), |(_, name)| name.to_owned());
        let name_contains = query.text("version");
        let fetch = |page_size, page_token| {
            let (project, repository) = (project.clone(), repository.clone());
            let (key, name_contains) = (key.clone(), name_contains.clone());
            let message = pb::ListVersionsRequest { project, repository, key, page_size, page_token, name_contains };
            let call = Repositories::call(&asked, "ListVersions");
            let mut artifacts = repositories.artifacts.clone();
            async move {
                let page = call.run(artifacts.list_versions(call.request(message))).await;
                let page = page.map_err(|failure| Refusal::of(&failure))?;
                Ok((page.versions, page.next_page_token, page.total_size))
            }
        };
        Paging::of(&query)?.walk(fetch, |one| version(&name, one, &repositories.times)).await
    };
    asked.answer(&repositories.times, page.await)
}

/// Handles `DELETE /version/delete/{project}/{repository}?packageKey=&version=`.
pub(super) async fn delete_version(
    State(repositories): State<Repositories>,
    Path((project, repository)): Place,
    asked: Asked,
    query: Query,
) -> Response {
    let deleted = async {
        let (key, version) = (query.required("packageKey")?, query.required("version")?);
        let message = pb::DeleteVersionRequest { project, repository, key, version };
        let call = Repositories::call(&asked, "DeleteVersion");
        let deleted = call.run(repositories.artifacts.clone().delete_version(call.request(message))).await;
        deleted.map(|_| ()).map_err(|failure| Refusal::of(&failure))
    };
    asked.done(&repositories.times, deleted.await)
}
