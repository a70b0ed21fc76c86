use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use steward_proto::transcode::v1::claim_task_response::Result as Claim;

use crate::vocabulary::api::Api;
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::claim;
use crate::vocabulary::programs;

const VIDEOS: i32 = 40;
const WORKERS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_workers_at_once_get_forty_videos_once_each() {
    let farm = Farm::start().await;
    farm.waiting(VIDEOS).await;
    let native = farm.native();
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(native.register(&format!("w{number}")).await.worker_id);
    }

    // Each on a connection of its own, all at once.
    let claims = workers.into_iter().map(|id| (farm.native(), id));
    let claims = claims.map(|(native, id)| tokio::spawn(async move { native.claim(claim(id)).await }));
    let answers = join_all(claims).await;

    let (mut videos, mut tasks, mut empty) = (HashSet::new(), HashSet::new(), 0);
    for answer in answers {
        match answer.expect("every claim is answered") {
            Claim::Task(task) => {
                assert!(videos.insert(task.video_id), "video {} was given twice", task.video_id);
                assert!(tasks.insert(task.task_id));
                assert!(!task.lease_token.is_empty());
            }
            Claim::NoWork(_) => empty += 1,
            Claim::Offline(_) => panic!("nobody was told to go"),
        }
    }
    assert_eq!((videos.len(), tasks.len(), empty), (40, 40, 24));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_over_http() {
    let farm = Farm::start().await;
    claim_at_once(&farm, &[farm.api()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_holds_through_two_gateways() {
    let farm = Farm::start().await;
    let (_first, one) = programs::gateway(&farm, "gateway-1").await;
    let (_second, two) = programs::gateway(&farm, "gateway-2").await;
    claim_at_once(&farm, &[Api(one), Api(two)]).await;
}

/// Each worker asks at one of the places, all at once.
async fn claim_at_once(farm: &Farm, places: &[Api]) {
    farm.waiting(VIDEOS).await;
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(places[0].register(&format!("w{number}")).await);
    }

    let asks = workers.iter().zip(places.iter().cycle()).map(|(worker, api)| {
        let (api, worker) = (*api, *worker);
        tokio::spawn(async move { api.ask(worker).await })
    });
    let replies = join_all(asks).await;

    let (mut paths, mut tasks, mut empty) = (HashSet::new(), HashSet::new(), 0);
    for reply in replies {
        let reply = reply.expect("every claim is answered");
        if reply.status == 404 {
            reply.says(404, "没有待转码的视频");
            empty += 1;
            continue;
        }
        let data = reply.brings(201, "创建任务成功");
        assert!(paths.insert(data["video_path"].to_string()), "{data} was given twice");
        assert!(tasks.insert(data["task_id"].to_string()));
    }
    assert_eq!((paths.len(), tasks.len(), empty), (40, 40, 24));
    let listed = farm.api().rows("/tasks?per_page=1000").await;
    let listed: HashSet<_> = listed.iter().map(|row| row["task_id"].to_string()).collect();
    assert_eq!(listed, tasks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_video_goes_to_one_of_many_however_often_it_is_tried() {
    let farm = Farm::start().await;
    let api = farm.api();
    let mut workers = Vec::new();
    for number in 0..16 {
        workers.push(api.register(&format!("w{number}")).await);
    }
    for round in 0..5 {
        farm.register_videos(vec![crate::vocabulary::farm::waiting(&format!("lib/{round}.mp4"))]).await;
        let replies = join_all(workers.iter().map(|worker| api.ask(*worker))).await;
        let got: Vec<_> = replies.iter().filter(|reply| reply.status == 201).collect();
        assert_eq!(got.len(), 1, "round {round}");
    }
}

#[tokio::test]
async fn one_worker_of_the_older_api_may_have_many_tasks() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(3).await;
    let worker = api.register("w1").await;
    for _ in 0..3 {
        api.claim(worker).await;
    }
    let rows = api.rows("/tasks?status[]=0").await;
    let owners: Vec<&Value> = rows.iter().map(|row| &row["worker_id"]).collect();
    assert_eq!(owners, [&json!(worker), &json!(worker), &json!(worker)]);
}
