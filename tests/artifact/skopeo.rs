//! skopeo.

use std::fs;

use serde_json::Value;

use crate::layout::Layout;
use crate::registry::Registry;
use crate::tool::Tool;

/// What a copy to or from a server without TLS needs, and what keeps digests as they are.
const COPY: [&str; 5] =
    ["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];

fn find(needed_by: &str) -> Option<Tool> {
    Tool::find("skopeo", needed_by)
}

async fn push(skopeo: &Tool, registry: &Registry, layout: &Layout, image: &str, further: &[&str]) {
    let from = format!("oci:{}:latest", layout.path());
    let to = format!("docker://{}", registry.image(image));
    skopeo.ok(&[&COPY[..], further, &[&from, &to]].concat()).await;
}

#[tokio::test]
async fn image_is_pushed_inspected_and_pulled() {
    let Some(skopeo) = find("image_is_pushed_inspected_and_pulled") else { return };
    let registry = Registry::start().await;
    let layout = Layout::image(&[b"one", &vec![7; 300_000]]);
    push(&skopeo, &registry, &layout, "tools/nginx:1.0", &[]).await;
    assert_eq!(registry.digest("tools/nginx", "1.0").await.as_deref(), Some(layout.digest.as_str()));

    let remote = format!("docker://{}", registry.image("tools/nginx:1.0"));
    let raw = skopeo.ok(&["inspect", "--raw", "--tls-verify=false", &remote]).await;
    assert_eq!(raw.as_bytes(), layout.content);
    let inspected: Value = serde_json::from_str(&skopeo.ok(&["inspect", "--tls-verify=false", &remote]).await).unwrap();
    assert_eq!(inspected["Digest"], layout.digest);

    let local = skopeo.home().join("pulled");
    let to = format!("dir:{}", local.display());
    skopeo.ok(&[&COPY[..], &[&remote, &to]].concat()).await;
    assert_eq!(fs::read(local.join("manifest.json")).unwrap(), layout.content);

    // What is there already is not sent again, and another tag of it is a tag of the same.
    push(&skopeo, &registry, &layout, "tools/nginx:1.1", &[]).await;
    assert_eq!(registry.digest("tools/nginx", "1.1").await.as_deref(), Some(layout.digest.as_str()));
}

#[tokio::test]
async fn index_is_pushed_with_all_its_images() {
    let Some(skopeo) = find("index_is_pushed_with_all_its_images") else { return };
    let registry = Registry::start().await;
    let layout = Layout::index(&["amd64", "arm64", "riscv64"]);
    push(&skopeo, &registry, &layout, "nginx:multi", &["--all"]).await;
    assert_eq!(registry.digest("nginx", "multi").await.as_deref(), Some(layout.digest.as_str()));
    let index: Value = serde_json::from_slice(&layout.content).unwrap();
    for image in index["manifests"].as_array().unwrap() {
        let digest = image["digest"].as_str().unwrap();
        assert_eq!(registry.digest("nginx", digest).await.as_deref(), Some(digest));
    }
    let copy = format!("docker://{}", registry.image("copy/of/nginx:multi"));
    let from = format!("docker://{}", registry.image("nginx:multi"));
    skopeo.ok(&[&COPY[..], &["--all", &from, &copy]].concat()).await;
    assert_eq!(registry.digest("copy/of/nginx", "multi").await, Some(layout.digest));
}

#[tokio::test]
async fn tags_are_listed_and_an_image_is_deleted() {
    let Some(skopeo) = find("tags_are_listed_and_an_image_is_deleted") else { return };
    let registry = Registry::start().await;
    let (first, second) = (Layout::image(&[b"one"]), Layout::image(&[b"two"]));
    for (layout, tag) in [(&first, "1.0"), (&first, "1.1"), (&second, "2.0")] {
        push(&skopeo, &registry, layout, &format!("nginx:{tag}"), &[]).await;
    }
    let image = format!("docker://{}", registry.image("nginx"));
    let listed = skopeo.ok(&["list-tags", "--tls-verify=false", &image]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!(["1.0", "1.1", "2.0"]));

    // It deletes by digest, and so all tags of it.
    skopeo.ok(&["--insecure-policy", "delete", "--tls-verify=false", &format!("{image}:1.0")]).await;
    assert_eq!(registry.tags("nginx").await, ["2.0"]);
    skopeo.fails(&["inspect", "--tls-verify=false", &format!("{image}:1.1")]).await;
}

#[tokio::test]
async fn strangers_are_asked_who_they_are() {
    let Some(skopeo) = find("strangers_are_asked_who_they_are") else { return };
    let registry = Registry::start_with_user().await;
    let layout = Layout::image(&[b"one"]);
    let from = format!("oci:{}:latest", layout.path());
    let to = format!("docker://{}", registry.image("nginx:1.0"));
    skopeo.fails(&[&COPY[..], &[&from, &to]].concat()).await;
    skopeo.fails(&[&COPY[..], &["--dest-creds=alice:wrong", &from, &to]].concat()).await;
    assert_eq!(registry.digest("nginx", "1.0").await, None);
    push(&skopeo, &registry, &layout, "nginx:1.0", &["--dest-creds=alice:wonder"]).await;
    assert_eq!(registry.digest("nginx", "1.0").await, Some(layout.digest));
}
