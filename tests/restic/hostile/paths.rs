//! Paths that lead where nobody should get.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::common::http::HttpPort;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::tree::files;
use crate::vocabulary::{Repo, blob};

/// What a path may try. `NAME` stands for the name of an object.
const TRICKS: [&str; 40] = [
    "/../data/NAME",
    "/a/../data/NAME",
    "/a/../../data/NAME",
    "/../../../../../../../../tmp/data/NAME",
    "/a/./data/NAME",
    "/./config",
    "/a/%2e%2e/data/NAME",
    "/%2e%2e/%2e%2e/data/NAME",
    "/%2E%2E/config",
    "/a/.%2e/b/data/NAME",
    "/a/..%2fb/data/NAME",
    "/a%2f..%2f..%2fb/data/NAME",
    "/a%2fb/data/NAME",
    "/a/%252e%252e/../data/NAME",
    "/a%00/data/NAME",
    "/%00/config",
    "/a%0a/data/NAME",
    "/a%5c..%5cb/data/NAME",
    "/a//data/NAME",
    "/a//b/config",
    "//config",
    "//a/config",
    "/a/b//",
    "/a/data//NAME",
    "/a/data/../keys/NAME",
    "/a/data/NAME/../NAME",
    "/a/data/%2e%2e%2fconfig",
    "/a/data/..",
    "/a/data/.",
    "/a/data/NAME%00",
    "/a/data/NAME%0a",
    "/a/data/NAME%2f",
    "/.steward/config",
    "/.steward/data/NAME",
    "/a/.steward/data/NAME",
    "/a/.steward/index/NAME",
    "/.steward-x/config",
    "/.htpasswd/config",
    "/a/config/data/NAME",
    "/a/data/ab/data/NAME",
];

async fn start() -> (Server, [(HttpPort, &'static str); 2]) {
    let server = Setup::default().restic_listen().start().await;
    let ways = [(server.http(), "/restic"), (server.restic(), "")];
    Repo::at(server.restic(), "/a/").create().await;
    Repo::at(server.restic(), "/a/").store("data", &blob("kept")).await;
    (server, ways)
}

/// Everything around the server, apart from what it writes by itself.
fn surroundings(server: &Server) -> BTreeSet<PathBuf> {
    let objects = files(server.home()).into_iter();
    let is_its_own = |part: &OsStr| part == "journal" || part == "records" || part == "server.log";
    objects.filter(|file| !file.iter().any(is_its_own)).collect()
}

/// Tries a path with every method.
async fn assert_leads_nowhere(port: HttpPort, path: &str) {
    let object = blob("planted");
    let path = path.replace("NAME", &object.name);
    let shown = &path[..path.len().min(200)];
    for (method, query, body) in [
        ("GET", "", &b""[..]),
        ("HEAD", "", b""),
        ("POST", "", &object.bytes),
        ("POST", "?create=true", b""),
        ("DELETE", "", b""),
    ] {
        let answer = port.request(method, &format!("{path}{query}"), &[], body).await;
        assert!(matches!(answer.status, 400..=499), "{method} {shown}{query}: {}", answer.status);
        assert_eq!(answer.header("location"), None, "{method} {shown}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_its_repository() {
    let (server, ways) = start().await;
    let before = surroundings(&server);
    for (port, prefix) in ways {
        for trick in TRICKS {
            assert_leads_nowhere(port, &format!("{prefix}{trick}")).await;
        }
    }
    assert_eq!(surroundings(&server), before);
}

#[tokio::test]
async fn paths_without_end_are_refused() {
    let (server, ways) = start().await;
    let before = surroundings(&server);
    for (port, prefix) in ways {
        let segments = "/a".repeat(10_000);
        assert_leads_nowhere(port, &format!("{prefix}{segments}/data/NAME")).await;
        assert_leads_nowhere(port, &format!("{prefix}{}/data/NAME", "/a".repeat(201))).await;
        assert_leads_nowhere(port, &format!("{prefix}/{}/data/NAME", "x".repeat(256))).await;
        assert_leads_nowhere(port, &format!("{prefix}/{}/data/NAME", "x".repeat(40_000))).await;
        assert_leads_nowhere(port, &format!("{prefix}/{}data/NAME", "/".repeat(10_000))).await;
    }
    assert_eq!(surroundings(&server), before);
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_refused() {
    let (_server, ways) = start().await;
    for (port, prefix) in ways {
        assert_leads_nowhere(port, &format!("{prefix}/%ff%fe/data/NAME")).await;
        assert_leads_nowhere(port, &format!("{prefix}/a/data/%ff")).await;
        assert_leads_nowhere(port, &format!("{prefix}/a/%zz/data/NAME")).await;
    }
}

#[tokio::test]
async fn nothing_is_ever_redirected() {
    let (_server, ways) = start().await;
    for (port, prefix) in ways {
        for path in ["/a", "/a/data", "/a//data/", "//", "/a/../a/", "/./", "/a/data/../data/", "/%2e%2e/"] {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let answer = port.request(method, &format!("{prefix}{path}"), &[], b"").await;
                assert!(!(300..400).contains(&answer.status), "{method} {prefix}{path}: {}", answer.status);
            }
        }
    }
}

#[tokio::test]
async fn a_link_in_the_tree_does_not_lead_out_of_it() {
    let (server, _) = start().await;
    let outside = temporary::directory();
    let repo = Repo::at(server.restic(), "/a/");
    let secret = blob("a secret");
    std::fs::write(outside.path().join(&secret.name), &secret.bytes).expect("a file can be written");
    let link = server.data().join("restic/linked");
    std::os::unix::fs::symlink(outside.path(), &link).expect("a link can be made");

    let linked = Repo::at(server.restic(), "/linked/");
    let answers = [linked.get("data/").await, linked.post("?create=true", b"").await];

    // Who can make a link in the tree may do anything; but nothing is to fail because of one.
    assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
    assert!(repo.has("data", &blob("kept")).await);
}
