//! Whoever is killed in the middle of a big layer: the run succeeds, and little is sent twice.

use serde_json::{Value, json};

use super::common::server::Server;
use super::common::wait::eventually;
use super::image::{Image, assert_there};
use super::proxy::Proxy;
use super::registry::StockRegistry;
use super::steward::{IMAGES, PROJECT, Steward};

const MIB: u64 = 1 << 20;
const LAYER: u64 = 512 * MIB;
const CHUNK: u64 = 4 * MIB;
/// Heads of requests and answers, framing of HTTP/2 and manifests, for all of a copy.
const AROUND: u64 = 4 * MIB;
/// Slow enough that a kill comes in the middle.
const RATE: u64 = 96 * MIB;

/// A server that has an image with one big layer.
async fn with_big_image() -> (Steward, Image) {
    let steward = Steward::with(Server::setup().config(&format!("[replication]\nchunk_bytes = {CHUNK}\n"))).await;
    let image = Image::new(4, &[usize::try_from(LAYER).expect("a size")]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/big"), "1").await;
    (steward, image)
}

async fn begin(steward: &Steward, target: &Value) {
    let mut task = json!({"name": "big", "packageName": "big", "versions": ["1"], "setting": {"rateLimit": RATE}});
    task.as_object_mut().expect("an object").extend(target.as_object().expect("an object").clone());
    steward.create_once(IMAGES, &task).await;
    steward.execute(IMAGES, "big").await;
}

/// Waits until so many bytes went by.
async fn sent(proxy: &Proxy, bytes: u64) {
    eventually("some of the layer was sent", || async { (proxy.sent() >= bytes).then_some(()) }).await;
}

fn assert_little_was_sent_twice(proxy: &Proxy, kills: u64) {
    let (sent, limit) = (proxy.sent(), LAYER + kills * CHUNK + AROUND);
    println!("{sent} bytes were sent for a layer of {LAYER} and {kills} kills");
    assert!(sent <= limit, "{sent} bytes were sent, more than {limit}");
}

#[tokio::test]
async fn the_sender_is_killed_on_the_way_to_a_second_server() {
    let (mut steward, image) = with_big_image().await;
    let west = Steward::start().await;
    let proxy = Proxy::start(west.server.grpc_address()).await;
    let cluster = steward.add_cluster("west", proxy.address()).await;
    begin(&steward, &json!({"clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": IMAGES})).await;
    for part in 1..=2 {
        sent(&proxy, part * LAYER / 3).await;
        steward.server.restart().await;
    }
    let run = steward.ended(IMAGES, "big").await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(west.http(), &format!("{PROJECT}/{IMAGES}/big"), "1", &image).await;
    assert_little_was_sent_twice(&proxy, 2);
}

#[tokio::test]
async fn the_receiver_is_killed() {
    let (steward, image) = with_big_image().await;
    let mut west = Steward::start().await;
    let proxy = Proxy::start(west.server.grpc_address()).await;
    let cluster = steward.add_cluster("west", proxy.address()).await;
    begin(&steward, &json!({"clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": IMAGES})).await;
    sent(&proxy, LAYER / 2).await;
    west.server.restart().await;
    let run = steward.ended(IMAGES, "big").await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(west.http(), &format!("{PROJECT}/{IMAGES}/big"), "1", &image).await;
    assert_little_was_sent_twice(&proxy, 1);
}

#[tokio::test]
async fn the_sender_is_killed_on_the_way_to_a_registry_that_keeps_what_came() {
    let (mut steward, image) = with_big_image().await;
    // Another server's registry: a part of a chunk is no reason to forget an upload.
    let west = Steward::start().await;
    let proxy = Proxy::start(west.http().0).await;
    begin(&steward, &json!({"registry": format!("http://{}/{PROJECT}/{IMAGES}", proxy.address())})).await;
    sent(&proxy, LAYER / 2).await;
    steward.server.restart().await;
    let run = steward.ended(IMAGES, "big").await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(west.http(), &format!("{PROJECT}/{IMAGES}/big"), "1", &image).await;
    assert_little_was_sent_twice(&proxy, 1);
}

/// A stock registry forgets an upload whose chunk was cut off in the middle, so it is killed between two chunks: when it
/// has just acknowledged one, and before the next one reaches it.
#[tokio::test]
async fn the_registry_is_killed() {
    let Some(mut registry) = StockRegistry::start("kills of a registry").await else { return };
    let (steward, image) = with_big_image().await;
    let proxy = Proxy::start(registry.address()).await;
    begin(&steward, &json!({"registry": format!("http://{}/mirror", proxy.address())})).await;
    sent(&proxy, LAYER / 2).await;
    proxy.cut_after_answer().await;
    registry.kill9().await;
    registry.start_again().await;
    proxy.cut(false);
    let run = steward.ended(IMAGES, "big").await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_there(registry.port(), "mirror/big", "1", &image).await;
    assert_little_was_sent_twice(&proxy, 1);
}
