//! What is copied arrives as it is: images to a stock registry, everything to a second server.

use serde_json::{Value, json};

use super::common::http::HttpPort;
use super::image::{self, Image, assert_there, digest, noise};
use super::registry::StockRegistry;
use super::steward::{FILES, IMAGES, PROJECT, Steward};

const LAYERS: [usize; 2] = [300_000, 5_000];

fn name(image: &str) -> String {
    format!("{PROJECT}/{IMAGES}/{image}")
}

#[tokio::test]
async fn an_image_gets_new_tags_at_a_stock_registry() {
    let Some(registry) = StockRegistry::start("copies to a registry").await else { return };
    let steward = Steward::start().await;
    let nginx = Image::new(1, &LAYERS);
    nginx.push(steward.http(), &name("nginx"), "1.1").await;

    let task = json!({
        "name": "m1", "registry": format!("http://{}/mirror", registry.address()), "packageName": "nginx",
        "versions": ["1.1"], "targetVersions": ["1.2", "1.3"],
    });
    let run = steward.run_once(IMAGES, &task).await;

    assert_eq!((&run["status"], &run["errorReason"]), (&json!("SUCCESS"), &Value::Null), "{run}");
    assert_eq!(run["replicaOverview"]["success"], 1, "{run}");
    assert_eq!(run["replicatedBytes"], run["totalBytes"]);
    for tag in ["1.2", "1.3"] {
        assert_there(registry.port(), "mirror/nginx", tag, &nginx).await;
    }
    assert_eq!(image::manifest(registry.port(), "mirror/nginx", "1.1").await, None);
}

/// Pushes an index of two images and a signature of it.
async fn push_signed_index(port: HttpPort, name: &str) -> (Image, Vec<Image>, Image) {
    let parts = vec![Image::new(2, &LAYERS), Image::new(3, &LAYERS)];
    for part in &parts {
        part.push(port, name, &part.digest()).await;
    }
    let index = Image::index(&parts);
    index.push(port, name, "2.0").await;
    let signature = index.referrer(77);
    signature.push(port, name, &signature.digest()).await;
    (index, parts, signature)
}

#[tokio::test]
async fn a_multi_platform_image_goes_with_its_signature_to_a_registry_without_referrers() {
    let Some(registry) = StockRegistry::start("copies of signed indexes").await else { return };
    let steward = Steward::start().await;
    let (index, parts, signature) = push_signed_index(steward.http(), &name("multi")).await;

    let task = json!({
        "name": "m2", "registry": format!("http://{}", registry.address()), "packageName": "multi", "versions": ["2.0"],
    });
    let run = steward.run_once(IMAGES, &task).await;

    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(registry.port(), "multi", "2.0", &index).await;
    for part in &parts {
        assert_there(registry.port(), "multi", &part.digest(), part).await;
    }
    assert_there(registry.port(), "multi", &signature.digest(), &signature).await;
    let tag = index.digest().replace(':', "-");
    let listed = image::manifest(registry.port(), "multi", &tag).await.expect("the tag schema for referrers");
    let listed: Value = serde_json::from_slice(&listed).expect("an index");
    assert_eq!(listed["manifests"][0]["digest"], signature.digest());
    assert_eq!(listed["manifests"][0]["artifactType"], "application/vnd.example.signature");
}

#[tokio::test]
async fn a_multi_platform_image_goes_with_its_signature_to_a_second_server() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let (index, parts, signature) = push_signed_index(steward.http(), &name("multi")).await;
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;

    let task = json!({
        "name": "m3", "clusterId": cluster, "remoteProjectId": "p9", "remoteRepoName": "img9", "packageName": "multi",
        "versions": ["2.0"],
    });
    let run = steward.run_once(IMAGES, &task).await;

    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(west.http(), "p9/img9/multi", "2.0", &index).await;
    for part in &parts {
        assert_there(west.http(), "p9/img9/multi", &part.digest(), part).await;
    }
    let referrers = west.http().get(&format!("/v2/p9/img9/multi/referrers/{}", index.digest())).await;
    assert!(referrers.text().contains(&signature.digest()), "{}", referrers.text());
}

