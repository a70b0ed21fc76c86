//! Bytes that many send at once.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::layout::digest;
use crate::registry::Registry;

const CLIENTS: usize = 1000;
const IMAGES: usize = 10;

#[tokio::test]
async fn a_blob_that_a_thousand_push_at_once_is_stored_once() {
    let mut registry = Registry::start().await;
    let http = registry.http();
    let content: Arc<Vec<u8>> = Arc::new(vec![42; 100_000]);
    let digest = digest(&content);
    let all_have_begun = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (content, digest, all_have_begun) = (Arc::clone(&content), digest.clone(), Arc::clone(&all_have_begun));
        clients.spawn(async move {
            let mut connection = http.connect().await;
            let uploads = format!("/v2/p1/img/app{}/blobs/uploads/", client % IMAGES);
            if client % 3 == 0 {
                all_have_begun.wait().await;
                let at_once = format!("{uploads}?digest={digest}");
                let pushed = connection.request("POST", &at_once, &[], &content).await;
                assert_eq!(pushed.status, 201, "{}", pushed.text());
                return;
            }
            let begun = connection.request("POST", &uploads, &[], b"").await;
            assert_eq!(begun.status, 202, "{}", begun.text());
            all_have_begun.wait().await;
            let mut location = begun.header("location").expect("a location").to_owned();
            let mut rest = &content[..];
            if client % 3 == 1 {
                let patched = connection.request("PATCH", &location, &[], &content).await;
                assert_eq!(patched.status, 202, "{}", patched.text());
                patched.header("location").expect("a location").clone_into(&mut location);
                rest = b"";
            }
            let ended = connection.request("PUT", &format!("{location}?digest={digest}"), &[], rest).await;
            assert_eq!(ended.status, 201, "{}", ended.text());
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("everybody is answered 201");
    }
    for image in 0..IMAGES {
        let read = http.get(&format!("/v2/p1/img/app{image}/blobs/{digest}")).await;
        assert!(read.status == 200 && read.body == *content, "it is in every image");
    }
    let blobs = registry.server().data().join("blobs");
    assert_eq!(files(&blobs.join("sha256")), 1, "stored once");
    assert_eq!((files(&blobs.join("uploads")), files(&blobs.join("staging"))), (0, 0), "and nothing beside it");
}

fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
