use serde_json::json;
use steward_proto::transcode::v1::{RequeueVideosRequest, VideoStatus};

use crate::vocabulary::farm::{Farm, VideoWords as _, waiting};
use crate::vocabulary::native::good;

/// What a worker gets, one after the other, by name.
async fn given(farm: &Farm, count: usize) -> Vec<String> {
    let api = farm.api();
    let worker = api.register("w1").await;
    let mut names = Vec::new();
    for _ in 0..count {
        let (_, path) = api.claim_with_path(worker).await;
        names.push(path.trim_start_matches("lib/").to_owned());
    }
    api.ask(worker).await.says(404, "没有待转码的视频");
    names
}

#[tokio::test]
async fn the_highest_bitrate_comes_first_and_of_two_the_older_one() {
    let farm = Farm::start().await;
    let video = |name: &str, bitrate| waiting(&format!("lib/{name}")).bitrate(bitrate);
    farm.register_videos(vec![
        video("low", 100),
        video("high", 9000),
        video("same-1", 3000),
        video("same-2", 3000),
        video("none", 0),
        video("same-3", 3000),
    ])
    .await;
    assert_eq!(given(&farm, 6).await, ["high", "same-1", "same-2", "same-3", "low", "none"]);
}

#[tokio::test]
async fn a_higher_priority_passes_every_bitrate() {
    let farm = Farm::start().await;
    let video = |name: &str, bitrate| waiting(&format!("lib/{name}")).bitrate(bitrate);
    let ids = farm
        .register_videos(vec![
            video("plain", 9000),
            video("later", 9500).priority(-5),
            video("first", 10).priority(1000),
            video("raised", 20),
        ])
        .await;
    let request = RequeueVideosRequest { ids: vec![ids[3]], priority: Some(7), ..Default::default() };
    good(farm.native().videos().requeue_videos(request).await);
    assert_eq!(given(&farm, 4).await, ["first", "raised", "plain", "later"]);
}

#[tokio::test]
async fn what_failed_before_comes_behind_its_equals_that_wait() {
    let farm = Farm::start().await;
    let failed = waiting("lib/failed").status(VideoStatus::Failed);
    farm.register_videos(vec![failed, waiting("lib/new")]).await;
    assert_eq!(given(&farm, 2).await, ["new", "failed"]);
}

#[tokio::test]
async fn only_what_waits_or_failed_is_given() {
    let farm = Farm::start().await;
    farm.register_videos(vec![
        waiting("lib/good").status(VideoStatus::NotNeeded),
        waiting("lib/done").status(VideoStatus::Completed),
        waiting("lib/waits"),
    ])
    .await;
    assert_eq!(given(&farm, 1).await, ["waits"]);
}

#[tokio::test]
async fn what_is_good_is_given_when_somebody_forces_it() {
    let farm = Farm::start().await;
    let ids = farm.register_videos(vec![waiting("lib/done").status(VideoStatus::Completed)]).await;
    let requeue = async |force| {
        let request = RequeueVideosRequest { ids: ids.clone(), force, ..Default::default() };
        good(farm.native().videos().requeue_videos(request).await).requeued
    };
    assert_eq!(requeue(false).await, 0);
    assert_eq!(requeue(true).await, 1);
    assert_eq!(farm.api().video(ids[0]).await["transcode_status"], json!(1));
    assert_eq!(given(&farm, 1).await, ["done"]);
}
