use serde_json::json;
use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::{
    CancelTaskRequest, Library, RequeueVideosRequest, RetryTaskRequest, Rules, Task, TaskStatus, VideoStatus,
};
use tonic::Code;

use crate::common::wait::eventually;
use crate::vocabulary::farm::{Farm, VideoWords as _, waiting};
use crate::vocabulary::native::{Native, claim, failure, good, is_no_work, refusal, report};

#[tokio::test]
async fn a_failed_video_rests_before_it_is_tried_again() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nretry_backoff = \"1h\"").await;
    let native = farm.native();
    let video = farm.waiting(1).await[0];
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    assert_eq!(task.attempt, 1);
    native.update(failure(&task, "no")).await;

    is_no_work(&native.claim(claim(id)).await);

    let seen = native.video(video).await;
    assert_eq!((seen.transcode_status(), seen.attempts, seen.held), (VideoStatus::Failed, 1, false));
    assert_eq!(seen.error_message, "no");
    let ended = native.task(&task.task_id).await.end_time.expect("it has ended").seconds;
    let rest = seen.not_before_time.expect("it rests").seconds - ended;
    assert!((3500..=3700).contains(&rest), "{rest} s");
}

#[tokio::test]
async fn each_rest_is_twice_the_one_before_up_to_a_limit() {
    let config = "heartbeat_timeout = \"10m\"\nretry_backoff = \"1s\"\nretry_backoff_max = \"3s\"\nmax_attempts = 9";
    let farm = Farm::with(config).await;
    let native = farm.native();
    let video = farm.waiting(1).await[0];
    let id = native.register("w1").await.worker_id;
    let mut rests = Vec::new();
    for attempt in 1..=3 {
        let task = due(&native, id).await;
        assert_eq!(task.attempt, attempt);
        native.update(failure(&task, "no")).await;
        let ended = native.task(&task.task_id).await.end_time.expect("it has ended");
        let due = native.video(video).await.not_before_time.expect("it rests");
        rests.push((due.seconds - ended.seconds) * 1000 + i64::from(due.nanos - ended.nanos) / 1_000_000);
    }
    for (rest, expected) in rests.iter().zip([1000, 2000, 3000]) {
        assert!((rest - expected).abs() <= 500, "{rests:?} ms");
    }
}

/// The only video, once it may be tried again.
async fn due(native: &Native, worker: i32) -> Task {
    eventually("the video's rest is over", async || match native.claim(claim(worker)).await {
        Claim::Task(task) => Some(task),
        Claim::NoWork(_) | Claim::Offline(_) => None,
    })
    .await
}

#[tokio::test]
async fn a_video_whose_attempts_are_used_up_is_held_until_somebody_asks_for_it() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nretry_backoff = \"1ms\"\nmax_attempts = 2").await;
    let (api, native) = (farm.api(), farm.native());
    let video = farm.waiting(1).await[0];
    let id = native.register("w1").await.worker_id;
    let last = use_up(&farm, id, 2).await;

    let held = native.video(video).await;
    assert!(held.held, "{held:?}");
    assert_eq!((held.transcode_status(), held.attempts), (VideoStatus::Failed, 2));
    is_no_work(&native.claim(claim(id)).await);
    assert_eq!(api.video(video).await["transcode_status"], json!(5));

    let answer = good(native.tasks().retry_task(RetryTaskRequest { task_id: last, priority: Some(3) }).await);
    assert_eq!(answer.video_id, video);
    let again = native.video(video).await;
    assert_eq!((again.held, again.attempts, again.priority), (false, 0, 3));
    assert_eq!(again.transcode_status(), VideoStatus::Waiting);
    use_up(&farm, id, 2).await;
    assert!(native.video(video).await.held);

    let request = RequeueVideosRequest { ids: vec![video], ..Default::default() };
    assert_eq!(good(native.videos().requeue_videos(request.clone()).await).requeued, 1);
    assert_eq!(native.task_for(id).await.attempt, 1);
    assert_eq!(good(native.videos().requeue_videos(request).await).requeued, 0, "what is worked on is left alone");
}

