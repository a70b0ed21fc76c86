//! The commands against a small server: what they print, what they ask for, and how they end.

mod import;
mod tree;

use clap::Parser;
use serde_json::json;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::finding::Problem;

use super::fake::{Fake, key};
use super::*;
use crate::cli::testing::{Output, console_of};
use crate::cli::time;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    restic: ResticArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.restic.command, cli.restic.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

fn objects_of(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seconds_from_now(seconds: i64) -> prost_types::Timestamp {
    time::to_proto(time::now() + jiff::SignedDuration::from_secs(seconds))
}

#[tokio::test]
async fn a_repository_is_created_once() {
    let fake = Fake::start();
    assert_eq!(run(&fake, &["create", "alice/laptop/"]).await, (Exit::DONE, "created alice/laptop\n".to_owned()));
    assert_eq!(run(&fake, &["create", "alice/laptop"]).await.1, "alice/laptop is there already\n");
    let created = objects_of(&run(&fake, &["create", "/", "--json"]).await.1);
    assert_eq!(created[0]["created"], true);
    assert_eq!(created[0]["repository"]["path"], "");
}

#[tokio::test]
async fn a_list_goes_through_all_pages() {
    let fake = Fake::with(&["", "alice", "bob"]);
    fake.change(|state| {
        let alice = state.repositories.get_mut("alice").unwrap();
        (alice.object_count, alice.object_bytes, alice.deleted_bytes, alice.max_bytes) = (3, 3 << 29, 512, 10 << 30);
        alice.last_snapshot_time = Some(seconds_from_now(-3 * 3600));
    });
    let (exit, text) = run(&fake, &["list"]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(
        text,
        "REPOSITORY  OBJECTS  SIZE     DELETED  QUOTA     LAST SNAPSHOT\n\
         /           0        0 B      0 B      none      never\n\
         alice       3        1.5 GiB  512 B    10.0 GiB  3h ago\n\
         bob         0        0 B      0 B      none      never\n"
    );
    let listed = objects_of(&run(&fake, &["list", "--prefix", "al", "--json"]).await.1);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["max_bytes"], json!(10_i64 << 30));
}

#[tokio::test]
async fn an_absent_repository_is_an_error() {
    let error = execute(&Fake::start().url(), &["show", "alice"], &Output::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused by the fake (NOT_FOUND)");
}

#[tokio::test]
async fn a_repository_is_shown_with_its_new_quota() {
    let fake = Fake::with(&["alice"]);
    assert!(run(&fake, &["show", "alice"]).await.1.starts_with("alice\n  objects        0, 0 B\n"));
    assert!(run(&fake, &["quota", "alice", "1.5TiB"]).await.1.contains("  quota          1.5 TiB\n"));
    let shown = objects_of(&run(&fake, &["quota", "alice", "none", "--json"]).await.1);
    assert_eq!(shown[0]["max_bytes"], 0);
}

#[tokio::test]
async fn objects_are_listed_as_they_come() {
    let fake = Fake::with(&["alice"]);
    fake.change(|state| {
        for name in ["ab", "cd"] {
            let place = ("alice".to_owned(), pb::ObjectType::Snapshot, name.to_owned());
            state.objects.insert(place, bytes::Bytes::from_static(b"12345"));
        }
    });
    assert_eq!(run(&fake, &["objects", "alice", "snapshots"]).await.1, "NAME  SIZE\nab    5 B\ncd    5 B\n");
    let listed = objects_of(&run(&fake, &["objects", "alice", "snapshot", "--json"]).await.1);
    assert_eq!(listed, [json!({"name": "ab", "size": 5}), json!({"name": "cd", "size": 5})]);
}

#[tokio::test]
async fn deleted_objects_are_listed_with_their_ages() {
    let fake = Fake::with(&["alice"]);
    let object = pb::Object { key: Some(key(pb::ObjectType::Data, "ab")), size: 2048, arrive_time: None };
    let deleted = pb::DeletedObject {
        object: Some(object),
        delete_time: Some(seconds_from_now(-7200)),
        // Some milliseconds pass until it is shown.
        sweep_time: Some(seconds_from_now(3601)),
        user: "alice".to_owned(),
    };
    fake.change(|state| state.deleted = vec![deleted; 2]);
    let (_, text) = run(&fake, &["deleted", "alice"]).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("OBJECT   SIZE     DELETED  SWEPT"), "{text}");
    assert!(lines[2].starts_with("data/ab  2.0 KiB  2h ago   in 1h"), "{text}");
    assert!(lines[2].ends_with("alice"), "{text}");
    let listed = objects_of(&run(&fake, &["deleted", "alice", "--json"]).await.1);
    assert_eq!(listed[1]["object"]["key"], json!({"repository": "alice", "type": "data", "name": "ab"}));
}

#[tokio::test]
async fn what_is_restored_is_counted() {
    let fake = Fake::with(&["alice"]);
    let words = ["undelete", "alice", "--type", "data", "--since", "2023-11-14T22:13:20Z"];
    assert_eq!(run(&fake, &words).await.1, "restored 2 objects (2.0 KiB) of alice\n");
    let restored = objects_of(&run(&fake, &["undelete", "alice", "--all", "--json"]).await.1);
    assert_eq!(restored, [json!({"restored_count": 2, "restored_bytes": 2048})]);
    fake.look(|state| {
        assert_eq!(state.undeletes[0].r#type(), pb::ObjectType::Data);
        assert_eq!(state.undeletes[0].deleted_since.unwrap().seconds, 1_700_000_000);
        assert_eq!((state.undeletes[1].r#type(), state.undeletes[1].deleted_since), Default::default());
    });
}

#[test]
fn everything_is_restored_only_when_it_is_asked_for() {
    for wrong in [&["undelete", "alice"][..], &["undelete", "alice", "--all", "--type", "data"]] {
        assert!(Cli::try_parse_from(["steward"].iter().chain(wrong)).is_err(), "{wrong:?}");
    }
}

fn finding(problem: Problem, repaired: bool, restored: bool) -> pb::Finding {
    let key = (problem != Problem::Foreign).then(|| key(pb::ObjectType::Data, "ab"));
    pb::Finding { problem: problem.into(), key, detail: "data/ab/ab".to_owned(), repaired, restored }
}

#[tokio::test]
async fn all_repositories_are_verified() {
    let fake = Fake::with(&["", "alice", "bob"]);
    let (exit, text) = run(&fake, &["verify"]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(
        text,
        "/: 3 objects (1.0 KiB) verified; nothing is wrong\n\
         alice: 3 objects (1.0 KiB) verified; nothing is wrong\n\
         bob: 3 objects (1.0 KiB) verified; nothing is wrong\n"
    );
}

#[tokio::test]
async fn findings_are_told_even_if_they_were_repaired() {
    let fake = Fake::with(&["alice"]);
    fake.change(|state| {
        let findings = [
            finding(Problem::Damaged, true, true),
            finding(Problem::Missing, true, false),
            finding(Problem::Foreign, false, false),
        ];
        state.findings.insert("alice".to_owned(), findings.into());
    });
    let (exit, text) = run(&fake, &["verify", "alice", "--repair"]).await;
    assert_eq!(exit, Exit::FOUND);
    assert_eq!(
        text,
        "alice  damaged     data/ab/ab; restored\n\
         alice  missing     data/ab/ab; repaired, but the object may be lost\n\
         alice  foreign     data/ab/ab\n\
         alice: 3 objects (1.0 KiB) verified; 3 findings, 2 of them repaired\n"
    );
    assert!(fake.look(|state| state.verifications[0].repair));
}

#[tokio::test]
async fn findings_are_told_to_programs() {
    let fake = Fake::with(&["alice"]);
    fake.change(|state| {
        state.findings.insert("alice".to_owned(), vec![finding(Problem::Unreadable, true, false)]);
    });
    let (exit, text) = run(&fake, &["verify", "alice", "--json"]).await;
    assert_eq!(exit, Exit::FOUND);
    let expected = [
        json!({"finding": {
            "repository": "alice",
            "problem": "unreadable",
            "key": {"repository": "alice", "type": "data", "name": "ab"},
            "detail": "data/ab/ab",
            "repaired": true,
            "restored": false,
        }}),
        json!({"verified": {"repository": "alice", "object_count": 3, "object_bytes": 1024, "finding_count": 1}}),
    ];
    assert_eq!(objects_of(&text), expected);
}

#[tokio::test]
async fn a_verification_without_an_end_is_none() {
    let fake = Fake::with(&["alice"]);
    assert_eq!(run(&fake, &["verify", "bob"]).await, (Exit::NOT_VERIFIED, String::new()));
    fake.change(|state| state.breaks_off = true);
    assert_eq!(run(&fake, &["verify", "alice"]).await, (Exit::NOT_VERIFIED, String::new()));
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let mut fake = Fake::with(&["alice"]);
    let (url, output) = (fake.url(), Output::new());
    let watch = async { execute(&url, &["watch", "alice", "--type", "snapshot"], &output).await };
    let steps = async {
        output.until(|text| text.lines().count() == 2).await;
        fake.restart();
        while fake.look(|state| state.watches.len()) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        end = watch => panic!("{end:?}"),
        () = steps => {}
    }
    let expected = "2023-11-14T22:13:20Z  now      snapshot/ab  5 B\n2023-11-14T22:13:20Z  stored   snapshot/ab  5 B\n";
    assert_eq!(output.text(), expected);
    fake.look(|state| {
        assert_eq!(state.watches[0].r#type(), pb::ObjectType::Snapshot);
        assert_eq!((state.watches[0].from_revision, state.watches[1].from_revision), (0, 6));
    });
}

#[tokio::test]
async fn a_watch_tells_programs_its_revisions() {
    let fake = Fake::with(&["alice"]);
    let (url, output) = (fake.url(), Output::new());
    tokio::select! {
        end = execute(&url, &["watch", "alice", "--json"], &output) => panic!("{end:?}"),
        () = output.until(|text| text.lines().count() == 3) => {}
    }
    let steps = objects_of(&output.text());
    assert_eq!(steps[1], json!({"revision": 5, "kind": "synced", "object": null}));
    assert_eq!((&steps[2]["revision"], &steps[2]["kind"]), (&json!(6), &json!("stored")));
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
