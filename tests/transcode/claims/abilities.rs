use std::collections::HashMap;

use serde_json::json;
use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::{
    Constraints, GetTaskStatsRequest, Library, RegisterWorkerRequest, Rules, Schedule, UpdateWorkerRequest, Video,
    VideoStatus, Window, WorkerType,
};

use crate::vocabulary::farm::{Farm, VideoWords as _, waiting};
use crate::vocabulary::native::{claim, cpu, good, is_no_work, task_of};

/// Videos at the edges of what an encoder takes, the most urgent first.
fn edges() -> Vec<Video> {
    let video = |name: &str, bitrate| waiting(&format!("lib/{name}")).bitrate(bitrate);
    vec![
        video("vr", 9000).vr(),
        video("large", 8000).size(2560, 1440),
        video("just-too-large", 7900).size(1921, 1080),
        video("fast", 7000).fps(31.5),
        video("hevc", 6000).codec("hevc"),
        video("failed", 5000).status(VideoStatus::Failed),
        video("just-small-enough", 4500).size(2330, 890),
        video("just-slow-enough", 4000).fps(31.0),
        video("plain", 3000),
    ]
}

/// Everything that a request of this kind is given over HTTP, by name.
async fn given(worker_type: u32, support_vr: u32) -> Vec<String> {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.register_videos(edges()).await;
    // Registered as something else: the request counts.
    let worker = api.register("w1").await;
    let body = json!({"worker_id": worker, "worker_type": worker_type, "support_vr": support_vr});
    let mut names = Vec::new();
    loop {
        let reply = api.send("POST", "/tasks", &body).await;
        if reply.status == 404 {
            return names;
        }
        let path = reply.brings(201, "创建任务成功")["video_path"].as_str().expect("a path").to_owned();
        names.push(path.trim_start_matches("lib/").to_owned());
    }
}

#[tokio::test]
async fn a_processor_takes_everything_but_vr() {
    let mut names = given(0, 0).await;
    names.sort_unstable();
    let mut all: Vec<_> = edges().iter().map(|video| video.video_path.trim_start_matches("lib/").to_owned()).collect();
    all.retain(|name| name != "vr");
    all.sort_unstable();
    assert_eq!(names, all);
}

#[tokio::test]
async fn whoever_takes_vr_takes_nothing_else() {
    assert_eq!(given(0, 1).await, ["vr"]);
}

#[tokio::test]
async fn hardware_takes_h264_up_to_1080p_and_31_frames() {
    for hardware in [1, 3] {
        assert_eq!(given(hardware, 0).await, ["just-small-enough", "just-slow-enough", "plain"], "type {hardware}");
    }
}

#[tokio::test]
async fn quick_sync_takes_what_failed_too() {
    let mut names = given(2, 0).await;
    names.sort_unstable();
    assert_eq!(names, ["failed", "just-slow-enough", "just-small-enough", "plain"]);
}

#[tokio::test]
async fn a_native_claim_uses_what_the_worker_registered_with_unless_it_says_otherwise() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.register_videos(vec![waiting("lib/vr").vr(), waiting("lib/flat").codec("vp9")]).await;
    let request = RegisterWorkerRequest { worker_type: WorkerType::Nvenc.into(), support_vr: false, ..cpu("w1") };
    let id = good(native.workers().register_worker(request).await).worker_id;
    is_no_work(&native.claim(claim(id)).await);
    let mut request = claim(id);
    request.worker_type = WorkerType::Cpu.into();
    request.support_vr = Some(true);
    assert_eq!(task_of(native.claim(request.clone()).await).video_path, "lib/vr");
    request.support_vr = Some(false);
    assert_eq!(task_of(native.claim(request).await).video_path, "lib/flat");
}

#[tokio::test]
async fn constraints_keep_away_what_a_worker_cannot_do() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.put_library(farm.library("far")).await;
    farm.register_videos(vec![
        waiting("lib/tall").size(3840, 2160).bitrate(9000),
        waiting("lib/odd").codec("vc1").bitrate(8000),
        waiting("far/away").bitrate(7000),
        waiting("lib/fits").bitrate(10),
    ])
    .await;
    let constraints = Constraints {
        max_height: 1080,
        codecs: vec!["h264".to_owned(), "hevc".to_owned()],
        libraries: vec!["lib".to_owned()],
    };
    let narrow = RegisterWorkerRequest { constraints: Some(constraints), ..cpu("narrow") };
    let id = good(native.workers().register_worker(narrow).await).worker_id;
    assert_eq!(native.task_for(id).await.video_path, "lib/fits");
    is_no_work(&native.claim(claim(id)).await);
    let lift = UpdateWorkerRequest { worker_id: id, constraints: Some(Constraints::default()), ..Default::default() };
    good(native.workers().update_worker(lift).await);
    assert_eq!(native.task_for(id).await.video_path, "lib/tall");
}

