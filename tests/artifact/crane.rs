//! crane.

use std::fs;
use std::path::Path;

use crate::layout::{Layout, digest};
use crate::registry::Registry;
use crate::tool::Tool;

#[tokio::test]
async fn image_is_pushed_copied_tagged_and_deleted() {
    let Some(crane) = Tool::find("crane", "image_is_pushed_copied_tagged_and_deleted") else { return };
    let registry = Registry::start().await;
    let layout = Layout::image(&[b"one", &vec![7; 300_000]]);
    let image = registry.image("nginx:1.0");
    crane.ok(&["push", layout.path(), &image]).await;
    assert_eq!(crane.ok(&["digest", &image]).await.trim_end(), layout.digest);
    assert_eq!(crane.ok(&["manifest", &image]).await.trim_end().as_bytes(), layout.content);
    crane.ok(&["validate", "--fast", "--remote", &image]).await;

    // Its layers are mounted from the one image in the other.
    let copy = registry.image("copy/nginx:1.0");
    crane.ok(&["copy", &image, &copy]).await;
    assert_eq!(registry.digest("copy/nginx", "1.0").await.as_deref(), Some(layout.digest.as_str()));
    crane.ok(&["tag", &copy, "1.1"]).await;
    assert_eq!(crane.ok(&["ls", &registry.image("copy/nginx")]).await, "1.0\n1.1\n");
    assert_eq!(crane.ok(&["catalog", &registry.address().to_string()]).await, "p1/img/copy/nginx\np1/img/nginx\n");

    crane.ok(&["delete", &registry.image("copy/nginx:1.1")]).await;
    assert_eq!(registry.tags("copy/nginx").await, ["1.0"]);
    crane.ok(&["delete", &registry.image(&format!("nginx@{}", layout.digest))]).await;
    crane.fails(&["digest", &image]).await;
}

#[tokio::test]
async fn index_is_pushed_and_pulled_whole() {
    let Some(crane) = Tool::find("crane", "index_is_pushed_and_pulled_whole") else { return };
    let registry = Registry::start().await;
    let layout = Layout::index(&["amd64", "arm64"]);
    // It pushes the index of the whole directory, in which the other one is.
    let whole = digest(&fs::read(Path::new(layout.path()).join("index.json")).expect("an index"));
    let image = registry.image("nginx:multi");
    crane.ok(&["push", "--index", layout.path(), &image]).await;
    assert_eq!(registry.digest("nginx", "multi").await.as_deref(), Some(whole.as_str()));
    assert_eq!(registry.digest("nginx", &layout.digest).await.as_deref(), Some(layout.digest.as_str()));
    let pulled = crane.home().join("pulled");
    crane.ok(&["pull", "--format=oci", &image, pulled.to_str().expect("UTF-8")]).await;
    let index = fs::read_to_string(pulled.join("index.json")).expect("an index");
    assert!(index.contains(&whole), "{index}");
}
