//! The examples of the document, one after the other, answered to the byte.

use crate::common::server::Server;
use crate::common::wait::eventually;
use crate::query::{Reply, ask, ask_ok};

/// An answer that says that it was done, and no more.
const DONE: &str = "{\n\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"<uuid>\"\n}\n";

/// The same with the id of what was made.
const MADE: &str = "{\n\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"<uuid>\",\n\t\"UUID\" : \"<uuid>\"\n}\n";

/// One request of the document, verbatim but for the address.
async fn example(server: &Server, query: &str) -> Reply {
    let answer = server.http().get(&format!("/SnapshotCloneService?{query}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{query}");
    Reply::of(&answer)
}

fn entry(file: &str, length: u64, kind: u8, user: &str) -> String {
    format!(
        "\t\t{{\n\t\t\t\"File\" : \"{file}\",\n\t\t\t\"FileLength\" : {length},\n\t\t\t\"Progress\" : 100,\n\t\t\t\
         \"Readonly\" : false,\n\t\t\t\"Status\" : 0,\n\t\t\t\"StripeCount\" : 0,\n\t\t\t\"StripeUnit\" : 0,\n\t\t\t\
         \"Time\" : <time>,\n\t\t\t\"Type\" : {kind},\n\t\t\t\"User\" : \"{user}\"\n\t\t}}"
    )
}

#[tokio::test]
async fn the_examples_of_the_document_are_answered_as_documented() {
    let server = Server::start().await;
    let created = example(&server, "Action=CreateFile&Version=1.5&User=curve&File=/test1&Size=100").await;
    assert_eq!(created.masked(), DONE);

    let listed = example(&server, "Action=ListFile&Version=1.5&User=curve&Dir=/&Limit=10&Offset=0").await;
    let entries = [
        entry("/RecycleBin", 0, 1, "root"),
        entry("/clone", 0, 1, "root"),
        entry("/test1", 107_374_182_400, 0, "curve"),
    ];
    let expected = format!(
        "{{\n\t\"Code\" : \"0\",\n\t\"FileInfos\" : \n\t[\n{}\n\t],\n\t\"Message\" : \"Exec success.\",\n\t\
         \"RequestId\" : \"<uuid>\",\n\t\"TotalCount\" : 3\n}}\n",
        entries.join(",\n"),
    );
    assert_eq!(listed.masked(), expected);
    let one = example(&server, "Action=ListFile&Version=1.5&User=curve&File=/test1").await;
    assert_eq!((one["TotalCount"].clone(), one.column("FileInfos", "File")), (1.into(), vec!["/test1".into()]));

    let snapshot = example(&server, "Action=CreateSnapshot&Version=1.5&User=curve&File=/test1&Name=snap1").await;
    assert_eq!(snapshot.masked(), MADE);
    let shown =
        example(&server, "Action=GetFileSnapshotInfo&Version=1.5&User=curve&File=/test1&Limit=10&Offset=0").await;
    let expected = "{\n\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"<uuid>\",\n\t\
        \"Snapshots\" : \n\t[\n\t\t{\n\t\t\t\"File\" : \"/test1\",\n\t\t\t\"FileLength\" : 107374182400,\n\t\t\t\
        \"Name\" : \"snap1\",\n\t\t\t\"Progress\" : 100,\n\t\t\t\"SeqNum\" : 1,\n\t\t\t\"Status\" : 0,\n\t\t\t\
        \"Time\" : <time>,\n\t\t\t\"UUID\" : \"<uuid>\",\n\t\t\t\"User\" : \"curve\"\n\t\t}\n\t],\n\t\"TotalCount\" : 1\n}\n";
    assert_eq!(shown.masked(), expected);
    assert_eq!(shown.column("Snapshots", "UUID"), [snapshot["UUID"].clone()]);
    let by_name = example(&server, "Action=GetFileSnapshotInfo&Version=1.5&User=curve&File=/test1&Name=snap1").await;
    assert_eq!(by_name.masked(), expected);

    let cloned =
        example(&server, "Action=Clone&Version=1.5&User=curve&File=/test1&Name=snap1&Destination=/clone1").await;
    assert_eq!(cloned.masked(), MADE);
    let one = example(&server, "Action=ListFile&Version=1.5&User=curve&File=/clone1").await;
    assert_eq!(
        (one.column("FileInfos", "Status"), one.column("FileInfos", "Progress")),
        (vec![2.into()], vec![0.into()])
    );
    let flattened = example(&server, "Action=Flatten&Version=1.5&User=curve&File=/clone1").await;
    assert_eq!(flattened.masked(), DONE);
    eventually("the clone is whole", async || {
        let one = ask_ok(&server, "Action=ListFile&User=curve&File=/clone1").await;
        let is_whole = one.column("FileInfos", "Status") == [0] && one.column("FileInfos", "Progress") == [100];
        is_whole.then_some(())
    })
    .await;

    for (query, rows) in [
        (
            "Action=DeleteSnapshot&Version=1.5&User=curve&File=/test1&Name=snap1",
            "Action=GetFileSnapshotInfo&File=/test1",
        ),
        ("Action=DeleteFile&Version=1.5&User=curve&File=/test1", "Action=GetFileSnapshotInfo&File=/test1"),
    ] {
        assert_eq!(example(&server, query).await.masked(), DONE, "{query}");
        eventually("it is gone", async || {
            let left = ask_ok(&server, &format!("{rows}&User=curve")).await;
            (left["TotalCount"] == 0).then_some(())
        })
        .await;
    }
    assert_eq!(ask(&server, "Action=ListFile&User=curve&File=/test1").await.code(), -8);
}

#[tokio::test]
async fn an_empty_list_is_null_and_an_error_has_an_empty_uuid() {
    let server = Server::start().await;
    let empty = ask(&server, "Action=GetFileSnapshotInfo&User=curve&File=/nowhere").await;
    let expected = "{\n\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"<uuid>\",\n\t\
        \"Snapshots\" : null,\n\t\"TotalCount\" : 0\n}\n";
    assert_eq!((empty.status, empty.masked().as_str()), (200, expected));

    let absent = ask(&server, "Action=ListFile&User=curve&File=/nowhere").await;
    let expected = "{\n\t\"Code\" : \"-8\",\n\t\"Message\" : \"File not exist.\",\n\t\"RequestId\" : \"<uuid>\",\n\t\
        \"UUID\" : \"\"\n}\n";
    assert_eq!((absent.status, absent.masked().as_str()), (500, expected));
    let wrong = ask(&server, "Action=Nothing&User=curve").await;
    let expected = "{\n\t\"Code\" : \"-5\",\n\t\"Message\" : \"BadRequest:\\\"Invalid request.\\\"\",\n\t\
        \"RequestId\" : \"<uuid>\",\n\t\"UUID\" : \"\"\n}\n";
    assert_eq!((wrong.status, wrong.masked().as_str()), (400, expected));
}
