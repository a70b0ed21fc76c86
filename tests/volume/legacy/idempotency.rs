//! The same request again is answered as the first time.

use crate::common::server::Server;
use crate::query::{ask, ask_ok};

#[tokio::test]
async fn the_same_request_again_is_answered_with_the_same_thing() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    let snapshot = ask_ok(&server, "Action=CreateSnapshot&User=u&File=/a&Name=s").await.uuid();
    let by_uuid = format!("Action=Clone&User=u&Source={snapshot}&Lazy=true&Destination=/c");
    for (query, has_uuid) in [
        ("Action=CreateFile&User=u&File=/a&Size=1", false),
        ("Action=CreateSnapshot&User=u&File=/a&Name=s", true),
        ("Action=Clone&User=u&File=/a&Name=s&Destination=/b", true),
        (&by_uuid, true),
        ("Action=Clone&User=u&Source=/a&Lazy=true&Destination=/d", true),
        ("Action=Flatten&User=u&File=/b", false),
        ("Action=DeleteFile&User=u&File=/b", false),
        ("Action=DeleteFile&User=u&File=/nowhere", false),
        ("Action=DeleteSnapshot&User=u&File=/nowhere&Name=s", false),
        ("Action=CleanCloneTask&User=u&UUID=de06df66-b9e4-44df-ba3d-ac94ddee0b28", false),
    ] {
        let done = async || {
            // A flatten that goes on keeps its volume from being deleted.
            crate::common::wait::eventually(query, async || {
                let reply = ask(&server, query).await;
                (reply.code() != -23).then_some(reply)
            })
            .await
        };
        let (first, second) = (done().await, done().await);
        assert_eq!((first.code(), second.code()), (0, 0), "{query}: {} {}", first.text, second.text);
        if has_uuid {
            assert_eq!(first.uuid(), second.uuid(), "{query}");
        }
    }
}

#[tokio::test]
async fn another_clone_at_the_same_place_is_refused() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    for name in ["s", "t"] {
        ask_ok(&server, &format!("Action=CreateSnapshot&User=u&File=/a&Name={name}")).await;
    }
    ask_ok(&server, "Action=Clone&User=u&File=/a&Name=s&Destination=/b").await;
    for query in [
        "Action=Clone&User=u&File=/a&Name=t&Destination=/b",
        "Action=Clone&User=root&File=/a&Name=s&Destination=/b",
        "Action=Clone&User=u&Source=/a&Lazy=true&Destination=/b",
        "Action=Clone&User=u&File=/a&Name=s&Destination=/a",
    ] {
        assert_eq!(ask(&server, query).await.code(), -19, "{query}");
    }
}

#[tokio::test]
async fn a_clone_can_be_made_again_where_one_was_deleted() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    ask_ok(&server, "Action=CreateSnapshot&User=u&File=/a&Name=s").await;
    let first = ask_ok(&server, "Action=Clone&User=u&File=/a&Name=s&Destination=/b").await.uuid();
    ask_ok(&server, "Action=DeleteFile&User=u&File=/b").await;

    let second = ask_ok(&server, "Action=Clone&User=u&File=/a&Name=s&Destination=/b").await.uuid();

    assert_ne!(first, second);
    assert_eq!(ask(&server, "Action=DeleteSnapshot&User=u&File=/a&Name=s").await.code(), -16);
}
