//! What was answered lasts, and what many do at once is whole.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::common::http::HttpPort;
use crate::layout::{MANIFEST, digest};
use crate::registry::Registry;

/// Pushes an image with a layer of its own; returns its bytes.
async fn push(http: HttpPort, name: &str, tag: &str, seed: &str, subject: Option<&[u8]>) -> Vec<u8> {
    let mut descriptors = Vec::new();
    for (media_type, content) in [("application/vnd.oci.image.config.v1+json", "{}"), ("text/plain", seed)] {
        let digest = digest(content.as_bytes());
        let path = format!("/v2/p1/img/{name}/blobs/uploads/?digest={digest}");
        let answer = http.request("POST", &path, &[], content.as_bytes()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        descriptors.push(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }));
    }
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptors[0] });
    manifest["layers"] = json!([descriptors[1]]);
    if let Some(subject) = subject {
        manifest["subject"] = json!({ "mediaType": MANIFEST, "digest": digest(subject), "size": subject.len() });
    }
    let manifest = serde_json::to_vec(&manifest).expect("JSON");
    let path = format!("/v2/p1/img/{name}/manifests/{tag}");
    let answer = http.request("PUT", &path, &[("Content-Type", MANIFEST)], &manifest).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    manifest
}

#[tokio::test]
async fn what_was_pushed_and_deleted_stays_so_after_a_kill() {
    let mut registry = Registry::start().await;
    let http = registry.http();
    let kept = push(http, "app", "kept", "a layer", None).await;
    let referrer = push(http, "app", "referrer", "a signature", Some(&kept)).await;
    let deleted = push(http, "app", "deleted", "another layer", None).await;
    let answer = registry.ask("DELETE", "app", &format!("manifests/{}", digest(&deleted))).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let answer = registry.ask("DELETE", "app", &format!("blobs/{}", digest(b"another layer"))).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    registry.server().restart().await;

    assert_eq!(registry.tags("app").await, ["kept", "referrer"]);
    assert_eq!(registry.ask("GET", "app", "manifests/kept").await.body, kept);
    assert_eq!(registry.ask("GET", "app", &format!("blobs/{}", digest(b"a layer"))).await.body, b"a layer");
    let found = registry.ask("GET", "app", &format!("referrers/{}", digest(&kept))).await;
    let found: Value = serde_json::from_slice(&found.body).expect("JSON");
    assert_eq!(found["manifests"][0]["digest"], digest(&referrer));
    for gone in [format!("manifests/{}", digest(&deleted)), format!("blobs/{}", digest(b"another layer"))] {
        assert_eq!(registry.ask("GET", "app", &gone).await.status, 404, "{gone}");
    }
}

#[tokio::test]
async fn a_tag_that_many_move_names_a_whole_image_at_all_times() {
    const CLIENTS: usize = 40;
    let registry = Registry::start().await;
    let http = registry.http();
    push(http, "app", "latest", "the first", None).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            push(http, "app", "latest", &format!("layer {client}"), None).await;
            let read = http.get("/v2/p1/img/app/manifests/latest").await;
            assert_eq!(read.status, 200, "{}", read.text());
            assert_eq!(read.header("docker-content-digest"), Some(&*digest(&read.body)));
            let manifest: Value = serde_json::from_slice(&read.body).expect("JSON");
            let layer = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
            let layer = http.get(&format!("/v2/p1/img/app/blobs/{layer}")).await;
            assert_eq!(layer.status, 200, "{}", layer.text());
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("everybody sees a whole image");
    }
    assert_eq!(registry.tags("app").await, ["latest"]);
}
