//! The tables of the legacy HTTP contract, row by row and to the byte, under both prefixes.

use crate::common::http::Answer;
use crate::common::server::Server;
use crate::legacy::{
    Api, Ending, GRANTED, INCOMPLETE, MALFORMED, NO_SUBJECT, NOT_FOUND, NOT_RELEASED, QUEUED, SKIPPED, STATUS_DONE,
    STATUS_HELD, STATUS_UNKNOWN, UNLOCKED, body,
};
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull};

/// An answer in JSON, as documented.
fn assert_json(answer: &Answer, expected: (u16, &str)) {
    assert_eq!(answer.parts(), expected);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-length"), Some(expected.1.len().to_string().as_str()));
    assert_eq!(answer.header("x-content-type-options"), None);
}

/// An error in plain text, as documented.
fn assert_text(answer: &Answer, expected: (u16, &str)) {
    assert_eq!(answer.parts(), expected);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

fn number(answer: &Answer, header: &str) -> Option<i64> {
    answer.header(header).map(|value| value.parse().expect("a number"))
}

#[tokio::test]
async fn a_free_lock_is_granted_and_granted_again_to_its_holder() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("free");

        let first = api.lock("pull", &layer, "A").await;
        let again = api.lock("pull", &layer, "A").await;

        assert_json(&first, GRANTED);
        assert_json(&again, GRANTED);
        let token = number(&first, "x-lock-fencing-token").expect("a grant has a fencing token");
        assert!(token > 0);
        assert_eq!(number(&again, "x-lock-fencing-token"), Some(token), "it is the same grant");
        assert_eq!(first.header("x-lock-queue-position"), None);
        assert_eq!(first.header("x-lock-expires"), None, "it never ends by itself");
    }
}

#[tokio::test]
async fn whoever_comes_later_is_queued_and_told_its_place_in_a_header() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("held");
        api.lock("pull", &layer, "A").await;

        let second = api.lock("pull", &layer, "B").await;
        let third = api.lock("pull", &layer, "C").await;

        assert_json(&second, QUEUED);
        assert_json(&third, QUEUED);
        assert_eq!(number(&second, "x-lock-queue-position"), Some(1));
        assert_eq!(number(&third, "x-lock-queue-position"), Some(2));
        assert_eq!(second.header("x-lock-fencing-token"), None);
    }
}

#[tokio::test]
async fn a_lock_that_was_handed_over_is_claimed_with_the_words_of_a_grant() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("handed");
        let first = api.lock("pull", &layer, "A").await;
        api.lock("pull", &layer, "B").await;
        assert_json(&api.unlock("pull", &layer, "A", Ending::Failure).await, UNLOCKED);

        let claimed = api.lock("pull", &layer, "B").await;

        assert_json(&claimed, GRANTED);
        assert!(number(&claimed, "x-lock-fencing-token") > number(&first, "x-lock-fencing-token"));
    }
}

#[tokio::test]
async fn work_that_is_done_is_skipped_by_everybody() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("done");
        api.lock("pull", &layer, "A").await;
        assert_json(&api.unlock("pull", &layer, "A", Ending::Success).await, UNLOCKED);

        assert_json(&api.lock("pull", &layer, "B").await, SKIPPED);
        assert_json(&api.lock("pull", &layer, "A").await, SKIPPED);
    }
}

#[tokio::test]
async fn a_request_that_is_refused_with_a_reason_gets_it_twice_in_a_403() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for api in Api::both(&server) {
        let layer = api.layer("semaphore");
        locks.hold(acquire(&pull(&layer), "A").semaphore(3, 1)).await;

        let answer = api.lock("pull", &layer, "B").await;

        let read: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let message = read["message"].as_str().expect("a message");
        assert!(!message.is_empty(), "it says why");
        let quoted = serde_json::to_string(message).expect("a string");
        let expected = format!("{{\"acquired\":false,\"error\":{quoted},\"message\":{quoted},\"skip\":false}}\n");
        assert_json(&answer, (403, &expected));
    }
}

#[tokio::test]
async fn only_the_holder_unlocks_and_only_with_the_same_key() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("mine");
        api.lock("pull", &layer, "A").await;
        api.lock("pull", &layer, "B").await;

        for ending in [Ending::Success, Ending::Failure] {
            assert_json(&api.unlock("pull", &api.layer("other"), "A", ending).await, NOT_RELEASED);
            assert_json(&api.unlock("update", &layer, "A", ending).await, NOT_RELEASED);
            assert_json(&api.unlock("pull", &layer, "B", ending).await, NOT_RELEASED);
            assert_json(&api.unlock("pull", &layer, "nobody", ending).await, NOT_RELEASED);
        }
        assert_json(&api.unlock("pull", &layer, "A", Ending::Success).await, UNLOCKED);
    }
}

