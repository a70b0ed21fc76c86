//! `steward restic import`.

use std::os::unix::fs::symlink;

use bytes::Bytes;
use serde_json::json;
use steward_proto::restic::v1 as pb;

use super::tree::Files;
use super::{execute, objects_of, run};
use crate::cli::exit::Exit;
use crate::cli::restic::fake::{Fake, name_of};
use crate::cli::testing::Output;

/// The types of what was uploaded to `repository`, in order.
fn uploaded_kinds(fake: &Fake, repository: &str) -> Vec<String> {
    let prefix = format!("{repository} ");
    let kind = |upload: &String| {
        let object = upload.strip_prefix(&prefix)?;
        Some(object.split('/').next()?.to_owned())
    };
    fake.look(|state| state.uploads.iter().filter_map(kind).collect())
}

#[tokio::test]
async fn repositories_are_found_however_deep_and_imported_in_a_safe_order() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    files.repository("alice/laptop");
    // Not a repository: no config.
    files.pack("bob", b"a pack");
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(text, "alice: 5 objects (37 B) imported\nalice/laptop: 5 objects (44 B) imported\n");
    for repository in ["alice", "alice/laptop"] {
        assert_eq!(uploaded_kinds(&fake, repository), ["key", "data", "index", "snapshot", "config"]);
    }
    fake.look(|state| assert!(state.repositories.contains_key("alice/laptop") && state.repositories.len() == 2));
}

#[tokio::test]
async fn a_second_import_sends_nothing() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    run(&fake, &["import", files.word()]).await;
    files.pack("alice", b"a new pack");
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(text, "alice: 1 object (10 B) imported, 5 there already\n");
    fake.look(|state| assert_eq!(state.uploads.len(), 6));
}

#[tokio::test]
async fn a_single_repository_goes_where_it_is_told() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("");
    let words = ["import", files.word(), "--as", "alice/laptop", "--json"];
    let (_, text) = run(&fake, &words).await;
    let expected = json!({"imported": {
        "repository": "alice/laptop",
        "dry_run": false,
        "imported_count": 5,
        "imported_bytes": 32,
        "present_count": 0,
        "failed_count": 0,
    }});
    assert_eq!(objects_of(&text), [expected]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    let (exit, text) = run(&fake, &["import", files.word(), "--dry-run"]).await;
    assert_eq!((exit, text.as_str()), (Exit::DONE, "alice: 5 objects (37 B) would be imported\n"));
    fake.look(|state| assert!(state.repositories.is_empty() && state.uploads.is_empty()));
}

#[tokio::test]
async fn what_is_no_object_is_told_and_skipped() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    let name = name_of(b"elsewhere");
    files.write("alice/keys/notes.txt", b"x");
    files.write(&format!("alice/data/zz/{name}"), b"elsewhere");
    files.write(&format!("alice/data/{name}"), b"elsewhere");
    // These are nobody's business.
    files.write("alice/keys/.hidden", b"x");
    files.write(&format!("alice/data/{}/{name}.rest-server-temp123", &name[..2]), b"x");
    files.write(".steward/other/config", b"x");
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!(exit, Exit::DONE);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        format!("alice  skipped     data/{name}: not a folder of objects"),
        format!("alice  skipped     data/zz/{name}: not an object"),
        "alice  skipped     keys/notes.txt: not an object".to_owned(),
        "alice: 5 objects (37 B) imported".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn directories_that_begin_with_a_dot_are_walked() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository(".alice/.backup");
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!((exit, text.as_str()), (Exit::DONE, ".alice/.backup: 5 objects (46 B) imported\n"));
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_the_others_are_imported() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    let name = files.pack("alice", b"a pack");
    files.write(&format!("alice/data/{}/{name}", &name[..2]), b"a bit rotten");
    let (exit, text) = run(&fake, &["import", files.word(), "--json"]).await;
    assert_eq!(exit, Exit::FOUND);
    let steps = objects_of(&text);
    let note = json!({"note": {
        "problem": "refused",
        "repository": "alice",
        "file": format!("data/{name}"),
        "reason": "refused by the fake (CONTENT_MISMATCH)",
    }});
    assert_eq!(steps[0], note);
    let imported = &steps[1]["imported"];
    assert_eq!((&imported["imported_count"], &imported["failed_count"]), (&json!(5), &json!(1)));
}

#[tokio::test]
async fn objects_of_another_repository_are_not_mixed_in() {
    let (fake, files) = (Fake::with(&["alice"]), Files::new());
    files.repository("alice");
    files.repository("bob");
    fake.change(|state| {
        let place = ("alice".to_owned(), pb::ObjectType::Config, String::new());
        state.objects.insert(place, Bytes::from_static(b"config of other"));
    });
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!((exit, text.as_str()), (Exit::FOUND, "bob: 5 objects (35 B) imported\n"));
    assert!(uploaded_kinds(&fake, "alice").is_empty());
}

#[tokio::test]
async fn a_large_file_goes_in_chunks_and_again_when_the_server_is_busy() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    let bytes = vec![7; 600 * 1024];
    let name = files.pack("alice", &bytes);
    fake.change(|state| state.busy_count = 1);
    let (exit, _) = run(&fake, &["import", files.word(), "--jobs", "1"]).await;
    assert_eq!(exit, Exit::DONE);
    fake.look(|state| {
        assert_eq!(state.largest_chunk, 256 * 1024);
        assert_eq!(state.objects[&("alice".to_owned(), pb::ObjectType::Data, name)], bytes);
    });
}

#[tokio::test]
async fn a_full_repository_does_not_keep_others_from_being_imported() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    files.repository("bob");
    // More than fits between a client and a server that does not read.
    files.pack("alice", &vec![7; 5 * 1024 * 1024]);
    fake.change(|state| state.full.push("alice".to_owned()));
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!((exit, text.as_str()), (Exit::FOUND, "bob: 5 objects (35 B) imported\n"));
    assert!(uploaded_kinds(&fake, "alice").is_empty());
}

#[tokio::test]
async fn links_to_packs_are_followed_and_dead_ones_are_told() {
    let (fake, files) = (Fake::start(), Files::new());
    files.repository("alice");
    let name = files.pack("disk2", b"a pack");
    let (there, here) = (format!("disk2/data/{}", &name[..2]), format!("alice/data/{}", &name[..2]));
    symlink(files.path().join(there), files.path().join(here)).unwrap();
    symlink("/nowhere", files.path().join("alice/keys").join(&name)).unwrap();
    symlink(files.path(), files.path().join("circle")).unwrap();
    let (exit, text) = run(&fake, &["import", files.word()]).await;
    assert_eq!(exit, Exit::FOUND);
    assert!(text.contains(&format!("alice  unreadable  keys/{name}: No such file")), "{text}");
    assert!(text.contains("/  skipped     circle: a symbolic link"), "{text}");
    assert!(text.ends_with("alice: 6 objects (43 B) imported\n"), "{text}");
}

#[tokio::test]
async fn a_directory_without_repositories_is_an_error() {
    let (fake, files) = (Fake::start(), Files::new());
    let error = execute(&fake.url(), &["import", files.word()], &Output::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no repository in /"), "{error}");
    let absent = format!("{}/absent", files.word());
    let error = execute(&fake.url(), &["import", &absent], &Output::new()).await.unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}