#[tokio::test]
async fn files_and_their_metadata_go_to_a_second_server() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    let bytes = noise(9, 3_000_000);
    let path = format!("/generic/{PROJECT}/{FILES}/dir/a.bin");
    let answer = steward.http().request("PUT", &path, &[("X-BKREPO-META-color", "blue")], &bytes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    steward.put_file("/dir/b.txt", b"b").await;
    steward.put_file("/other.txt", b"not this one").await;

    let task = json!({
        "name": "f1", "clusterId": cluster, "remoteProjectId": "p9", "remoteRepoName": "gen9",
        "pathConstraints": ["/dir"],
    });
    let run = steward.run_once(FILES, &task).await;

    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_eq!(run["replicaOverview"]["fileSuccess"], 2, "{run}");
    let there = west.http().get("/generic/p9/gen9/dir/a.bin").await;
    assert_eq!((there.status, digest(&there.body)), (200, digest(&bytes)));
    let node = west.done("GET", "/repository/api/node/detail/p9/gen9/dir/a.bin", &Value::Null).await;
    assert!(node.to_string().contains("blue"), "{node}");
    assert_eq!(west.http().get("/generic/p9/gen9/other.txt").await.status, 404);
}

#[tokio::test]
async fn files_become_artifacts_at_a_registry() {
    let Some(registry) = StockRegistry::start("files at a registry").await else { return };
    let steward = Steward::start().await;
    steward.put_file("/docs/readme.txt", b"read me").await;

    let task = json!({
        "name": "f2", "registry": format!("http://{}/files", registry.address()),
        "pathConstraints": ["/docs/readme.txt"],
    });
    let run = steward.run_once(FILES, &task).await;

    assert_eq!(run["status"], "SUCCESS", "{run}");
    let found = image::manifest(registry.port(), "files/docs/readme.txt", "latest").await.expect("an artifact");
    let found: Value = serde_json::from_slice(&found).expect("a manifest");
    assert_eq!(found["layers"][0]["digest"], digest(b"read me"), "{found}");
    assert_eq!(found["layers"][0]["annotations"]["org.opencontainers.image.title"], "readme.txt", "{found}");
}

#[tokio::test]
async fn a_whole_repository_goes_and_what_is_there_is_not_sent_again() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    let images: Vec<Image> = (10..16).map(|seed| Image::new(seed, &LAYERS)).collect();
    for (number, image) in images.iter().enumerate() {
        image.push(steward.http(), &name(&format!("app{}", number % 3)), &format!("v{number}")).await;
    }
    let config = json!({"configs": [{
        "name": "all", "clusterId": cluster, "remoteProjectId": "p9", "remoteRepoName": "img9",
        "packageConstraints": [], "pathConstraints": [], "replicaType": "SCHEDULED",
        "setting": {"executionStrategy": "IMMEDIATELY", "executionPlan": {"executeImmediately": true}},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{IMAGES}");

    steward.done("POST", &create, &config).await;

    let look = || async {
        let last = "/v2/p9/img9/app2/manifests/v5";
        (west.http().request("HEAD", last, &[], b"").await.status == 200).then_some(())
    };
    super::common::wait::eventually("the last image is there", look).await;
    for (number, image) in images.iter().enumerate() {
        assert_there(west.http(), &format!("p9/img9/app{}", number % 3), &format!("v{number}"), image).await;
    }
}

#[tokio::test]
async fn nothing_to_copy_is_a_failure() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    let task = json!({
        "name": "none", "clusterId": cluster, "remoteProjectId": "p9", "remoteRepoName": "gen9",
        "pathConstraints": ["/missing.txt"],
    });
    let run = steward.run_once(FILES, &task).await;
    assert_eq!(run["status"], "FAILED", "{run}");
    assert!(run["errorReason"].as_str().is_some_and(|reason| reason.contains("/missing.txt")), "{run}");
}
