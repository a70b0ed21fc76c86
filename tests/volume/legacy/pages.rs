//! Lists, page by page.

use serde_json::Value;

use crate::common::server::Server;
use crate::query::{ask, ask_ok};
use crate::vocabulary::Volumes;

#[tokio::test]
async fn volumes_come_by_name_in_pages_that_fit_together() {
    let server = Server::start().await;
    Volumes::of(&server).by("u").make_directory("/d").await;
    for number in 0..25 {
        ask_ok(&server, &format!("Action=CreateFile&User=u&File=/d/v{number:02}&Size=1")).await;
    }
    let page = async |parameters: &str| {
        let reply = ask_ok(&server, &format!("Action=ListFile&User=u&Dir=/d{parameters}")).await;
        assert_eq!(reply["TotalCount"], 25, "{parameters}");
        assert!(reply["FileInfos"].is_null() == reply.column("FileInfos", "File").is_empty(), "{}", reply.text);
        reply.column("FileInfos", "File")
    };
    let names =
        |range: std::ops::Range<u32>| range.map(|number| Value::from(format!("/d/v{number:02}"))).collect::<Vec<_>>();

    for (parameters, expected) in [
        ("", 0..10),
        ("&Limit=10&Offset=10", 10..20),
        ("&Limit=10&Offset=20", 20..25),
        ("&Limit=10&Offset=25", 0..0),
        ("&Limit=0", 0..0),
        ("&Limit=100", 0..25),
        ("&Limit=10Offset=0", 0..10),
        ("&Limit=3abc&Offset=1", 1..4),
        ("&Limit=&Offset=", 0..10),
    ] {
        assert_eq!(page(parameters).await, names(expected), "{parameters}");
    }
    assert_eq!(ask(&server, "Action=ListFile&User=u&Dir=/d&Limit=abc").await.code(), -5);
}

#[tokio::test]
async fn snapshots_come_by_number_and_only_to_their_owner() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    for name in ["c", "a", "b"] {
        ask_ok(&server, &format!("Action=CreateSnapshot&User=u&File=/a&Name={name}")).await;
    }
    let all = ask_ok(&server, "Action=GetFileSnapshotInfo&User=u&File=/a").await;
    assert_eq!(all.column("Snapshots", "Name"), ["c", "a", "b"]);
    assert_eq!(all.column("Snapshots", "SeqNum"), [1, 2, 3]);
    let second = ask_ok(&server, "Action=GetFileSnapshotInfo&User=u&File=/a&Limit=1&Offset=1").await;
    assert_eq!((second.column("Snapshots", "Name"), &second["TotalCount"]), (vec!["a".into()], &3.into()));

    let others = ask_ok(&server, "Action=GetFileSnapshotInfo&User=v&File=/a").await;
    assert_eq!((&others["TotalCount"], others["Snapshots"].is_null()), (&0.into(), true));
    let of_no_path = ask_ok(&server, "Action=GetFileSnapshotInfo&User=u&File=a//").await;
    assert_eq!((&of_no_path["TotalCount"], of_no_path["Snapshots"].is_null()), (&0.into(), true));
    let uuid = all.column("Snapshots", "UUID")[0].as_str().expect("a UUID").to_owned();
    for (query, code) in [
        (format!("User=u&UUID={uuid}"), 0),
        (format!("User=v&UUID={uuid}"), -7),
        (format!("User=u&UUID={uuid}&File=/b"), -11),
        ("User=u&UUID=de06df66-b9e4-44df-ba3d-ac94ddee0b28".to_owned(), -8),
        ("User=u&File=/a&Name=nothing".to_owned(), -8),
        ("User=v&File=/a&Name=a".to_owned(), -7),
    ] {
        assert_eq!(ask(&server, &format!("Action=GetFileSnapshotInfo&{query}")).await.code(), code, "{query}");
    }
    let everybody = ask_ok(&server, "Action=GetFileSnapshotList&Limit=2").await;
    assert_eq!((everybody.column("Snapshots", "Name").len(), &everybody["TotalCount"]), (2, &3.into()));
}

#[tokio::test]
async fn every_form_of_the_path_and_of_the_request_works() {
    let server = Server::start().await;
    let query = "Action=ListFile&Version=0.0.6&User=curve&Dir=%2F";
    for path in ["/SnapshotCloneService", "//SnapshotCloneService", "/SnapshotCloneService/", "/SnapshotCloneService/x"]
    {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let headers = [("Content-Type", "text/plain")];
            let answer = server.http().request(method, &format!("{path}?{query}"), &headers, b"ignored").await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")), "{method} {path}");
        }
    }
    let status = server.http().get("/vars/snapshotcloneserver_status").await;
    assert_eq!(status.parts(), (200, "snapshotcloneserver_status : \"active\"\r\n"));
}
