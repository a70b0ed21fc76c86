//! What is served where, and which methods.

use super::fake::{Fake, Script};
use super::{NAME, ask, empty, error, error_with};
use crate::http::plain;

#[tokio::test]
async fn both_ports_serve_the_root_repository_and_named_ones() {
    for (prefix, path, repository) in
        [("/restic", "/", ""), ("/restic", "/a/", "a"), ("/restic", "/a/b/c%20d/", "a/b/c d"), ("", "/", "")]
    {
        let fake = Fake::new(Script::default());
        for (router, prefix) in [(fake.shared(), prefix), (fake.alone(), "")] {
            let path = format!("{prefix}{path}");
            ask(&router, "POST", &format!("{path}?create=true"), &[]).await;
            ask(&router, "DELETE", &path, &[]).await;
            ask(&router, "HEAD", &format!("{path}config"), &[]).await;
            ask(&router, "GET", &format!("{path}locks/"), &[]).await;
            ask(&router, "DELETE", &format!("{path}keys/{NAME}"), &[]).await;
        }
        let expected = [
            format!("create {repository}"),
            format!("delete {repository}"),
            format!("get {repository}|CONFIG|"),
            format!("list {repository}|OBJECT_TYPE_LOCK"),
            format!("delete {repository}|KEY|{NAME}"),
        ];
        assert_eq!(fake.asked(|asked| asked.calls.clone()), [&expected[..], &expected[..]].concat());
    }
}

#[tokio::test]
async fn shared_port_leaves_paths_of_others_to_them() {
    let router = Fake::new(Script::default()).shared();
    for path in ["/bogus", "/bogus/a/b", "/lock/", "/infer/x", "//config", "/favicon.ico"] {
        assert_eq!(crate::http::get(&router, path).await, plain(404, "404 page not found"), "{path}");
    }
    for method in ["GET", "POST", "DELETE"] {
        for path in ["/bogus/", "/bogus/x", &format!("/bogus/{NAME}")] {
            assert_eq!(ask(&router, method, path, &[]).await, error(400, "Invalid type: bogus"), "{method} {path}");
        }
    }
    assert_eq!(ask(&router, "GET", "/lock", &[]).await, "405\nallow: POST\ncontent-length: 0\n\n");
}

#[tokio::test]
async fn wrong_paths_are_errors_and_never_redirected() {
    let fake = Fake::new(Script::default());
    let (alone, shared) = (fake.alone(), fake.shared());
    let slash = "path is no object, so it has to end with a slash";
    let segment = "path has a segment that no repository can have";
    let name = "name of an object is not 64 lower-case hexadecimal digits";
    for (path, message) in [
        ("/data", slash),
        ("/data/foobar", name),
        ("/config/", "Invalid type: config"),
        ("/config/foo", "Invalid type: config"),
        ("/../config", segment),
        ("/%2e%2e/config", segment),
        (&format!("/data/{NAME}/"), "path goes on behind the name of an object"),
    ] {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            assert_eq!(ask(&alone, method, path, &[]).await, error(400, message), "{method} {path}");
            assert_eq!(ask(&shared, method, path, &[]).await, error(400, message), "{method} {path}");
        }
    }
    for (path, message) in [("/a/b", slash), ("//config", segment), ("/a%2Fb/", segment), ("/a/../b/", segment)] {
        assert_eq!(ask(&alone, "GET", path, &[]).await, error(400, message), "{path}");
        assert_eq!(ask(&shared, "GET", &format!("/restic{path}"), &[]).await, error(400, message), "{path}");
    }
    let many = "/x".repeat(10_000);
    let too_long = error(400, "path is longer than 400 bytes, or a segment of it longer than 255");
    assert_eq!(ask(&alone, "GET", &many, &[]).await, too_long);
    assert_eq!(ask(&shared, "GET", &format!("/restic{many}"), &[]).await, too_long);
    assert!(fake.asked(|asked| asked.calls.is_empty()));
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_allowed() {
    let fake = Fake::new(Script::default());
    let object = format!("/data/{NAME}");
    for (path, allow, refused) in [
        ("/", "POST", &["GET", "HEAD", "PUT", "PATCH", "OPTIONS"][..]),
        ("/data/", "GET", &["HEAD", "POST", "DELETE", "PUT"]),
        ("/config", "HEAD, GET, POST, DELETE", &["PUT", "PATCH", "OPTIONS", "TRACE"]),
        (&object, "HEAD, GET, POST, DELETE", &["PUT", "PATCH", "OPTIONS", "TRACE"]),
    ] {
        for method in refused {
            for router in [fake.alone(), fake.shared()] {
                let answer = ask(&router, method, path, &[]).await;
                let whole = error_with(405, &format!("allow: {allow}\n"), "method not allowed", "");
                let expected = if *method == "HEAD" { whole.split(['{']).next().unwrap() } else { &whole };
                assert_eq!(answer, expected, "{method} {path}");
            }
        }
    }
    assert!(fake.asked(|asked| asked.calls.is_empty()));
}

#[tokio::test]
async fn repository_is_created_only_when_the_query_says_exactly_so() {
    let fake = Fake::new(Script::default());
    for query in ["", "?create", "?create=", "?create=1", "?create=false", "?create=True", "?Create=true"] {
        let answer = ask(&fake.alone(), "POST", &format!("/a/{query}"), &[]).await;
        assert_eq!(answer, error(400, "a repository is created with ?create=true"), "{query}");
    }
    assert!(fake.asked(|asked| asked.calls.is_empty()));
    for query in ["?create=true", "?x=y&create=true", "?create=%74rue"] {
        assert_eq!(ask(&fake.alone(), "POST", &format!("/a/{query}"), &[]).await, empty(200), "{query}");
    }
    assert_eq!(fake.asked(|asked| asked.calls.len()), 3);
}

#[tokio::test]
async fn repository_is_not_deleted() {
    let router = Fake::new(Script::default()).alone();
    assert_eq!(ask(&router, "DELETE", "/", &[]).await, error(501, "remove its directory"));
}
