//! Files on their way to the server and back.

use std::fs;

use serde_json::json;
use steward_proto::artifact::v1 as pb;

use super::*;
use crate::cli::artifact::fake::sha256;

const BYTES: &[u8] = b"0123456789";

/// A directory with the file `a.txt`, and the path of the file.
fn file_with(bytes: &[u8]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.txt");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

fn path_in(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_is_stored_with_what_is_said_of_it() {
    let (fake, (_directory, path)) = (Fake::start(), file_with(BYTES));
    let words = ["put", &path, "p1/files/dir/b.txt", "--meta", "a=1", "--meta", "b=x=y", "--expires", "30d"];
    let expected = format!("p1/files/dir/b.txt: 10 B, sha256 {}\n", sha256(BYTES));
    assert_eq!(said(&fake, &words).await, expected);
    let start = fake.asked::<pb::FileStart>().remove(0);
    let target = start.target.unwrap();
    assert_eq!((start.size, target.ttl.unwrap().seconds, target.overwrite), (10, 30 * 24 * 3600, false));
    assert_eq!((target.metadata["a"].as_str(), target.metadata["b"].as_str()), ("1", "x=y"));
    assert!(failure(&fake, &["put", &path, "p1/files/dir/b.txt"]).await.contains("FILE_EXISTS"));
    let stored = objects_of(&said(&fake, &["put", &path, "p1/files/dir/b.txt", "--overwrite", "--json"]).await);
    assert_eq!(stored[0]["sha256"], sha256(BYTES));
}

#[tokio::test]
async fn a_large_file_and_an_empty_one_are_stored_whole() {
    let fake = Fake::start();
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    for bytes in [&large[..], b""] {
        let (_directory, path) = file_with(bytes);
        said(&fake, &["put", &path, "p1/files/x", "--overwrite"]).await;
        fake.look(|state| assert!(state.files["/x"].1 == bytes));
    }
}

#[tokio::test]
async fn a_file_is_stored_across_interruptions_and_goes_on_where_it_was() {
    let fake = Fake::start();
    let large: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (_directory, path) = file_with(&large);
    let calls = ["start_upload", "write_upload", "get_upload", "finish_upload", "commit_file"];
    fake.change(|state| {
        state.broken_uploads = 2;
        state.lost_answers = calls.map(|call| (call, 1)).into();
    });
    said(&fake, &["put", &path, "p1/files/x"]).await;
    fake.look(|state| assert!(state.files["/x"].1 == large));
    let offsets =
        |fake: &Fake| -> Vec<_> { fake.asked::<pb::WriteStart>().iter().map(|start| start.offset.unwrap()).collect() };
    assert_eq!(offsets(&fake), [0, 524_288, 1_048_576, 2_000_000], "nothing is sent twice");
}

#[tokio::test]
async fn a_file_that_may_not_be_stored_is_refused_before_its_bytes_are_sent() {
    let (fake, (_directory, path)) = (Fake::with(&[("/x", b"other")]), file_with(BYTES));
    assert!(failure(&fake, &["put", &path, "p1/files/x"]).await.contains("FILE_EXISTS"));
    assert!(fake.asked::<pb::StartUploadRequest>().is_empty());
}

#[tokio::test]
async fn a_file_goes_into_a_folder_under_its_name() {
    let (fake, (directory, path)) = (Fake::start(), file_with(BYTES));
    assert!(said(&fake, &["put", &path, "p1/files/dir/"]).await.starts_with("p1/files/dir/a.txt: "));
    assert!(failure(&fake, &["put", "-", "p1/files/dir/"]).await.contains("say what the file is called"));
    let directory = directory.path().to_str().unwrap();
    assert!(failure(&fake, &["put", directory, "p1/files/x"]).await.contains("is a directory"));
}

#[tokio::test]
async fn a_server_with_other_bytes_is_found_out() {
    let (fake, (directory, path)) = (Fake::with(&[("/b", BYTES)]), file_with(BYTES));
    fake.change(|state| state.lies = true);
    assert!(failure(&fake, &["put", &path, "p1/files/a"]).await.contains("other bytes than were sent"));
    let target = path_in(&directory, "b");
    assert!(failure(&fake, &["get", "p1/files/b", &target]).await.contains("damaged"));
    assert!(!fs::exists(&target).unwrap() && !fs::exists(format!("{target}.part")).unwrap());
}

#[tokio::test]
async fn a_file_is_fetched_across_interruptions() {
    let (fake, (directory, path)) = (Fake::with(&[("/dir/b", BYTES), ("/empty", b"")]), file_with(b"old"));
    fake.change(|state| state.broken_downloads = 2);
    let expected = format!("p1/files/dir/b is in {path}: 10 B, sha256 {}\n", sha256(BYTES));
    assert_eq!(said(&fake, &["get", "p1/files/dir/b", &path]).await, expected);
    assert_eq!(fs::read(&path).unwrap(), BYTES);
    assert!(!fs::exists(format!("{path}.part")).unwrap());
    let offsets: Vec<_> = fake.asked::<pb::DownloadBlobRequest>().iter().map(|request| request.offset).collect();
    assert_eq!(offsets, [Some(0), Some(4), Some(8)]);
    // Into a directory, under its own name.
    said(&fake, &["get", "p1/files/empty", directory.path().to_str().unwrap()]).await;
    assert_eq!(fs::read(directory.path().join("empty")).unwrap(), b"");
}

#[tokio::test]
async fn a_download_goes_on_with_what_is_there() {
    let (fake, (directory, _)) = (Fake::with(&[("/b", BYTES)]), file_with(BYTES));
    let target = path_in(&directory, "b");
    let part = format!("{target}.part");
    for (there, resumed_from) in [(&b"01234"[..], 5), (BYTES, 10), (b"more than ten bytes", 0)] {
        fs::write(&part, there).unwrap();
        let fetched = objects_of(&said(&fake, &["get", "p1/files/b", &target, "--continue", "--json"]).await);
        let expected = json!({"file": target, "size": 10, "sha256": sha256(BYTES), "resumed_from": resumed_from});
        assert_eq!(fetched, [expected]);
        assert_eq!(fs::read(&target).unwrap(), BYTES);
    }
    // Without being told to, it begins anew; and what does not belong to the file is found out.
    fs::write(&part, b"xx").unwrap();
    said(&fake, &["get", "p1/files/b", &target]).await;
    fs::write(&part, b"xx").unwrap();
    assert!(failure(&fake, &["get", "p1/files/b", &target, "--continue"]).await.contains("damaged"));
}

#[tokio::test]
async fn two_downloads_do_not_write_the_same_file() {
    let (fake, (directory, _)) = (Fake::with(&[("/b", BYTES)]), file_with(BYTES));
    let target = path_in(&directory, "b");
    let other = fs::File::create(format!("{target}.part")).unwrap();
    other.lock().unwrap();
    assert!(failure(&fake, &["get", "p1/files/b", &target]).await.contains("another download"));
}

#[tokio::test]
async fn a_folder_is_no_file() {
    let fake = Fake::with(&[("/dir/b", BYTES)]);
    assert!(failure(&fake, &["get", "p1/files/dir"]).await.contains("is a folder"));
    assert!(failure(&fake, &["get", "p1/files/none"]).await.contains("FILE_NOT_FOUND"));
}

#[tokio::test]
async fn files_are_listed_below_their_folder() {
    let fake = Fake::with(&[("/dir/a", BYTES), ("/dir/b", b"1"), ("/dir/c/d", b"1")]);
    assert_eq!(said(&fake, &["ls", "p1/files/dir"]).await, "a\nb\nc/d\nz/\n");
    assert_eq!(said(&fake, &["ls", "p1/files/dir", "--deep"]).await, "a\nb\nc/d\n");
    assert_eq!(said(&fake, &["ls", "p1/files/dir/a"]).await, "dir/a\n");
    let table = said(&fake, &["ls", "--long", "p1/files/dir/b"]).await;
    assert_eq!(
        table,
        "SIZE  CHANGED  BY  EXPIRES  SHA-256       PATH\n1 B   -        -   -        6b86b273ff34  dir/b\n"
    );
    let listed = objects_of(&said(&fake, &["ls", "p1/files", "--deep", "--json"]).await);
    assert_eq!((listed.len(), &listed[0]["path"]), (3, &json!("/dir/a")));
}

#[tokio::test]
async fn metadata_is_shown_written_and_taken_away() {
    let fake = Fake::with(&[("/a", BYTES)]);
    assert_eq!(said(&fake, &["meta", "p1/files/a"]).await, "");
    assert_eq!(said(&fake, &["meta", "p1/files/a", "b=2", "a=1"]).await, "a=1\nb=2\n");
    let written = objects_of(&said(&fake, &["meta", "p1/files/a", "--delete", "a", "--json"]).await);
    assert_eq!(written, [json!({"name": "p1/files/a", "metadata": {"b": "2"}})]);
}

#[tokio::test]
async fn files_and_folders_are_deleted() {
    let fake = Fake::with(&[("/a", BYTES), ("/dir/b", b"1"), ("/dir/c", b"1")]);
    assert_eq!(said(&fake, &["rm", "p1/files/a"]).await, "p1/files/a: deleted\n");
    assert_eq!(said(&fake, &["rm", "p1/files/dir", "--folder"]).await, "p1/files/dir: 2 files deleted\n");
    let folders: Vec<_> = fake.asked::<pb::DeleteFileRequest>().iter().map(|request| request.folder).collect();
    assert_eq!(folders, [false, true]);
}
