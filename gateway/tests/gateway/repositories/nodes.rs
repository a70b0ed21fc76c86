//! Files, folders, and what is written on them.

use std::collections::HashMap;

use steward_proto::artifact::v1::*;
use tonic::Code;

use super::{TIME, page, path};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, invalid, ok, refused, refusing, unreadable};

fn file() -> File {
    File {
        project: "p1".to_owned(),
        repository: "gen".to_owned(),
        path: "/d/a b.txt".to_owned(),
        size: 5,
        sha256: "ab".to_owned(),
        md5: "cd".to_owned(),
        crc64ecma: "12".to_owned(),
        metadata: HashMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
        created_by: "me".to_owned(),
        create_time: Some(TIME),
        expire_time: Some(TIME),
        ..File::default()
    }
}

const SHOWN: &str = r#"{
    "createdBy" : "me",
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "",
    "lastModifiedDate" : null,
    "folder" : false,
    "path" : "/d/",
    "name" : "a b.txt",
    "fullPath" : "/d/a b.txt",
    "size" : 5,
    "sha256" : "ab",
    "md5" : "cd",
    "crc64ecma" : "12",
    "metadata" : {
      "a" : "1",
      "b" : "2"
    },
    "projectId" : "p1",
    "repoName" : "gen",
    "expireDate" : "2022-08-23T10:45:19.79"
  }"#;

fn place() -> [String; 2] {
    ["p1", "gen"].map(str::to_owned)
}

#[tokio::test]
async fn file_is_told() {
    for (what, full) in [("p1/gen/d/a%20b.txt", "/d/a b.txt"), ("p1/gen", "/"), ("p1/gen/%E4%B8%AD", "/中")] {
        let fake = Fake::default().answering(GetFileResponse { file: Some(file()) });
        assert_eq!(ask(&fake.router(), "GET", &path(&format!("node/detail/{what}")), "").await, ok(SHOWN));
        let [project, repository] = place();
        fake.expect(&[GetFileRequest { project, repository, path: full.to_owned() }]);
    }
    let router = refusing(Code::NotFound, "FILE_NOT_FOUND").router();
    let answer = ask(&router, "GET", &path("node/detail/p1/gen/x"), "").await;
    assert_eq!(answer, refused(404, 251_010, "Node [x] not found"));
}

#[tokio::test]
async fn folder_has_no_digests() {
    let folder = File { folder: true, path: "/d".to_owned(), ..File::default() };
    let fake = Fake::default().answering(GetFileResponse { file: Some(folder) });
    let answer = ask(&fake.router(), "GET", &path("node/detail/p1/gen/d"), "").await;
    for part in
        [r#""folder" : true"#, r#""path" : "/""#, r#""sha256" : null"#, r#""md5" : null"#, r#""metadata" : { }"#]
    {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
}

#[tokio::test]
async fn folder_is_paged() {
    let [project, repository] = place();
    let asked = ListFilesRequest {
        project,
        repository,
        folder: "/".to_owned(),
        include_folders: true,
        page_size: 20,
        ..ListFilesRequest::default()
    };
    for (what, asked) in [
        ("p1/gen", asked.clone()),
        ("p1/gen/", asked.clone()),
        ("p1/gen/d%20e/f", ListFilesRequest { folder: "/d e/f".to_owned(), ..asked.clone() }),
        (
            "p1/gen?deep=true&includeFolder=false&includeMetadata=true",
            ListFilesRequest { deep: true, include_folders: false, include_metadata: true, ..asked },
        ),
    ] {
        let answer = ListFilesResponse { files: vec![file()], total_size: 5, ..Default::default() };
        let fake = Fake::default().answering(answer);
        assert_eq!(ask(&fake.router(), "GET", &path(&format!("node/page/{what}")), "").await, page(SHOWN), "{what}");
        fake.expect(&[asked]);
    }
    expect_without_call("GET", &path("node/page/p1/gen?pageSize=x"), "", &invalid("pageSize")).await;
}

#[tokio::test]
async fn metadata_is_read_saved_and_deleted() {
    let fake = Fake::default().answering(GetFileResponse { file: Some(file()) });
    let url = path("metadata/p1/gen/d/a");
    let expected = "{\n    \"a\" : \"1\",\n    \"b\" : \"2\"\n  }";
    assert_eq!(ask(&fake.router(), "GET", &url, "").await, ok(expected));
    let body = r#"{"metadata":{"a":"x","n":1.5,"t":true},"nodeMetadata":[{"key":"l","value":"y","system":false}]}"#;
    assert_eq!(ask(&fake.router(), "POST", &url, body).await, done());
    assert_eq!(ask(&fake.router(), "POST", &url, r#"{"metadata":null,"nodeMetadata":null}"#).await, done());
    assert_eq!(ask(&fake.router(), "DELETE", &url, r#"{"keyList":["a","b"]}"#).await, done());
    let [project, repository] = place();
    let change = UpdateFileMetadataRequest { project, repository, path: "/d/a".to_owned(), ..Default::default() };
    let saved = [("a", "x"), ("n", "1.5"), ("t", "true"), ("l", "y")];
    let metadata = saved.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    fake.expect(&[
        UpdateFileMetadataRequest { metadata, ..change.clone() },
        change.clone(),
        UpdateFileMetadataRequest { delete_keys: vec!["a".to_owned(), "b".to_owned()], ..change },
    ]);
    for (method, body) in [
        ("POST", ""),
        ("POST", r#"{"metadata":{"a":{}}}"#),
        ("POST", r#"{"nodeMetadata":[{"key":"a"}]}"#),
        ("DELETE", "{}"),
        ("DELETE", r#"{"keyList":null}"#),
    ] {
        expect_without_call(method, &url, body, &unreadable()).await;
    }
}