#[tokio::test]
async fn a_library_gets_only_workers_with_its_labels() {
    let farm = Farm::start().await;
    let native = farm.native();
    let label = |value: &str| HashMap::from([("gpu".to_owned(), value.to_owned())]);
    let rules = Rules { require_labels: label("a2000"), ..Rules::default() };
    farm.put_library(Library { rules: Some(rules), ..farm.library("picky") }).await;
    farm.register_videos(vec![waiting("picky/a")]).await;
    for (name, labels) in [("none", HashMap::new()), ("other", label("a100"))] {
        let request = RegisterWorkerRequest { labels, ..cpu(name) };
        let id = good(native.workers().register_worker(request).await).worker_id;
        is_no_work(&native.claim(claim(id)).await);
    }
    let request = RegisterWorkerRequest { labels: label("a2000"), ..cpu("right") };
    let id = good(native.workers().register_worker(request).await).worker_id;
    assert_eq!(native.task_for(id).await.video_path, "picky/a");
}

/// Windows of whole days: those of one day that is neither today nor next to it, or those of every day.
async fn windows(farm: &Farm, is_open: bool) -> Schedule {
    let days =
        good(farm.native().tasks().get_task_stats(GetTaskStatsRequest { days: 1, ..Default::default() }).await).days;
    let today: jiff::civil::Date = days[0].date.parse().expect("a date");
    let far = 1 << ((today.weekday().to_monday_zero_offset() + 3) % 7);
    let days = if is_open { 0 } else { far };
    Schedule { windows: vec![Window { days, start_minute: 0, end_minute: 1440 }], ..Schedule::default() }
}

#[tokio::test]
async fn work_is_given_out_only_within_the_windows_of_the_worker_and_of_the_library() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(2).await;
    let id = native.register("w1").await.worker_id;
    let (open, closed) = (windows(&farm, true).await, windows(&farm, false).await);
    let of_worker = |schedule: &Schedule| UpdateWorkerRequest {
        worker_id: id,
        schedule: Some(schedule.clone()),
        ..Default::default()
    };
    let of_library = |schedule: &Schedule| Library {
        rules: Some(Rules { schedule: Some(schedule.clone()), ..Rules::default() }),
        ..farm.library("lib")
    };

    good(native.workers().update_worker(of_worker(&closed)).await);
    is_no_work(&native.claim(claim(id)).await);
    farm.api().ask(id.into()).await.says(404, "没有待转码的视频");
    good(native.workers().update_worker(of_worker(&open)).await);
    farm.put_library(of_library(&closed)).await;
    is_no_work(&native.claim(claim(id)).await);
    farm.put_library(of_library(&open)).await;
    native.task_for(id).await;
    good(native.workers().update_worker(of_worker(&Schedule::default())).await);
    native.task_for(id).await;
}

#[tokio::test]
async fn a_paused_worker_and_a_paused_library_rest() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(2).await;
    let (id, other) = (native.register("w1").await.worker_id, native.register("w2").await.worker_id);
    let pause = |paused| UpdateWorkerRequest { worker_id: id, paused: Some(paused), ..Default::default() };
    let library = |paused| Library { paused, ..farm.library("lib") };

    good(native.workers().update_worker(pause(true)).await);
    is_no_work(&native.claim(claim(id)).await);
    native.task_for(other).await;
    good(native.workers().update_worker(pause(false)).await);
    farm.put_library(library(true)).await;
    is_no_work(&native.claim(claim(id)).await);
    farm.put_library(library(false)).await;
    native.task_for(id).await;
}

#[tokio::test]
async fn having_nothing_to_do_says_when_to_ask_again() {
    let farm = Farm::start().await;
    let native = farm.native();
    let id = native.register("w1").await.worker_id;
    let Claim::NoWork(no_work) = native.claim(claim(id)).await else { panic!("there is no work") };
    let wait = no_work.retry_after.expect("a time");
    assert!((0..=3600).contains(&wait.seconds), "{wait:?}");
}
