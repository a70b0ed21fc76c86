//! Packages and versions.

use std::collections::HashMap;

use super::error::Error;
use super::image_name::package_key;
use super::image_testing::{REPOSITORY, World, name, package, put};
use super::keys;
use super::sight::Sight;
use super::walk::Page;
use crate::store::Table;

fn first(size: usize) -> Page {
    Page { size, after: String::new() }
}

fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn packages_are_listed_with_the_number_of_their_versions() {
    let world = World::new().await;
    for (image, tag, layer) in
        [("web", "v1", &b"1"[..]), ("web", "v2", b"2"), ("tools/jq", "v1", b"3"), ("api", "x", b"4")]
    {
        world.push(image, tag, layer).await;
    }
    let listed = world
        .artifacts
        .list_packages(("p", "docker"), "", &first(2), &Sight::everything().on("p", "docker"))
        .await
        .unwrap();
    let shown: Vec<_> =
        listed.items.iter().map(|one| (package_key(one.held, &one.image.name), one.version_count)).collect();
    assert_eq!(shown, [("docker://api".to_owned(), 1), ("docker://tools/jq".to_owned(), 1)]);
    assert_eq!((listed.next.as_deref(), listed.total), (Some("tools/jq"), 3));
    let page = Page { size: 2, after: listed.next.unwrap() };
    let listed = world
        .artifacts
        .list_packages(("p", "docker"), "", &page, &Sight::everything().on("p", "docker"))
        .await
        .unwrap();
    assert_eq!((listed.items[0].image.name.as_str(), listed.items[0].version_count), ("web", 2));
    assert_eq!((listed.next, listed.total), (None, 3));
    let listed = world
        .artifacts
        .list_packages(("p", "docker"), "ool", &first(2), &Sight::everything().on("p", "docker"))
        .await
        .unwrap();
    assert_eq!((listed.items.len(), listed.total), (1, 1));

    let found = world.artifacts.look_up_package(&package("docker://web")).await.unwrap();
    assert_eq!((found.version_count, found.image.latest.as_str()), (2, "v2"));
    for key in ["oci://web", "docker://none", "web", "docker://"] {
        let refused = world.artifacts.look_up_package(&package(key)).await;
        assert!(matches!(refused, Err(Error::PackageNotFound(what)) if what == key));
    }
}

#[tokio::test]
async fn versions_have_what_is_written_on_them() {
    let world = World::new().await;
    let mut what = put("app", "v1", &world.image("app", b"layer").await);
    what.tags = vec!["v2".to_owned(), "rc".to_owned()];
    what.metadata = map(&[("a", "1")]);
    let (manifest, _) = world.put(what.clone()).await.unwrap();
    let key = package("docker://app");
    let listed = world.artifacts.list_versions(&key, "v", &first(1)).await.unwrap();
    assert_eq!((listed.items[0].name.as_str(), listed.next.as_deref(), listed.total), ("v1", Some("v1"), 2));
    assert_eq!(listed.items[0].manifest.as_ref(), Some(&manifest));
    let page = Page { size: 1, after: "v1".to_owned() };
    let listed = world.artifacts.list_versions(&key, "v", &page).await.unwrap();
    assert_eq!((listed.items[0].name.as_str(), listed.next), ("v2", None));

    let written = map(&[("b", "2")]);
    let update = world.artifacts.update_version(key.clone(), "v1".to_owned(), written, vec!["a".to_owned()]);
    assert_eq!(update.await.unwrap().tag.metadata, map(&[("b", "2")]));
    // What is pushed again keeps it, and adds to it; another manifest is another matter.
    what.tags.clear();
    assert!(world.put(what.clone()).await.unwrap().1);
    let found = world.artifacts.look_up_version(&key, "v1").await.unwrap();
    assert_eq!(found.tag.metadata, map(&[("a", "1"), ("b", "2")]));
    world.push("app", "v1", b"another layer").await;
    assert!(world.artifacts.look_up_version(&key, "v1").await.unwrap().tag.metadata.is_empty());

    let too_much = map(&[("k", &"x".repeat(2048))]);
    let refused = world.artifacts.update_version(key.clone(), "v1".to_owned(), too_much.clone(), Vec::new()).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "metadata", .. })));
    what.metadata = too_much;
    assert!(matches!(world.put(what).await, Err(Error::Invalid { field: "metadata", .. })));
    let refused = world.artifacts.look_up_version(&key, "none").await;
    assert!(matches!(refused, Err(Error::VersionNotFound { package, version })
        if package == "docker://app" && version == "none"));
}

#[tokio::test]
async fn a_version_goes_with_its_manifest_unless_something_else_needs_that() {
    let world = World::new().await;
    let mut what = put("app", "v1", &world.image("app", b"layer").await);
    what.tags = vec!["v2".to_owned()];
    let (shared, _) = world.put(what).await.unwrap();
    let size = shared.record.size;
    let index =
        serde_json::json!({"schemaVersion": 2, "manifests": [{"digest": shared.digest.to_string(), "size": size}]});
    let (index, _) = world.put(put("app", "all", &index)).await.unwrap();
    let key = package("docker://app");
    let delete = |version: &str| world.artifacts.delete_version(key.clone(), version.to_owned());
    let digest = shared.digest.to_string();

    delete("v1").await.unwrap();
    world.get("app", &digest).await.expect("v2 names it");
    delete("v2").await.unwrap();
    world.get("app", &digest).await.expect("the index names it");
    delete("all").await.unwrap();
    assert!(matches!(world.get("app", &index.digest.to_string()).await, Err(Error::ManifestNotFound(_))));
    assert!(matches!(delete("all").await, Err(Error::VersionNotFound { .. })));

    let alone = world.push("app", "v3", b"another layer").await;
    delete("v3").await.unwrap();
    assert!(matches!(world.get("app", &alone.digest.to_string()).await, Err(Error::ManifestNotFound(_))));
    assert_eq!(world.count(Table::ManifestPart).await, 2, "those of the one that is left");
    let none = package("docker://none");
    let refused = world.artifacts.delete_version(none, "v1".to_owned()).await;
    assert!(matches!(refused, Err(Error::PackageNotFound(_))));
}

#[tokio::test]
async fn a_package_goes_with_all_its_tags_and_is_swept_later() {
    let world = World::new().await;
    for _ in 0..3 {
        let content = world.image("app", b"layer").await;
        for part in 0..2 {
            let mut what = put("app", &format!("t{part}"), &content);
            what.tags = (0..100).map(|number| format!("t{part}-{number}")).collect();
            world.put(what).await.unwrap();
        }
        let image = world.record("app").await;
        world.artifacts.delete_package(package("docker://app")).await.unwrap();
        assert!(!world.has(&keys::image(REPOSITORY, "app")).await);
        assert!(world.has(&keys::deleted_image(image.id)).await, "the sweep knows of it");
        assert!(matches!(world.get("app", "t0").await, Err(Error::ImageNotFound(_))));
    }
    let refused = world.artifacts.delete_package(package("docker://app")).await;
    assert!(matches!(refused, Err(Error::PackageNotFound(_))));
    let changes = world.changes().await;
    assert_eq!(changes.iter().filter(|(_, now, _)| now.is_empty()).count(), 3 * 202, "each tag is told of once");
    // A new image of that name has nothing of the old one.
    world.push("app", "v1", b"layer").await;
    assert_eq!(world.artifacts.list_tags(&name("app"), "", 10).await.unwrap().0, ["v1"]);
}
