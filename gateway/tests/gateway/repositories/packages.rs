//! Packages and their versions.

use std::collections::HashMap;

use steward_proto::artifact::v1::*;
use tonic::Code;

use super::{TIME, page, path};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, missing, ok, refused, refusing};

fn package() -> Package {
    Package {
        project: "p1".to_owned(),
        repository: "img".to_owned(),
        key: "docker://nginx".to_owned(),
        name: "nginx".to_owned(),
        r#type: RepositoryType::Docker.into(),
        latest: "1.1".to_owned(),
        version_count: 2,
        create_time: Some(TIME),
        modify_time: Some(TIME),
        created_by: "me".to_owned(),
    }
}

const PACKAGE: &str = r#"{
    "projectId" : "p1",
    "repoName" : "img",
    "name" : "nginx",
    "key" : "docker://nginx",
    "type" : "DOCKER",
    "latest" : "1.1",
    "downloads" : 0,
    "versions" : 2,
    "description" : null,
    "createdBy" : "me",
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "me",
    "lastModifiedDate" : "2022-08-23T10:45:19.79"
  }"#;

const VERSION: &str = r#"{
    "name" : "1.1",
    "size" : 15,
    "downloads" : 0,
    "stageTag" : [ ],
    "metadata" : {
      "a" : "1"
    },
    "tags" : [ ],
    "manifestPath" : "/nginx/manifest/1.1/manifest.json",
    "contentPath" : null,
    "digest" : "sha256:ab",
    "mediaType" : "m",
    "createdBy" : "you",
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "you",
    "lastModifiedDate" : null
  }"#;

fn place() -> [String; 3] {
    ["p1", "img", "docker://nginx"].map(str::to_owned)
}

#[tokio::test]
async fn packages_are_paged() {
    for (query, name) in [("", ""), ("?packageName=ng&pageNumber=1&pageSize=20", "ng")] {
        let answer = ListPackagesResponse { packages: vec![package()], total_size: 5, ..Default::default() };
        let fake = Fake::default().answering(answer);
        let url = path(&format!("package/page/p1/img{query}"));
        assert_eq!(ask(&fake.router(), "GET", &url, "").await, page(PACKAGE));
        let [project, repository, _] = place();
        let name_contains = name.to_owned();
        fake.expect(&[ListPackagesRequest { project, repository, page_size: 20, name_contains, ..Default::default() }]);
    }
}

#[tokio::test]
async fn package_is_told_and_deleted() {
    let fake = Fake::default().answering(GetPackageResponse { package: Some(package()) });
    let url = path("package/info/p1/img?packageKey=docker%3A%2F%2Fnginx");
    assert_eq!(ask(&fake.router(), "GET", &url, "").await, ok(PACKAGE));
    let url = path("package/delete/p1/img?packageKey=docker://nginx");
    assert_eq!(ask(&fake.router(), "DELETE", &url, "").await, done());
    let [project, repository, key] = place();
    fake.expect(&[GetPackageRequest { project: project.clone(), repository: repository.clone(), key: key.clone() }]);
    fake.expect(&[DeletePackageRequest { project, repository, key }]);

    let router = refusing(Code::NotFound, "PACKAGE_NOT_FOUND").router();
    let answer = ask(&router, "GET", &path("package/info/p1/img?packageKey=x"), "").await;
    assert_eq!(answer, refused(404, 251_017, "Package [x] not found"));
}

#[tokio::test]
async fn versions_are_paged() {
    let manifest = Manifest {
        digest: "sha256:ab".to_owned(),
        media_type: "m".to_owned(),
        size: 5,
        content_size: 10,
        ..Manifest::default()
    };
    let version = PackageVersion {
        name: "1.1".to_owned(),
        manifest: Some(manifest),
        metadata: HashMap::from([("a".to_owned(), "1".to_owned())]),
        create_time: Some(TIME),
        modified_by: "you".to_owned(),
        ..PackageVersion::default()
    };
    let answer = ListVersionsResponse { versions: vec![version], total_size: 5, ..Default::default() };
    let fake = Fake::default().answering(answer);
    let url = path("version/page/p1/img?packageKey=docker://nginx&version=1.");
    assert_eq!(ask(&fake.router(), "GET", &url, "").await, page(VERSION));
    let [project, repository, key] = place();
    let name_contains = "1.".to_owned();
    fake.expect(&[ListVersionsRequest {
        project,
        repository,
        key,
        page_size: 20,
        name_contains,
        ..Default::default()
    }]);
}

#[tokio::test]
async fn version_is_deleted() {
    let fake = Fake::default();
    let url = path("version/delete/p1/img?packageKey=docker://nginx&version=1.1");
    assert_eq!(ask(&fake.router(), "DELETE", &url, "").await, done());
    let [project, repository, key] = place();
    fake.expect(&[DeleteVersionRequest { project, repository, key, version: "1.1".to_owned() }]);
}

#[tokio::test]
async fn keys_and_versions_are_needed() {
    for (method, what, name) in [
        ("GET", "package/info/p1/img", "packageKey"),
        ("DELETE", "package/delete/p1/img", "packageKey"),
        ("GET", "version/page/p1/img?version=1", "packageKey"),
        ("DELETE", "version/delete/p1/img?version=1", "packageKey"),
        ("DELETE", "version/delete/p1/img?packageKey=x", "version"),
    ] {
        expect_without_call(method, &path(what), "", &missing(name)).await;
    }
}
