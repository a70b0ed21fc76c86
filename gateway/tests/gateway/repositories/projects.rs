//! Projects and repositories.

use steward_proto::artifact::v1::*;
use tonic::Code;

use super::{TIME, page, path};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, invalid, ok, refused, refusing, unreadable};

#[tokio::test]
async fn project_is_created() {
    let fake = Fake::default();
    for body in [
        r#"{"name":"p1"}"#,
        r#"{"name":"p1","displayName":null,"description":null}"#,
        r#"{"name":"p1","displayName":"P","description":"d"}"#,
    ] {
        assert_eq!(ask(&fake.router(), "POST", &path("project/create"), body).await, done());
    }
    let plain = CreateProjectRequest { name: "p1".to_owned(), ..CreateProjectRequest::default() };
    let full = CreateProjectRequest { display_name: "P".to_owned(), description: "d".to_owned(), ..plain.clone() };
    fake.expect(&[plain.clone(), plain, full]);
    for body in ["", "{}", r#"{"name":null}"#, r#"{"name":1}"#] {
        expect_without_call("POST", &path("project/create"), body, &unreadable()).await;
    }
    let router = refusing(Code::AlreadyExists, "PROJECT_EXISTS").router();
    let answer = ask(&router, "POST", &path("project/create"), r#"{"name":"x"}"#).await;
    assert_eq!(answer, refused(400, 251_005, "Project [x] existed"));
}

#[tokio::test]
async fn projects_are_listed() {
    let project =
        Project { name: "p1".to_owned(), created_by: "me".to_owned(), create_time: Some(TIME), ..Project::default() };
    let fake = Fake::default().answering(ListProjectsResponse { projects: vec![project], ..Default::default() });
    let expected = r#"[ {
    "name" : "p1",
    "displayName" : "",
    "description" : "",
    "createdBy" : "me",
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "",
    "lastModifiedDate" : null
  } ]"#;
    assert_eq!(ask(&fake.router(), "GET", &path("project/list"), "").await, ok(expected));
    fake.expect(&[ListProjectsRequest { page_size: 1000, page_token: String::new() }]);
}

