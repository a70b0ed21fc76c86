//! Manifests: pushed, read, and deleted.

use serde_json::{Value, json};

use super::error::Error;
use super::image_testing::{World, descriptor, image_of, name, put, sweep};
use super::keys::{self, BlobUse};
use super::manifest_parse::{MAX_MANIFEST_BYTES, OCI_IMAGE, OCI_INDEX, Parsed};
use super::reference::Reference;
use super::walk::Page;
use crate::blob::{Algorithm, Digest};
use crate::store::Table;

fn index_of(children: &[(Digest, usize)]) -> Value {
    let children: Vec<Value> = children.iter().map(|child| descriptor(OCI_IMAGE, child)).collect();
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
}

fn absent(content: &[u8]) -> (Digest, usize) {
    (Digest::of(Algorithm::Sha256, content), content.len())
}

#[tokio::test]
async fn a_manifest_is_read_back_byte_by_byte_by_tag_and_digest() {
    let world = World::new().await;
    let content = format!("  {}\n", serde_json::to_string_pretty(&world.image("app", b"layer").await).unwrap());
    let (pushed, is_changed) = world.put(put("app", "v1", &content)).await.unwrap();
    assert!(is_changed);
    assert_eq!(pushed.digest, Digest::of(Algorithm::Sha256, content.as_bytes()));
    assert_eq!(pushed.record.content_size, 2 + 5);
    assert_eq!(pushed.record.artifact_type, "application/vnd.oci.image.config.v1+json");
    for reference in ["v1", &pushed.digest.to_string()] {
        assert_eq!(world.get("app", reference).await.unwrap(), (pushed.clone(), content.clone().into()));
    }
    let unknown = Digest::of(Algorithm::Sha256, b"unknown").to_string();
    for reference in ["v2", &unknown] {
        let refused = world.get("app", reference).await;
        assert!(matches!(refused, Err(Error::ManifestNotFound(what)) if what == reference));
    }
    assert!(matches!(world.get("other", "v1").await, Err(Error::ImageNotFound(what)) if what == "other"));
}

#[tokio::test]
async fn a_manifest_pushed_by_digest_has_that_digest() {
    let world = World::new().await;
    let content = world.image("app", b"layer").await.to_string();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, content.as_bytes());
        let (pushed, _) = world.put(put("app", &digest.to_string(), &content)).await.unwrap();
        assert_eq!(pushed.digest, digest);
        assert_eq!(world.get("app", &digest.to_string()).await.unwrap().1, content);
        let wrong = Digest::of(algorithm, b"something else").to_string();
        let refused = world.put(put("app", &wrong, &content)).await;
        assert!(matches!(refused, Err(Error::DigestMismatch { expected, actual, .. })
            if expected == wrong && actual == digest.to_string()));
    }
}

#[tokio::test]
async fn what_a_manifest_consists_of_has_to_be_in_the_image() {
    let world = World::new().await;
    let (config, layer) = ((world.give("app", b"{}").await, 2), absent(b"layer"));
    // Another image has it, which does not count.
    world.give("other", b"layer").await;
    let refused = world.put(put("app", "v1", &image_of(&config, std::slice::from_ref(&layer)))).await;
    assert!(matches!(refused, Err(Error::ManifestBlobUnknown(digest)) if digest == layer.0.to_string()));
    let refused = world.put(put("app", "v1", &index_of(&[absent(b"child")]))).await;
    assert!(matches!(refused, Err(Error::ManifestBlobUnknown(_))));
    let refused = world.put(put("new", "v1", &image_of(&config, &[]))).await;
    assert!(matches!(refused, Err(Error::ManifestBlobUnknown(_))));
    // Nothing is left of what was refused.
    for table in [Table::Manifest, Table::ManifestPart, Table::ImageTag, Table::ArtifactChange] {
        assert_eq!(world.count(table).await, 0, "{table:?}");
    }
    assert_eq!(world.count(Table::Image).await, 2);
    world.give("app", b"layer").await;
    world.put(put("app", "v1", &image_of(&config, &[layer]))).await.unwrap();
}

