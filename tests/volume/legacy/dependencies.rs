//! What depends on what: each action on volumes in each state, by the owner, by somebody else and by `root`.

use crate::common::server::{Server, Setup};
use crate::query::{ask, ask_ok};
use crate::vocabulary::{MIB, Volumes, noise};
use crate::wire::Nbd;

/// Slow enough that what is being flattened is so for the whole test.
const SLOW: &str = "[volumes]\ncopy_bytes_per_second = 4096\nrunning_operations = 64";

const OWNER: &str = "alice";
const OTHER: &str = "mallory";

/// How the volume under test is when the action comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Directory,
    Plain,
    WithSnapshot,
    WithClone,
    Unflattened,
    Flattening,
    Open,
}

use State::{Absent, Directory, Flattening, Open, Plain, Unflattened, WithClone, WithSnapshot};

/// For an action on `FILE` in a state: what the owner, somebody else, and `root` are told.
const TABLE: [(&str, State, [i32; 3]); 33] = [
    ("Action=DeleteFile&File=FILE", Absent, [0, 0, 0]),
    ("Action=DeleteFile&File=FILE", Directory, [0, -7, 0]),
    ("Action=DeleteFile&File=FILE", Plain, [0, -7, 0]),
    ("Action=DeleteFile&File=FILE", WithSnapshot, [-22, -7, -22]),
    ("Action=DeleteFile&File=FILE", WithClone, [-22, -7, -22]),
    ("Action=DeleteFile&File=FILE", Unflattened, [0, -7, 0]),
    ("Action=DeleteFile&File=FILE", Flattening, [-23, -7, -23]),
    ("Action=DeleteFile&File=FILE", Open, [-23, -7, -23]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Absent, [-8, -8, -8]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Directory, [-21, -21, -21]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Plain, [0, -7, 0]),
    ("Action=CreateSnapshot&File=FILE&Name=new", WithSnapshot, [0, -7, 0]),
    ("Action=CreateSnapshot&File=FILE&Name=new", WithClone, [0, -7, 0]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Unflattened, [0, -7, 0]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Flattening, [-9, -7, -9]),
    ("Action=CreateSnapshot&File=FILE&Name=new", Open, [0, -7, 0]),
    ("Action=DeleteSnapshot&File=FILE&Name=old", Absent, [0, 0, 0]),
    ("Action=DeleteSnapshot&File=FILE&Name=old", Plain, [0, 0, 0]),
    ("Action=DeleteSnapshot&File=FILE&Name=old", WithSnapshot, [0, -7, 0]),
    ("Action=DeleteSnapshot&File=FILE&Name=old", WithClone, [-16, -7, -16]),
    ("Action=Clone&File=FILE&Name=old&Destination=FILE-WHO", Absent, [-8, -8, -8]),
    ("Action=Clone&File=FILE&Name=old&Destination=FILE-WHO", Plain, [-8, -8, -8]),
    ("Action=Clone&File=FILE&Name=old&Destination=FILE-WHO", WithSnapshot, [0, -7, 0]),
    ("Action=Clone&File=FILE&Name=old&Destination=FILE-WHO", WithClone, [0, -7, 0]),
    ("Action=Clone&File=FILE&Name=old&Destination=/taken", WithSnapshot, [-19, -19, -19]),
    ("Action=Clone&File=FILE&Name=old&Destination=/no/where", WithSnapshot, [-8, -7, -8]),
    ("Action=Flatten&File=FILE", Absent, [-8, -8, -8]),
    ("Action=Flatten&File=FILE", Directory, [-24, -7, -24]),
    ("Action=Flatten&File=FILE", Plain, [0, -7, 0]),
    ("Action=Flatten&File=FILE", Unflattened, [0, -7, 0]),
    ("Action=Flatten&File=FILE", Flattening, [0, -7, 0]),
    ("Action=Clone&Source=FILE&Lazy=true&Destination=FILE-WHO", Absent, [-8, -8, -8]),
    ("Action=Clone&Source=FILE&Lazy=true&Destination=FILE-WHO", Flattening, [-9, -9, -9]),
];

/// A server with a snapshot `/base@old` that has bytes to be copied.
async fn start() -> Server {
    let server = Setup::default().config(SLOW).start().await;
    for file in ["/base", "/taken"] {
        ask_ok(&server, &format!("Action=CreateFile&User={OWNER}&File={file}&Size=1")).await;
    }
    let mut base = Nbd::open(&server, "/base").await;
    base.write(0, &noise(1, 4 * MIB)).await;
    base.close().await;
    ask_ok(&server, &format!("Action=CreateSnapshot&User={OWNER}&File=/base&Name=old")).await;
    server
}