/// Fails so many tasks; returns the last one's UUID.
async fn use_up(farm: &Farm, worker: i32, attempts: i32) -> String {
    let native = farm.native();
    let mut last = String::new();
    for attempt in 1..=attempts {
        let task = due(&native, worker).await;
        assert_eq!(task.attempt, attempt);
        native.update(failure(&task, &format!("failure {attempt}"))).await;
        last = task.task_id;
    }
    last
}

#[tokio::test]
async fn a_library_may_allow_other_attempts_than_the_server() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nretry_backoff = \"1ms\"").await;
    let native = farm.native();
    let rules = Rules { max_attempts: Some(1), ..Rules::default() };
    farm.put_library(Library { rules: Some(rules), ..farm.library("lib") }).await;
    let video = farm.waiting(1).await[0];
    let id = native.register("w1").await.worker_id;
    native.update(failure(&native.task_for(id).await, "no")).await;
    assert!(native.video(video).await.held);
}

#[tokio::test]
async fn another_worker_is_preferred_for_what_one_has_failed() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nretry_backoff = \"1ms\"").await;
    let native = farm.native();
    farm.register_videos(vec![waiting("lib/hard").bitrate(9000), waiting("lib/easy").bitrate(10)]).await;
    let (one, two) = (native.register("one").await.worker_id, native.register("two").await.worker_id);
    let task = native.task_for(one).await;
    assert_eq!(task.video_path, "lib/hard");
    native.update(failure(&task, "no")).await;

    let next = native.task_for(one).await;
    let other = due(&native, two).await;

    assert_eq!((next.video_path.as_str(), other.video_path.as_str()), ("lib/easy", "lib/hard"));
    assert_eq!(other.attempt, 2);
}

#[tokio::test]
async fn a_cancelled_task_holds_its_video_unless_it_is_to_be_requeued() {
    let farm = Farm::start().await;
    let (api, native) = (farm.api(), farm.native());
    let videos = farm.waiting(2).await;
    let id = native.register("w1").await.worker_id;
    let (held, requeued) = (native.task_for(id).await, native.task_for(id).await);
    let cancel = |task_id: &str, requeue| CancelTaskRequest {
        task_id: task_id.to_owned(),
        reason: "not today".to_owned(),
        requeue,
    };

    let answer = good(native.tasks().cancel_task(cancel(&held.task_id, false)).await);
    assert_eq!(answer.task.expect("the task").status(), TaskStatus::Cancelled);
    good(native.tasks().cancel_task(cancel(&requeued.task_id, true)).await);

    let again = native.tasks().cancel_task(cancel(&held.task_id, false)).await;
    assert_eq!(refusal(again), (Code::FailedPrecondition, "TASK_ENDED".to_owned()));
    let old = api.task(&held.task_id).await;
    assert_eq!((&old["status"], &old["error_message"]), (&json!(3), &json!("not today")), "the older API says failed");
    assert!(native.video(videos[0]).await.held);
    let told = native.update(report(&requeued, TaskStatus::Running, 5.0)).await;
    assert!(told.cancel_requested && !told.applied, "{told:?}");
    assert_eq!(native.task_for(id).await.video_id, videos[1]);
    is_no_work(&native.claim(claim(id)).await);
}

#[tokio::test]
async fn only_an_ended_task_can_be_retried() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(1).await;
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    let retry = async |task_id: &str| {
        let request = RetryTaskRequest { task_id: task_id.to_owned(), priority: None };
        refusal(native.tasks().retry_task(request).await)
    };
    assert_eq!(retry(&task.task_id).await, (Code::FailedPrecondition, "TASK_IN_PROGRESS".to_owned()));
    assert_eq!(retry("00000000-0000-4000-8000-000000000000").await.1, "TASK_NOT_FOUND");
}