#[tokio::test]
async fn layers_that_are_not_to_be_distributed_need_not_be_there() {
    let world = World::new().await;
    let mut content = world.image("app", b"layer").await;
    let layers = content["layers"].as_array_mut().unwrap();
    let types = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];
    layers.extend(types.map(|media_type| descriptor(media_type, &absent(media_type.as_bytes()))));
    let mut elsewhere = descriptor("application/vnd.oci.image.layer.v1.tar", &absent(b"elsewhere"));
    elsewhere["urls"] = json!(["https://example.com/layer"]);
    layers.push(elsewhere);
    world.put(put("app", "v1", &content)).await.unwrap();
}

#[tokio::test]
async fn indexes_name_manifests_and_indexes_or_nothing() {
    let world = World::new().await;
    let child = world.push("app", "child", b"layer").await;
    let child_size = usize::try_from(child.record.size).unwrap();
    let inner = index_of(&[(child.digest.clone(), child_size)]);
    let (inner, _) = world.put(put("app", "inner", &inner)).await.unwrap();
    assert_eq!(inner.record.content_size, child.record.size);
    let inner_size = usize::try_from(inner.record.size).unwrap();
    world.put(put("app", "outer", &index_of(&[(inner.digest, inner_size)]))).await.unwrap();
    // An empty one founds its image, and a cache of a build is an index of blobs.
    world.put(put("empty", "v1", &index_of(&[]))).await.unwrap();
    let layer = (world.give("app", b"layer").await, 5);
    world.put(put("app", "cache", &index_of(&[layer]))).await.unwrap();
}