/// Brings a new volume into a state; a connection stays open as long as it has to.
async fn prepare(server: &Server, file: &str, state: State) -> Option<Nbd> {
    let create = format!("Action=CreateFile&User={OWNER}&File={file}&Size=1");
    let snapshot = format!("Action=CreateSnapshot&User={OWNER}&File={file}&Name=old");
    let clone = format!("Action=Clone&User={OWNER}&File={file}&Name=old&Destination={file}-clone");
    let of_base = format!("Action=Clone&User={OWNER}&File=/base&Name=old&Destination={file}");
    let flatten = format!("Action=Flatten&User={OWNER}&File={file}");
    let steps: &[&String] = match state {
        Absent | Directory => &[],
        Plain | Open => &[&create],
        WithSnapshot => &[&create, &snapshot],
        WithClone => &[&create, &snapshot, &clone],
        Unflattened => &[&of_base],
        Flattening => &[&of_base, &flatten],
    };
    for step in steps {
        ask_ok(server, step).await;
    }
    if state == Directory {
        Volumes::of(server).by(OWNER).make_directory(file).await;
    }
    if state == Open { Some(Nbd::open(server, file).await) } else { None }
}

#[tokio::test]
async fn each_action_is_answered_by_the_state_of_the_volume_and_by_who_asks() {
    let server = start().await;
    let mut wrong = Vec::new();
    for (number, (action, state, codes)) in TABLE.iter().enumerate() {
        for (who, expected) in [OWNER, OTHER, "root"].into_iter().zip(codes) {
            let file = format!("/v{number}-{who}");
            let _open = prepare(&server, &file, *state).await;
            let query = action.replace("FILE", &file).replace("WHO", "copy");

            let reply = ask(&server, &format!("{query}&User={who}")).await;

            let status = if *expected == 0 { 200 } else { 500 };
            if (reply.code(), reply.status) != (*expected, status) {
                wrong.push(format!("{action} of {state:?} by {who}: {} instead of {expected}", reply.code()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn an_action_without_what_it_needs_is_a_bad_request() {
    let server = Server::start().await;
    for query in [
        "Action=CreateFile&File=/a&Size=1",
        "Action=CreateFile&User=u&Size=1",
        "Action=CreateFile&User=u&File=/a",
        "Action=CreateFile&User=u&File=/a&Size=",
        "Action=CreateFile&User=u&File=/a&Size=much",
        "Action=DeleteFile&User=u",
        "Action=ListFile&User=u",
        "Action=CreateSnapshot&User=u&File=/a",
        "Action=DeleteSnapshot&User=u&File=/a",
        "Action=CancelSnapshot&User=u&File=/a",
        "Action=GetFileSnapshotInfo&User=u",
        "Action=Clone&User=u&File=/a&Destination=/b",
        "Action=Clone&User=u&Source=/a&Destination=/b",
        "Action=Clone&User=u&Source=/a&Destination=/b&Lazy=perhaps",
        "Action=Flatten&User=u",
        "Action=CleanCloneTask&User=u",
        "Action=",
        "User=u",
    ] {
        let reply = ask(&server, query).await;
        assert_eq!((reply.status, reply.code()), (400, -5), "{query}");
    }
    let without_version = server.http().get("/SnapshotCloneService?Action=ListFile&User=u&Dir=/").await;
    assert_eq!(without_version.status, 400);
}

#[tokio::test]
async fn a_volume_that_cannot_be_is_refused_with_the_documented_code() {
    let server = Server::start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/taken&Size=1").await;
    Volumes::of(&server).by("v").make_directory("/of-v").await;
    for (parameters, code) in [
        ("File=/a&Size=0", -24),
        ("File=/a&Size=99999", -21),
        ("File=a&Size=1", -24),
        ("File=/a//b&Size=1", -24),
        ("File=/a/&Size=1", -24),
        ("File=/nowhere/a&Size=1", -8),
        ("File=/taken/a&Size=1", -9),
        ("File=/of-v/a&Size=1", -7),
        ("File=/taken&Size=1", 0),
        ("File=/taken&Size=2", -19),
        ("File=/a&Size=1&PoolSet=nowhere", -8),
        ("File=/a&Size=1&StripeUnit=4096", -24),
        ("File=/a&Size=1&StripeUnit=1000&StripeCount=2", -24),
        ("File=/a&Size=1&StripeUnit=65536&StripeCount=4", 0),
    ] {
        let reply = ask(&server, &format!("Action=CreateFile&User=u&{parameters}")).await;
        assert_eq!(reply.code(), code, "{parameters}: {}", reply.text);
    }
    let others = ask(&server, "Action=CreateFile&User=v&File=/taken&Size=1").await;
    assert_eq!(others.code(), -19, "somebody else's of that size");
}