#[tokio::test]
async fn repository_is_created() {
    let plain = CreateRepositoryRequest {
        project: "p1".to_owned(),
        name: "gen".to_owned(),
        r#type: RepositoryType::Generic.into(),
        category: RepositoryCategory::Composite.into(),
        ..CreateRepositoryRequest::default()
    };
    let full = CreateRepositoryRequest {
        r#type: RepositoryType::Docker.into(),
        category: RepositoryCategory::Local.into(),
        public: true,
        description: "d".to_owned(),
        ..plain.clone()
    };
    for (fields, expected) in [
        (r#""type":"GENERIC""#, plain.clone()),
        (r#""type":"GENERIC","category":null,"public":null,"description":null,"configuration":{"type":"x"}"#, plain),
        (r#""type":"DOCKER","category":"LOCAL","public":true,"description":"d""#, full),
    ] {
        let fake = Fake::default();
        let body = format!(r#"{{"projectId":"p1","name":"gen",{fields}}}"#);
        assert_eq!(ask(&fake.router(), "POST", &path("repo/create"), &body).await, done());
        fake.expect(&[expected]);
    }
    for (fields, expected) in [
        (r#""type":"GENERIC","category":"REMOTE""#, invalid("category")),
        (r#""type":"GENERIC","category":"VIRTUAL""#, invalid("category")),
        (r#""type":"GENERIC","category":"OTHER""#, unreadable()),
        (r#""type":"FTP""#, unreadable()),
        (r#""type":null"#, unreadable()),
        (r#""public":true"#, unreadable()),
    ] {
        let body = format!(r#"{{"projectId":"p1","name":"gen",{fields}}}"#);
        expect_without_call("POST", &path("repo/create"), &body, &expected).await;
    }
}

fn repository() -> Repository {
    Repository {
        project: "p1".to_owned(),
        name: "img".to_owned(),
        r#type: RepositoryType::Oci.into(),
        category: RepositoryCategory::Local.into(),
        public: true,
        created_by: "me".to_owned(),
        create_time: Some(TIME),
        modified_by: "you".to_owned(),
        modify_time: Some(TIME),
        ..Repository::default()
    }
}

const SHOWN: &str = r#"{
    "projectId" : "p1",
    "name" : "img",
    "type" : "OCI",
    "category" : "LOCAL",
    "public" : true,
    "description" : "",
    "configuration" : { },
    "storageCredentialsKey" : null,
    "createdBy" : "me",
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "you",
    "lastModifiedDate" : "2022-08-23T10:45:19.79",
    "quota" : null,
    "used" : null
  }"#;

#[tokio::test]
async fn repository_is_told_or_null() {
    for (what, expected) in [
        ("repo/info/p1/img", ok(SHOWN)),
        ("repo/info/p1/img/OCI", ok(SHOWN)),
        ("repo/info/p1/img/oci", ok(SHOWN)),
        ("repo/info/p1/img/GENERIC", done()),
        ("repo/exist/p1/img", ok("true")),
    ] {
        let fake = Fake::default().answering(GetRepositoryResponse { repository: Some(repository()) });
        assert_eq!(ask(&fake.router(), "GET", &path(what), "").await, expected, "{what}");
        let [project, repository] = ["p1", "img"].map(str::to_owned);
        fake.expect(&[GetRepositoryRequest { project, repository }]);
    }
    let router = refusing(Code::NotFound, "REPOSITORY_NOT_FOUND").router();
    for (what, expected) in
        [("repo/info/p1/img", done()), ("repo/info/p1/img/OCI", done()), ("repo/exist/p1/img", ok("false"))]
    {
        assert_eq!(ask(&router, "GET", &path(what), "").await, expected, "{what}");
    }
    expect_without_call("GET", &path("repo/info/p1/img/FTP"), "", &invalid("type")).await;
}

#[tokio::test]
async fn repositories_are_listed_and_paged() {
    let asked = |page_size, name: &str, kind: RepositoryType| ListRepositoriesRequest {
        project: "p1".to_owned(),
        page_size,
        name_prefix: name.to_owned(),
        r#type: kind.into(),
        ..ListRepositoriesRequest::default()
    };
    let any = RepositoryType::Unspecified;
    for (what, expected, asked) in [
        ("repo/list/p1", ok(&format!("[ {SHOWN} ]")), asked(1000, "", any)),
        ("repo/list/p1?name=i&type=oci", ok(&format!("[ {SHOWN} ]")), asked(1000, "i", RepositoryType::Oci)),
        ("repo/page/p1/1/20", page(SHOWN), asked(20, "", any)),
        ("repo/page/p1/0/20?name=i", page(SHOWN), asked(20, "i", any)),
    ] {
        let answer = ListRepositoriesResponse { repositories: vec![repository()], total_size: 5, ..Default::default() };
        let fake = Fake::default().answering(answer);
        assert_eq!(ask(&fake.router(), "GET", &path(what), "").await, expected, "{what}");
        fake.expect(&[asked]);
    }
    for (what, name) in [
        ("repo/list/p1?type=FTP", "type"),
        ("repo/page/p1/1/0", "pageSize"),
        ("repo/page/p1/1/x", "pageSize"),
        ("repo/page/p1/x/1", "pageNumber"),
    ] {
        expect_without_call("GET", &path(what), "", &invalid(name)).await;
    }
}

#[tokio::test]
async fn repository_is_deleted_with_what_is_in_it_only_when_that_is_said() {
    for (query, force) in [("", false), ("?forced=false", false), ("?forced=true", true)] {
        let fake = Fake::default();
        let answer = ask(&fake.router(), "DELETE", &path(&format!("repo/delete/p1/img{query}")), "").await;
        assert_eq!(answer, done());
        let [project, repository] = ["p1", "img"].map(str::to_owned);
        fake.expect(&[DeleteRepositoryRequest { project, repository, force }]);
    }
}
