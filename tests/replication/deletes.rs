//! What goes away here, and when it goes away there.

use serde_json::json;

use super::common::wait::eventually;
use super::image::{Image, manifest};
use super::registry::StockRegistry;
use super::steward::{FILES, IMAGES, PROJECT, Steward};

#[tokio::test]
async fn deletions_follow_where_the_task_says_so() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    let config = json!({"configs": [{
        "name": "live", "clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": FILES,
        "packageConstraints": [], "pathConstraints": [], "replicaType": "REAL_TIME",
        "setting": {"propagateDeletes": true},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{FILES}");
    steward.done("POST", &create, &config).await;
    steward.put_file("/a.txt", b"a").await;
    eventually("the file is there", || async { west.file("/a.txt").await }).await;

    let answer = steward.http().request("DELETE", &format!("/generic/{PROJECT}/{FILES}/a.txt"), &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let gone = || async { west.file("/a.txt").await.is_none().then_some(()) };
    eventually("the file is gone there too", gone).await;
}

/// An image that is deleted again and again while it is replicated: whatever tag is at the target, all of it is there.
#[tokio::test]
async fn no_half_image_is_ever_at_the_target() {
    let Some(registry) = StockRegistry::start("deletions while copying").await else { return };
    let steward = Steward::start().await;
    let config = json!({"configs": [{
        "name": "live", "registry": format!("http://{}/live", registry.address()), "replicaType": "REAL_TIME",
        "packageConstraints": [], "pathConstraints": [], "setting": {"conflictStrategy": "OVERWRITE"},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{IMAGES}");
    steward.done("POST", &create, &config).await;
    let name = format!("{PROJECT}/{IMAGES}/flaky");
    let images: Vec<Image> = (20..26).map(|seed| Image::new(seed, &[400_000, 300_000])).collect();
    for image in &images {
        image.push(steward.http(), &name, "t").await;
        let gone = format!("/v2/{name}/manifests/{}", image.digest());
        let answer = steward.http().request("DELETE", &gone, &[], b"").await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        check_whole(&registry, &images).await;
    }
    let last = Image::new(30, &[100_000]);
    last.push(steward.http(), &name, "t").await;
    let is_last = || async {
        check_whole(&registry, &images).await;
        let found = manifest(registry.port(), "live/flaky", "t").await;
        (found.as_ref() == Some(&last.manifest)).then_some(())
    };
    eventually("the last one is there", is_last).await;
}

/// Whatever the tag names has all of its blobs.
async fn check_whole(registry: &StockRegistry, images: &[Image]) {
    let Some(found) = manifest(registry.port(), "live/flaky", "t").await else { return };
    for image in images.iter().filter(|image| image.manifest == found) {
        super::image::assert_there(registry.port(), "live/flaky", "t", image).await;
    }
}
