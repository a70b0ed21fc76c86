//! Tasks that run by themselves.

use std::time::Instant;

use serde_json::json;

use super::common::wait::eventually;
use super::image::{Image, assert_there, manifest};
use super::registry::StockRegistry;
use super::steward::{FILES, IMAGES, PROJECT, Steward};

#[tokio::test]
async fn a_tag_that_is_pushed_is_soon_at_the_registry() {
    let Some(registry) = StockRegistry::start("real-time copies").await else { return };
    let steward = Steward::start().await;
    let config = json!({"configs": [{
        "name": "live", "registry": format!("http://{}/live", registry.address()), "replicaType": "REAL_TIME",
        "packageConstraints": [], "pathConstraints": [], "setting": {},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{IMAGES}");
    steward.done("POST", &create, &config).await;

    let image = Image::new(5, &[200_000]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/app"), "now").await;

    let pushed = Instant::now();
    let look = || async { manifest(registry.port(), "live/app", "now").await };
    eventually("the tag is there", look).await;
    println!("a tag was at the registry after {:?}", pushed.elapsed());
    assert_there(registry.port(), "live/app", "now", &image).await;
}

#[tokio::test]
async fn a_file_is_copied_by_a_schedule() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    steward.put_file("/a.txt", b"first").await;
    let config = json!({"configs": [{
        "name": "often", "clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": FILES,
        "pathConstraints": [{"path": "/"}], "replicaType": "SCHEDULED",
        "setting": {"conflictStrategy": "OVERWRITE", "executionStrategy": "CRON_EXPRESSION", "executionPlan": {
            "executeImmediately": false, "cronExpression": "*/1 * * * * ?",
        }},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{FILES}");
    steward.done("POST", &create, &config).await;

    let has = |bytes: &'static [u8]| {
        let west = &west;
        move || async move { (west.file("/a.txt").await.as_deref() == Some(bytes)).then_some(()) }
    };
    eventually("the first tick has copied it", has(b"first")).await;
    let path = format!("/generic/{PROJECT}/{FILES}/a.txt");
    let answer = steward.http().request("PUT", &path, &[("X-BKREPO-OVERWRITE", "true")], b"second").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("a later tick has copied the change", has(b"second")).await;
}

#[tokio::test]
async fn a_task_that_is_switched_off_copies_nothing_until_it_is_on_again() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    let config = json!({"configs": [{
        "name": "live", "clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": FILES,
        "packageConstraints": [], "pathConstraints": [], "replicaType": "REAL_TIME", "setting": {}, "enable": false,
    }]});
    let base = "/replication/api/remote/distribution";
    steward.done("POST", &format!("{base}/create/{PROJECT}/{FILES}"), &config).await;
    steward.put_file("/while-off.txt", b"1").await;
    let toggle = format!("{base}/toggle/status/{PROJECT}/{FILES}/live");
    steward.done("POST", &toggle, &serde_json::Value::Null).await;
    steward.put_file("/while-on.txt", b"2").await;
    let look = || async { west.file("/while-on.txt").await };
    assert_eq!(eventually("the file is there", look).await, b"2");
}
