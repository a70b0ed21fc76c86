//! Tags and images.

use std::collections::HashMap;

use steward_proto::artifact::v1::RepositoryType;

use super::error::Error;
use super::image_name::ImageName;
use super::image_testing::{World, name, put};
use super::keys;
use super::reference::Reference;
use super::sight::Sight;
use crate::blob::{Algorithm, Digest};
use crate::store::Table;

#[tokio::test]
async fn a_tag_that_moves_is_told_of_and_one_that_stays_is_not() {
    let world = World::new().await;
    let first = world.push("app", "v1", b"first").await;
    let founded = world.record("app").await;
    world.pass();
    let again = world.image("app", b"first").await;
    let (same, is_changed) = world.put(put("app", "v1", &again)).await.unwrap();
    assert!(!is_changed);
    assert_eq!(same, first);
    assert_eq!(world.record("app").await.modify_us, founded.modify_us, "the tag has not changed");
    let second = world.push("app", "v1", b"second").await;
    let (first, second) = (first.digest.to_string(), second.digest.to_string());
    let expected = [("v1", first.as_str(), ""), ("v1", &second, &first)];
    let expected: Vec<_> =
        expected.map(|(tag, now, before)| (tag.to_owned(), now.to_owned(), before.to_owned())).into();
    assert_eq!(world.changes().await, expected);
    assert_eq!(world.get("app", "v1").await.unwrap().0.digest.to_string(), second);
    // The first one is still there, without a tag.
    world.get("app", &first).await.unwrap();
    assert_eq!(world.count(Table::ManifestTag).await, 1);
    let image = world.record("app").await;
    assert!(image.modify_us > founded.modify_us && image.generation > founded.generation);
}

#[tokio::test]
async fn one_push_points_up_to_a_hundred_and_one_tags() {
    let world = World::new().await;
    let old = world.push("app", "t050", b"old").await;
    let metadata: HashMap<String, String> = [("team".to_owned(), "x".repeat(2000))].into();
    let mut what = put("app", "t000", &world.image("app", b"new").await);
    what.tags = (1..=100).map(|number| format!("t{number:03}")).collect();
    what.metadata = metadata;
    let (pushed, is_changed) = world.put(what.clone()).await.unwrap();
    assert!(is_changed);
    let (tags, _) = world.artifacts.list_tags(&name("app"), "", 1000).await.unwrap();
    assert_eq!(tags.len(), 101);
    assert!(tags.is_sorted());
    for tag in &tags {
        assert_eq!(world.get("app", tag).await.unwrap().0, pushed, "{tag}");
    }
    assert_eq!(world.changes().await.len(), 102);
    assert_eq!(world.count(Table::ManifestTag).await, 101);
    assert!(!world.has(&keys::manifest_tag(world.record("app").await.id, &old.digest, "t050")).await);
    assert!(!world.put(what).await.unwrap().1, "it is all there already");
}

#[tokio::test]
async fn a_tag_moves_only_from_what_it_is_said_to_name() {
    let world = World::new().await;
    let push = |layer, only_if| {
        let world = &world;
        async move {
            let mut what = put("app", "v1", &world.image("app", layer).await);
            what.only_if = Some(only_if);
            world.put(what).await
        }
    };
    let other = Digest::of(Algorithm::Sha256, b"other");
    let conflict = |result: Result<_, Error>| matches!(result, Err(Error::TagConflict(_)));
    assert!(conflict(push(b"1", Some(other.clone())).await));
    let first = push(b"1", None).await.unwrap().0;
    assert!(conflict(push(b"2", None).await));
    assert!(conflict(push(b"2", Some(other.clone())).await));
    push(b"2", Some(first.digest.clone())).await.unwrap();
    // A digest alone has no tag that could name anything.
    let content = world.image("app", b"3").await.to_string();
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes()).to_string();
    let mut what = put("app", &digest, &content);
    what.only_if = Some(None);
    assert!(matches!(world.put(what).await, Err(Error::Invalid { field: "only_if_digest", .. })));

    let tag = Reference::Tag("v1".to_owned());
    let kept = world.artifacts.delete_manifest(name("app"), tag.clone(), Some(first.digest)).await;
    assert!(matches!(kept, Err(Error::TagConflict(_))));
    let named = world.get("app", "v1").await.unwrap().0.digest;
    world.artifacts.delete_manifest(name("app"), tag, Some(named.clone())).await.unwrap();
    assert!(matches!(world.get("app", "v1").await, Err(Error::ManifestNotFound(_))));
    world.get("app", &named.to_string()).await.unwrap();
    assert!(matches!(world.delete("app", "v1").await, Err(Error::ManifestNotFound(_))));
}

