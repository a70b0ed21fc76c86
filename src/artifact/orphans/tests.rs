use std::time::Duration;

use serde_json::{Value, json};

use super::super::image_testing::{World, descriptor, put};
use super::super::manifest_parse::{OCI_IMAGE, OCI_INDEX};
use super::super::sweep::sweep_engine;
use super::*;
use crate::blob::Algorithm;
use crate::clock::Clock as _;
use crate::engine::Engine as _;

const HOUR: Duration = Duration::from_hours(1);

type Child = (Digest, usize);

async fn push(world: &World, content: &Value) -> Child {
    let content = content.to_string();
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    world.put(put("app", &digest.to_string(), &content)).await.unwrap();
    (digest, content.len())
}

async fn child(world: &World, layer: &'static [u8]) -> Child {
    push(world, &world.image("app", layer).await).await
}

fn index_of(name: &str, children: &[&Child]) -> Value {
    let children: Vec<Value> = children.iter().map(|child| descriptor(OCI_IMAGE, child)).collect();
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, "annotations": {"name": name}})
}

async fn index(world: &World, name: &str, children: &[&Child]) -> Child {
    push(world, &index_of(name, children)).await
}

async fn is_there(world: &World, child: &Child) -> bool {
    world.has(&keys::manifest(world.record("app").await.id, &child.0)).await
}

async fn delete(world: &World, child: &Child) {
    world.delete("app", &child.0.to_string()).await.unwrap();
}

/// Sweeps until there is nothing more to do.
async fn sweep(world: &World) {
    let mut engine = sweep_engine(&world.artifacts);
    loop {
        match engine.activate().await.unwrap_or_else(|error| panic!("{error}")) {
            Some(next) if next <= world.clock.now() => {}
            Some(_) | None => return,
        }
    }
}

async fn sweep_after(world: &World, hours: u32) {
    world.clock.advance(HOUR * hours);
    sweep(world).await;
}

#[tokio::test]
async fn what_an_index_named_that_was_deleted_goes_after_its_time_unless_something_needs_it() {
    let world = World::new().await;
    let (lonely, tagged) = (child(&world, b"lonely").await, child(&world, b"tagged").await);
    let (shared, signed) = (child(&world, b"shared").await, child(&world, b"signed").await);
    let alone = child(&world, b"pushed without an index").await;
    world.put(put("app", "kept", &world.image("app", b"tagged").await)).await.unwrap();
    let mut signature = world.image("app", b"signature").await;
    signature["subject"] = descriptor(OCI_IMAGE, &signed);
    let signature = push(&world, &signature).await;
    let gone = index(&world, "gone", &[&lonely, &tagged, &shared, &signed]).await;
    let other = index(&world, "other", &[&shared]).await;

    delete(&world, &gone).await;
    sweep_after(&world, 23).await;
    assert!(is_there(&world, &lonely).await, "somebody may push another index of it");
    sweep_after(&world, 2).await;
    assert!(!is_there(&world, &lonely).await);
    for needed in [&tagged, &shared, &signed, &alone, &signature, &other] {
        assert!(is_there(&world, needed).await, "{}", needed.0);
    }
    // What something needs by then is not marked any more.
    world.delete("app", "kept").await.unwrap();
    delete(&world, &other).await;
    sweep_after(&world, 25).await;
    assert!(is_there(&world, &tagged).await, "its index was deleted long before its tag");
    assert!(!is_there(&world, &shared).await);
}

#[tokio::test]
async fn what_is_pulled_by_its_digest_or_pushed_again_stays() {
    let world = World::new().await;
    let (pulled, pushed) = (child(&world, b"pulled").await, child(&world, b"pushed").await);
    let gone = index(&world, "gone", &[&pulled, &pushed]).await;
    delete(&world, &gone).await;
    for _ in 0..3 {
        world.clock.advance(HOUR * 12);
        world.get("app", &pulled.0.to_string()).await.unwrap();
        sweep_after(&world, 6).await;
        assert!(is_there(&world, &pulled).await);
        let again = child(&world, b"pushed").await;
        assert_eq!(again, pushed);
    }
    sweep_after(&world, 100).await;
    assert!(!is_there(&world, &pulled).await && is_there(&world, &pushed).await);
}

#[tokio::test]
async fn indexes_of_indexes_go_one_after_the_other_and_their_blobs_with_them() {
    let world = World::new().await;
    let leaf = child(&world, b"leaf").await;
    let inner = index(&world, "inner", &[&leaf]).await;
    let outer = index(&world, "outer", &[&inner]).await;
    let image = world.record("app").await.id;
    delete(&world, &outer).await;
    sweep_after(&world, 25).await;
    assert!(!is_there(&world, &inner).await && is_there(&world, &leaf).await);
    sweep_after(&world, 25).await;
    assert!(!is_there(&world, &leaf).await);
    sweep_after(&world, 25).await;
    let layer = Digest::of(Algorithm::Sha256, b"leaf");
    assert!(!world.has(&keys::image_blob(image, &layer)).await && !world.has(&keys::blob(&layer)).await);
    for table in [crate::store::Table::Manifest, crate::store::Table::ManifestPart] {
        assert_eq!(world.count(table).await, 0, "{table:?}");
    }
}

#[tokio::test]
async fn no_index_comes_up_without_a_manifest_that_is_swept_meanwhile() {
    for behind in 0.. {
        let world = World::new().await;
        let child = child(&world, b"layer").await;
        let gone = index(&world, "gone", &[&child]).await;
        delete(&world, &gone).await;
        world.clock.advance(HOUR * 25);
        let (beside, image) = (world.beside.clone(), world.record("app").await);
        let digest = child.0.clone();
        world.interrupt(behind, async move {
            let key = keys::manifest(image.id, &digest);
            let record = crate::store::tx::read(&*beside.store, &key).await.unwrap();
            let Some(record) = record else { return };
            let image_key = keys::image(image.repository_id, &image.name);
            beside.sweep_orphan(&image_key, image.id, &Manifest { digest, record }).await.unwrap();
        });
        let pushed = world.put(put("app", "v1", &index_of("next", &[&child]))).await;
        let is_over = !world.was_interrupted();
        match pushed {
            Ok(_) => assert!(is_there(&world, &child).await, "behind {behind}"),
            Err(Error::ManifestBlobUnknown(_)) => assert!(!is_there(&world, &child).await, "behind {behind}"),
            Err(error) => panic!("{error}"),
        }
        if is_over {
            assert!(behind >= 2, "it takes some commits");
            return;
        }
    }
}