#[tokio::test]
async fn status_is_the_same_by_get_and_by_post() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("status");
        let both = async |node: &str, expected: (u16, &str)| {
            assert_json(&api.status("pull", &layer, node).await, expected);
            assert_json(&api.post("/lock/status", &body("pull", &layer, node, "")).await, expected);
        };

        both("A", STATUS_UNKNOWN).await;
        api.lock("pull", &layer, "A").await;
        both("A", STATUS_HELD).await;
        both("B", STATUS_UNKNOWN).await;
        api.unlock("pull", &layer, "A", Ending::Success).await;
        both("A", STATUS_DONE).await;
        both("B", STATUS_DONE).await;
    }
}

#[tokio::test]
async fn status_needs_no_node() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let unknown = r#"{"type":"pull","resource_id":"sha256:unknown"}"#;
        assert_json(&api.post("/lock/status", unknown).await, STATUS_UNKNOWN);
        assert_json(&api.get("/lock/status?type=pull&resource_id=sha256:unknown").await, STATUS_UNKNOWN);
    }
}

#[tokio::test]
async fn status_reads_percent_encoded_names() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", "库/镜像 a+b", "节点").await;

    let answer = api
        .get("/lock/status?type=pull&resource_id=%E5%BA%93%2F%E9%95%9C%E5%83%8F+a%2Bb&node_id=%E8%8A%82%E7%82%B9")
        .await;

    assert_json(&answer, STATUS_HELD);
}

#[tokio::test]
async fn a_body_that_cannot_be_decoded_is_malformed() {
    let server = Server::start().await;
    let bodies = [
        "",
        " ",
        "{",
        "[]",
        "\"text\"",
        "1",
        "true",
        "no json",
        r#"{"type":"pull""#,
        r#"{"type":1,"resource_id":"sha256:m","node_id":"A"}"#,
        r#"{"type":"pull","resource_id":["sha256:m"],"node_id":"A"}"#,
        r#"{"type":"pull","resource_id":"sha256:m","node_id":{}}"#,
        r#"{"type":"pull","resource_id":"sha256:m","node_id":true}"#,
    ];
    for api in Api::both(&server) {
        for path in ["/lock", "/unlock", "/lock/status"] {
            for body in bodies {
                let answer = api.post(path, body).await;
                assert_eq!(answer.parts(), MALFORMED, "{path} {body:?}");
                assert_text(&answer, MALFORMED);
            }
        }
        for wrong in [r#","success":"yes""#, r#","success":1"#, r#","error":false"#] {
            let answer = api.post("/unlock", &body("pull", "sha256:m", "A", wrong)).await;
            assert_text(&answer, MALFORMED);
        }
    }
}

#[tokio::test]
async fn a_body_that_lacks_a_parameter_is_incomplete() {
    let server = Server::start().await;
    let bodies = [
        "null",
        "{}",
        r#"{"resource_id":"sha256:test123","node_id":"NODEA","success":true}"#,
        r#"{"type":"pull","node_id":"NODEA"}"#,
        r#"{"type":"","resource_id":"sha256:i","node_id":"A"}"#,
        r#"{"type":"pull","resource_id":"","node_id":"A"}"#,
    ];
    let without_node = [r#"{"type":"pull","resource_id":"sha256:i"}"#, &body("pull", "sha256:i", "", "")];
    for api in Api::both(&server) {
        for path in ["/lock", "/unlock"] {
            for body in bodies.into_iter().chain(without_node) {
                let answer = api.post(path, body).await;
                assert_eq!(answer.parts(), INCOMPLETE, "{path} {body:?}");
                assert_text(&answer, INCOMPLETE);
            }
        }
        for body in bodies {
            assert_text(&api.post("/lock/status", body).await, INCOMPLETE);
        }
        for query in ["", "?type=pull", "?resource_id=sha256:i", "?type=&resource_id=sha256:i", "?node_id=A"] {
            assert_text(&api.get(&format!("/lock/status{query}")).await, INCOMPLETE);
        }
    }
}

#[tokio::test]
async fn subscribing_needs_a_type_and_a_resource() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        for query in
            ["", "?type=pull", "?resource_id=sha256:s", "?type=&resource_id=sha256:s", "?type=pull&resource_id="]
        {
            assert_text(&api.get(&format!("/lock/subscribe{query}")).await, NO_SUBJECT);
        }
    }
}