#[tokio::test]
async fn the_latest_tag_is_the_one_that_was_pushed_last_of_those_that_are_left() {
    let world = World::new().await;
    for (tag, layer) in [("z", &b"1"[..]), ("b", b"2"), ("a", b"3"), ("b", b"4")] {
        world.pass();
        world.push("app", tag, layer).await;
    }
    for (gone, latest) in [("b", "a"), ("z", "a"), ("a", "")] {
        world.delete("app", gone).await.unwrap();
        assert_eq!(world.record("app").await.latest, latest, "without {gone}");
    }
}

#[tokio::test]
async fn tags_are_listed_in_the_order_of_their_bytes_behind_one() {
    let world = World::new().await;
    let mut what = put("app", "a", &world.image("app", b"layer").await);
    what.tags = ["b.1", "b", "B", "1", "b-1", "_"].map(str::to_owned).into();
    world.put(what).await.unwrap();
    let list = async |after, limit| world.artifacts.list_tags(&name("app"), after, limit).await.unwrap();
    assert_eq!(list("", 1000).await, (["1", "B", "_", "a", "b", "b-1", "b.1"].map(str::to_owned).into(), false));
    assert_eq!(list("a", 2).await, (["b", "b-1"].map(str::to_owned).into(), true));
    assert_eq!(list("b", 2).await, (["b-1", "b.1"].map(str::to_owned).into(), false), "the one itself is not");
    assert_eq!(list("aa", 1).await, (["b"].map(str::to_owned).into(), true), "it need not be there");
    assert_eq!(list("c", 1).await, (Vec::new(), false));
    let refused = world.artifacts.list_tags(&name("none"), "", 1).await;
    assert!(matches!(refused, Err(Error::ImageNotFound(_))));
}

#[tokio::test]
async fn images_are_listed_in_the_order_of_their_whole_names() {
    let world = World::new().await;
    for (project, repository, id) in [("a", "r", 11), ("a-b", "r", 12), ("a", "r.x", 13), ("a_b", "r", 14)] {
        world.add_repository(project, repository, id, RepositoryType::Oci).await;
        for image in ["x/y", "x-y", "x"] {
            let name =
                ImageName { project: project.to_owned(), repository: repository.to_owned(), image: image.to_owned() };
            world.give_to(&name, id, b"blob").await;
        }
    }
    world.add_repository("a", "files", 15, RepositoryType::Generic).await;
    let (all, has_more) = world.artifacts.list_images("", 100, &Sight::everything()).await.unwrap();
    assert_eq!((all.len(), has_more), (12, false));
    assert!(all.is_sorted(), "{all:?}");
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().cloned().unwrap_or_default();
        let (names, has_more) = world.artifacts.list_images(&after, 5, &Sight::everything()).await.unwrap();
        found.extend(names);
        if !has_more {
            break;
        }
    }
    assert_eq!(found, all);
    assert_eq!(
        world.artifacts.list_images("a/r/x-zzz", 1, &Sight::everything()).await.unwrap(),
        (vec!["a/r/x/y".to_owned()], true)
    );
    assert_eq!(world.artifacts.list_images("z", 1, &Sight::everything()).await.unwrap(), (Vec::new(), false));
}

#[tokio::test]
async fn images_are_in_repositories_of_images() {
    let world = World::new().await;
    world.add_repository("p", "files", 20, RepositoryType::Generic).await;
    for repository in ["files", "none"] {
        let at = ImageName { repository: repository.to_owned(), ..name("app") };
        let mut what = put("app", "v1", &r#"{"schemaVersion":2,"manifests":[]}"#);
        what.name = at.clone();
        let subject = Digest::of(Algorithm::Sha256, b"subject");
        let page = super::walk::Page { size: 1, after: String::new() };
        let refusals = [
            world.put(what).await.map(drop),
            world.artifacts.list_tags(&at, "", 1).await.map(drop),
            world.artifacts.list_referrers(&at, &subject, "", &page).await.map(drop),
        ];
        for refused in refusals {
            match (repository, refused) {
                ("files", Err(Error::WrongRepositoryType { name, .. })) => assert_eq!(name, "files"),
                ("none", Err(Error::RepositoryNotFound(name))) => assert_eq!(name, "none"),
                (_, other) => panic!("{repository}: {other:?}"),
            }
        }
    }
}