#[tokio::test]
async fn manifests_of_other_forms_are_kept_too() {
    let world = World::new().await;
    let (config, layer) = ((world.give("app", b"{}").await, 2), (world.give("app", b"layer").await, 5));
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let mut without_type = image_of(&config, std::slice::from_ref(&layer));
    without_type.as_object_mut().unwrap().remove("mediaType");
    let mut with_data = image_of(&config, &[]);
    with_data["config"]["data"] = json!("e30=");
    with_data["custom"] = json!({"nested": [1, {"deep": null}]});
    let mut artifact = image_of(&config, &[]);
    artifact["artifactType"] = json!("application/vnd.example.sbom");
    artifact["layers"] = Value::Null;
    let plain = descriptor("application/octet-stream", &layer);
    let oci_artifact = "application/vnd.oci.artifact.manifest.v1+json";
    for (came_with, content, media_type, artifact_type) in [
        ("", without_type.clone(), OCI_IMAGE, "application/vnd.oci.image.config.v1+json"),
        (docker, without_type, docker, "application/vnd.oci.image.config.v1+json"),
        ("", with_data, OCI_IMAGE, "application/vnd.oci.image.config.v1+json"),
        (OCI_IMAGE, artifact, OCI_IMAGE, "application/vnd.example.sbom"),
        (list, json!({"schemaVersion": 2, "manifests": []}), list, ""),
        ("", json!({"schemaVersion": 2, "manifests": []}), OCI_INDEX, ""),
        ("", json!({"mediaType": oci_artifact, "artifactType": "a/b", "blobs": [plain]}), oci_artifact, "a/b"),
        (
            &format!("{OCI_IMAGE}; charset=utf-8"),
            image_of(&config, &[]),
            OCI_IMAGE,
            "application/vnd.oci.image.config.v1+json",
        ),
    ] {
        let mut what = put("app", "v1", &content);
        what.media_type = came_with.to_owned();
        let (pushed, _) = world.put(what).await.unwrap();
        let found = (pushed.record.media_type.as_str(), pushed.record.artifact_type.as_str());
        assert_eq!(found, (media_type, artifact_type), "{content}");
    }
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let world = World::new().await;
    let config = (world.give("app", b"{}").await, 2);
    let image = image_of(&config, &[]);
    let with = |field: &str, value: Value| {
        let mut changed = image.clone();
        changed[field] = value;
        changed.to_string()
    };
    let deep = format!("{{\"schemaVersion\":2,\"x\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let cases = [
        ("", String::new()),
        ("", "[]".to_owned()),
        ("", "{}".to_owned()),
        ("", "\u{feff}{}".to_owned()),
        ("", deep),
        ("", json!({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": []}).to_string()),
        (schema1, json!({"schemaVersion": 1, "fsLayers": []}).to_string()),
        ("", with("schemaVersion", json!(1))),
        ("", with("schemaVersion", json!(3))),
        ("", with("schemaVersion", json!("2"))),
        ("", with("mediaType", json!("text/plain"))),
        ("application/json", image.to_string()),
        (OCI_INDEX, image.to_string()),
        ("", with("config", Value::Null)),
        ("", with("config", json!({"digest": "sha256:abc", "size": 2}))),
        ("", with("config", json!({"digest": config.0.to_string(), "size": -2}))),
        ("", with("manifests", json!([]))),
        ("", with("mediaType", json!(OCI_INDEX))),
        ("", with("annotations", json!({"a": 1}))),
        ("", with("subject", json!({"digest": "nothing", "size": 2}))),
        ("", with("artifactType", json!("a".repeat(256)))),
        ("", image.to_string().replacen('{', "{\"layers\":[],", 1)),
    ];
    for (came_with, content) in cases {
        let mut what = put("app", "v1", &content);
        what.media_type = came_with.to_owned();
        let refused = world.put(what).await;
        assert!(matches!(refused, Err(Error::ManifestInvalid(_))), "{content:.200}: {refused:?}");
    }
    let long = put("app", "v1", &" ".repeat(MAX_MANIFEST_BYTES + 1));
    assert!(matches!(world.put(long).await, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn a_manifest_of_four_megabytes_and_thousands_of_layers_is_kept() {
    let world = World::new().await;
    let (config, layer) = ((world.give("app", b"{}").await, 2), (world.give("app", b"layer").await, 5));
    // Layers that may be missing make many records without making many blobs.
    let mut content = image_of(&config, &[layer]);
    let missing = (0..3000_u32).map(|number| absent(&number.to_le_bytes()));
    let missing = missing.map(|layer| descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", &layer));
    content["layers"].as_array_mut().unwrap().extend(missing);
    let room = MAX_MANIFEST_BYTES - content.to_string().len() - 100;
    content["annotations"] = json!({"large": "A".repeat(room)});
    let content = content.to_string();
    let (pushed, _) = world.put(put("app", "v1", &content)).await.unwrap();
    assert_eq!(world.get("app", "v1").await.unwrap().1, content);
    assert_eq!(world.count(Table::ManifestPart).await, 3002);
    world.delete("app", &pushed.digest.to_string()).await.unwrap();
    assert_eq!(world.count(Table::ManifestPart).await, 0);
}

#[tokio::test]
async fn a_manifest_is_found_by_its_subject_whether_that_is_there_or_not() {
    let world = World::new().await;
    let subject = absent(b"a manifest that nobody has pushed");
    let mut digests = Vec::new();
    for (kind, note) in [("a/sbom", "first"), ("a/signature", "second"), ("a/sbom", "third")] {
        let mut content = world.image("app", b"layer").await;
        content["artifactType"] = json!(kind);
        content["annotations"] = json!({"note": note});
        content["subject"] = descriptor(OCI_IMAGE, &subject);
        let digest = Digest::of(Algorithm::Sha256, content.to_string().as_bytes()).to_string();
        let (pushed, _) = world.put(put("app", &digest, &content)).await.unwrap();
        assert_eq!(pushed.record.subject, subject.0.to_string());
        digests.push((pushed.digest, kind, note));
    }
    let notes: Vec<_> = world.changes().await.into_iter().map(|(what, digest, _)| (what, digest)).collect();
    let expected: Vec<_> = digests.iter().map(|(digest, ..)| (subject.0.to_string(), digest.to_string())).collect();
    assert_eq!(notes, expected, "each is told of as a change");
    digests.sort();

    for kind in ["", "a/sbom", "a/other"] {
        let mut page = Page { size: 1, after: String::new() };
        let mut found = Vec::new();
        loop {
            let listed = world.artifacts.list_referrers(&name("app"), &subject.0, kind, &page).await.unwrap();
            assert!(listed.0.len() <= 1);
            let read = listed.0.into_iter();
            found.extend(read.map(|one| (one.manifest.digest, one.manifest.record.artifact_type, one.annotations)));
            let Some(next) = listed.1 else { break };
            page.after = next;
        }
        let wanted: Vec<_> = digests.iter().filter(|(_, of, _)| kind.is_empty() || *of == kind).collect();
        assert_eq!(found.len(), wanted.len());
        for ((digest, of, annotations), wanted) in found.iter().zip(wanted) {
            assert_eq!((digest, of.as_str(), annotations["note"].as_str()), (&wanted.0, wanted.1, wanted.2));
        }
    }
    let everything = Page { size: 100, after: String::new() };
    let elsewhere = world.artifacts.list_referrers(&name("none"), &subject.0, "", &everything).await.unwrap();
    assert_eq!(elsewhere, (Vec::new(), None));

    world.delete("app", &digests[0].0.to_string()).await.unwrap();
    let left = world.artifacts.list_referrers(&name("app"), &subject.0, "", &everything).await.unwrap();
    assert_eq!(left.0.len(), 2);
}

#[tokio::test]
async fn a_manifest_that_is_deleted_is_gone_with_its_tags() {
    let world = World::new().await;
    let kept = world.push("app", "kept", b"another layer").await;
    let mut what = put("app", "t0", &world.image("app", b"layer").await);
    what.tags = (1..=60).map(|number| format!("t{number}")).collect();
    let (pushed, _) = world.put(what).await.unwrap();
    let image = world.record("app").await.id;
    let used = keys::blob_use(&pushed.digest, BlobUse::Manifest(image));
    assert!(world.has(&used).await);
    assert_eq!(world.count(Table::ManifestTag).await, 62);

    world.delete("app", &pushed.digest.to_string()).await.unwrap();
    let (tags, has_more) = world.artifacts.list_tags(&name("app"), "", 1000).await.unwrap();
    assert_eq!((tags, has_more), (vec!["kept".to_owned()], false));
    assert!(matches!(world.get("app", &pushed.digest.to_string()).await, Err(Error::ManifestNotFound(_))));
    assert!(matches!(world.delete("app", &pushed.digest.to_string()).await, Err(Error::ManifestNotFound(_))));
    assert!(!world.has(&used).await);
    assert_eq!((world.count(Table::ManifestTag).await, world.count(Table::ManifestPart).await), (1, 2));
    assert_eq!(world.record("app").await.latest, "kept");
    let gone = world.changes().await.into_iter().filter(|(_, now, _)| now.is_empty());
    let (mut gone, before): (Vec<_>, Vec<_>) = gone.map(|(tag, _, before)| (tag, before)).unzip();
    gone.sort();
    gone.dedup();
    assert_eq!(gone.len(), 61, "each is told of once");
    assert!(before.iter().all(|digest| *digest == pushed.digest.to_string()));
    assert_eq!(world.get("app", "kept").await.unwrap().0, kept);
}

/// Gives the bytes of a manifest another length, or takes them away.
fn damage(world: &World, digest: &Digest, left: Option<&[u8]>) {
    let blobs = &world.artifacts.blobs;
    let hex = digest.hex();
    let path = blobs.directory().join(digest.algorithm().name()).join(&hex[..2]).join(&hex);
    match left {
        Some(left) => std::fs::write(path, left).unwrap(),
        None => blobs.remove(digest).unwrap(),
    }
}

#[tokio::test]
async fn a_manifest_that_is_damaged_is_told_of_and_made_good_by_pushing_it_again() {
    for left in [None, Some(&b"{}"[..])] {
        let world = World::new().await;
        let content = world.image("app", b"layer").await;
        let (pushed, _) = world.put(put("app", "v1", &content)).await.unwrap();
        damage(&world, &pushed.digest, left);
        let tag = Reference::parse("reference", "v1").unwrap();
        let told = world.artifacts.look_up_whole(&name("app"), &tag).await;
        assert!(matches!(told, Err(Error::DataDamaged(_))), "{told:?}");
        assert!(matches!(world.get("app", "v1").await, Err(Error::DataDamaged(_))));
        world.put(put("app", "v1", &content)).await.unwrap();
        assert_eq!(world.artifacts.look_up_whole(&name("app"), &tag).await.unwrap(), pushed);
        assert_eq!(world.get("app", "v1").await.unwrap().1, content.to_string());
    }
}

#[tokio::test]
async fn manifests_are_listed_in_pages() {
    let world = World::new().await;
    let mut pushed = Vec::new();
    for layer in [&b"1"[..], b"2", b"3", b"4", b"5"] {
        pushed.push(world.push("app", "v1", layer).await);
    }
    pushed.sort_by(|a, b| a.digest.cmp(&b.digest));
    let mut page = Page { size: 2, after: String::new() };
    let mut found = Vec::new();
    loop {
        let listed = world.artifacts.list_manifests(&name("app"), &page).await.unwrap();
        assert_eq!(listed.total, 5);
        found.extend(listed.items);
        let Some(next) = listed.next else { break };
        page.after = next;
    }
    assert_eq!(found, pushed);
    let odd = Page { size: 2, after: "odd".to_owned() };
    let refused = world.artifacts.list_manifests(&name("app"), &odd).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "page_token", .. })));
}

/// Whether the manifest of an image is there; if it is, it has all that it consists of.
async fn is_there_whole(world: &World, content: &Value) -> bool {
    let digest = Digest::of(Algorithm::Sha256, content.to_string().as_bytes());
    let image = world.record("app").await.id;
    let is_there = world.has(&keys::manifest(image, &digest)).await;
    for part in [absent(b"{}").0, absent(b"layer").0] {
        let has_it = world.has(&keys::image_blob(image, &part)).await;
        assert!(has_it || !is_there, "{part} is missing");
        let knows_it = world.has(&keys::manifest_part(image, &part, &digest)).await;
        assert!(knows_it || !is_there, "nobody knows that {part} is needed");
    }
    is_there
}

#[tokio::test]
async fn no_manifest_comes_up_without_what_is_swept_meanwhile() {
    for behind in 0.. {
        let world = World::new().await;
        let content = world.image("app", b"layer").await;
        let beside = world.beside.clone();
        world.interrupt(behind, async move { sweep(&beside, "app", &absent(b"layer").0).await });
        let pushed = world.put(put("app", "v1", &content)).await;
        let is_over = !world.was_interrupted();
        match pushed {
            Ok(_) => assert!(is_there_whole(&world, &content).await),
            Err(Error::ManifestBlobUnknown(_)) => assert!(!is_there_whole(&world, &content).await),
            Err(error) => panic!("{error}"),
        }
        if is_over {
            assert!(behind >= 2, "it takes some commits");
            return;
        }
    }
}

#[tokio::test]
async fn a_manifest_that_is_deleted_while_it_is_pushed_is_whole_or_gone() {
    for behind in 0.. {
        let world = World::new().await;
        let content = world.image("app", b"layer").await;
        let (known, _) = world.put(put("app", "old", &content)).await.unwrap();
        let (beside, digest) = (world.beside.clone(), Reference::Digest(known.digest));
        world.interrupt(behind, async move { beside.delete_manifest(name("app"), digest, None).await.unwrap() });
        world.put(put("app", "new", &content)).await.unwrap();
        let is_over = !world.was_interrupted();
        assert!(is_there_whole(&world, &content).await);
        if is_over {
            assert!(behind >= 1, "it takes a commit");
            return;
        }
    }
}

#[tokio::test]
async fn a_manifest_that_is_pushed_while_it_is_deleted_is_whole_or_gone() {
    for behind in 0.. {
        let world = World::new().await;
        let content = world.image("app", b"layer").await;
        let (known, _) = world.put(put("app", "old", &content)).await.unwrap();
        let (beside, again) = (world.beside.clone(), put("app", "new", &content));
        world.interrupt(behind, async move { drop(beside.put_manifest(again, "bob").await.unwrap()) });
        world.delete("app", &known.digest.to_string()).await.unwrap();
        let is_over = !world.was_interrupted();
        is_there_whole(&world, &content).await;
        if is_over {
            assert!(behind >= 2, "it takes some commits");
            return;
        }
    }
}

#[tokio::test]
async fn what_a_deletion_still_clears_away_does_not_hurt_a_manifest_that_comes_up_again() {
    for behind in 0.. {
        let world = World::new().await;
        let content = world.image("app", b"layer").await;
        let text = content.to_string();
        let parsed = Parsed::read(text.as_bytes(), "").unwrap();
        let (digest, image) = (Digest::of(Algorithm::Sha256, text.as_bytes()), world.record("app").await);
        world.artifacts.write_parts(&image, &digest, &parsed).await.unwrap();
        let (beside, parts): (_, Vec<Digest>) = (world.beside.clone(), parsed.parts.into_keys().collect());
        world.interrupt(behind, async move { beside.drop_parts(&image, &digest, &parts).await.unwrap() });
        world.put(put("app", "v1", &content)).await.unwrap();
        let is_over = !world.was_interrupted();
        assert!(is_there_whole(&world, &content).await);
        if is_over {
            assert!(behind >= 2, "it takes some commits");
            return;
        }
    }
}