#[tokio::test]
async fn other_methods_are_not_allowed_and_say_nothing() {
    let server = Server::start().await;
    let allowed = [
        ("/lock", &["POST"][..]),
        ("/unlock", &["POST"]),
        ("/lock/status", &["GET", "POST"]),
        ("/lock/subscribe?type=pull&resource_id=sha256:s", &["GET"]),
    ];
    for api in Api::both(&server) {
        for (path, allowed) in allowed {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                if allowed.contains(&method) {
                    continue;
                }
                let answer = api.http.request(method, &api.path(path), &[], b"").await;
                assert_eq!(answer.parts(), (405, ""), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let server = Server::start().await;
    let paths =
        ["/lock/", "/unlock/", "/lock/status/", "/lock/subscribe/", "/Lock", "/UNLOCK", "/lock/Status", "/lock/x"];
    for api in Api::both(&server) {
        for path in paths {
            for method in ["GET", "POST"] {
                let answer = api.http.request(method, &api.path(path), &[], b"").await;
                assert_eq!(answer.parts(), NOT_FOUND, "{method} {path}");
                assert_text(&answer, NOT_FOUND);
            }
        }
    }
}

#[tokio::test]
async fn decoding_is_permissive() {
    let server = Server::start().await;
    let bodies = [
        (r#"{"Type":"pull","RESOURCE_ID":"LAYER","Node_Id":"A"}"#, "keys in another case"),
        (r#"{"type":"pull","resource_id":"LAYER","node_id":"A","extra":[1,{"type":2}],"x":null}"#, "unknown fields"),
        (r#"{"type":"pull","resource_id":"LAYER","node_id":"A"} and {more"#, "bytes after the first value"),
        (r#"{"type":"pull","resource_id":"LAYER","node_id":"B","node_id":"A"}"#, "the last duplicate wins"),
        (r#"{"type":"pull","resource_id":"LAYER","node_id":"B","NODE_ID":"A"}"#, "in whatever case"),
        ("\n\t {\"type\" : \"pull\" , \"resource_id\":\"LAYER\",\r\n\"node_id\":\"A\"}", "white space"),
        (r#"{"type":"pu\u006cl","resource_id":"LAYER","node_id":"A"}"#, "escapes"),
    ];
    for api in Api::both(&server) {
        for (number, (body, what)) in bodies.into_iter().enumerate() {
            let layer = api.layer(&format!("permissive-{number}"));
            let answer = api.post("/lock", &body.replace("LAYER", &layer)).await;
            assert_eq!(answer.parts(), GRANTED, "{what}");
            assert_eq!(api.status("pull", &layer, "A").await.parts(), STATUS_HELD, "{what}");
        }
    }
}

#[tokio::test]
async fn any_type_is_a_key_even_a_blank() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("types");
        for kind in ["image-layer", " ", "拉取", "pull/update", "Pull"] {
            assert_json(&api.lock(kind, &layer, "A").await, GRANTED);
        }
        assert_json(&api.lock(" ", &layer, " ").await, QUEUED);
    }
}

#[tokio::test]
async fn the_content_type_is_never_checked() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let body = body("pull", &api.layer("typeless"), "A", "");
        for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense"] {
            let answer = api.http.request("POST", &api.path("/lock"), &[("Content-Type", kind)], body.as_bytes()).await;
            assert_json(&answer, GRANTED);
        }
        assert_json(&api.http.request("POST", &api.path("/lock"), &[], body.as_bytes()).await, GRANTED);
    }
}

#[tokio::test]
async fn a_body_may_have_64_kib_and_not_a_byte_more() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let start = body("pull", &api.layer("long"), "A", "");
        let longest = start.clone() + &" ".repeat(64 * 1024 - start.len());
        let too_long = format!("{longest} ");
        for path in ["/lock", "/unlock", "/lock/status"] {
            assert_eq!(api.post(path, &longest).await.status, 200, "{path}");
            assert_eq!(api.post(path, &too_long).await.status, 413, "{path}");
            let (head, tail) = too_long.as_bytes().split_at(1000);
            let mut connection = api.http.connect().await;
            let chunked = connection.request_in_chunks("POST", &api.path(path), &[head, tail]).await;
            assert_eq!(chunked.status, 413, "{path} in chunks");
            api.lock("pull", &api.layer("long"), "A").await;
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_read_whole() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let body = body("pull", &api.layer("chunks"), "A", "");
        let (head, tail) = body.as_bytes().split_at(10);
        let mut connection = api.http.connect().await;
        let answer = connection.request_in_chunks("POST", &api.path("/lock"), &[head, tail]).await;
        assert_json(&answer, GRANTED);
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start().await;
    let mut connection = server.http().connect().await;
    for api in Api::both(&server) {
        let layer = api.layer("alive");
        for (path, expected) in
            [("/lock", GRANTED), ("/unlock", UNLOCKED), ("/lock", SKIPPED), ("/lock/status", STATUS_DONE)]
        {
            let body = body("pull", &layer, "A", r#","success":true"#);
            let answer = connection.request("POST", &api.path(path), &[], body.as_bytes()).await;
            assert_eq!(answer.parts(), expected, "{path}");
        }
    }
}
