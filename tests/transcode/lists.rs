//! Long lists: filters, sorts and pages of thousands.

use std::collections::HashSet;

use serde_json::Value;
use steward_proto::transcode::v1::{
    ListTasksRequest, ListVideosRequest, ListVideosResponse, ListWorkersRequest, SortOrder, TaskStatus, Video,
    VideoStatus,
};
use tonic::Code;

use crate::vocabulary::farm::{Farm, VideoWords as _, waiting};
use crate::vocabulary::native::{Native, good, refusal};

const MANY: i32 = 3000;

/// Video `number` of many: every property differs from that of its neighbours.
fn video(number: i32) -> Video {
    let codec = ["h264", "hevc", "av1"][usize::try_from(number % 3).expect("small")];
    let status = [VideoStatus::Waiting, VideoStatus::NotNeeded, VideoStatus::Completed, VideoStatus::Failed];
    let video = waiting(&format!("lib/{:04}.mp4", (number * 7) % MANY));
    let mut video = video.codec(codec).bitrate(1000 + (number * 13) % 50);
    video.set_transcode_status(status[usize::try_from(number % 4).expect("small")]);
    video.size_bytes = i64::from(number % 100) * 1024 * 1024;
    if number % 5 == 0 { video.vr() } else { video }
}

async fn page(native: &Native, request: ListVideosRequest) -> ListVideosResponse {
    good(native.videos().list_videos(request).await)
}

/// All videos of a question, page by page by token.
async fn all(native: &Native, request: &ListVideosRequest) -> Vec<Video> {
    let (mut videos, mut page_token) = (Vec::new(), String::new());
    loop {
        let answer = page(native, ListVideosRequest { page_token, ..request.clone() }).await;
        videos.extend(answer.videos);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return videos;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_about_thousands_of_videos_is_answered_as_a_plain_search_would() {
    let farm = Farm::start().await;
    let native = farm.native();
    let ids = farm.register_videos((0..MANY).map(video).collect()).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3000);
    let whole = all(&native, &ListVideosRequest { page_size: 1000, ..Default::default() }).await;
    assert_eq!(whole.len(), 3000);

    let questions = [
        ListVideosRequest { statuses: vec![VideoStatus::Waiting.into()], ..Default::default() },
        ListVideosRequest {
            statuses: vec![VideoStatus::Failed.into(), VideoStatus::NotNeeded.into()],
            is_vr: Some(true),
            ..Default::default()
        },
        ListVideosRequest { codecs: vec!["HEVC".to_owned(), "av1".to_owned()], ..Default::default() },
        ListVideosRequest { min_bitrate_k: Some(1010), max_bitrate_k: Some(1020), ..Default::default() },
        ListVideosRequest { min_size_bytes: Some(5 << 20), max_size_bytes: Some(9 << 20), ..Default::default() },
        ListVideosRequest { library: "lib".to_owned(), is_vr: Some(false), ..Default::default() },
        ListVideosRequest { library: "none".to_owned(), ..Default::default() },
    ];
    for question in questions {
        for (sort_by, order) in [("bitrate_k", SortOrder::Desc), ("video_path", SortOrder::Asc), ("", SortOrder::Desc)]
        {
            let request = ListVideosRequest {
                sort_by: sort_by.to_owned(),
                order: order.into(),
                page_size: 333,
                ..question.clone()
            };
            let mut expected: Vec<_> = whole.iter().filter(|video| is_asked_for(&question, video)).collect();
            expected.sort_by(|one, other| {
                let by = match sort_by {
                    "bitrate_k" => one.bitrate_k.cmp(&other.bitrate_k),
                    "video_path" => one.video_path.cmp(&other.video_path),
                    _ => {
                        let nanos = |video: &Video| video.update_time.map(|time| (time.seconds, time.nanos));
                        nanos(one).cmp(&nanos(other))
                    }
                };
                let by = by.then(one.id.cmp(&other.id));
                if order == SortOrder::Asc { by } else { by.reverse() }
            });
            let listed = all(&native, &request).await;
            let ids = |videos: Vec<&Video>| videos.iter().map(|video| video.id).collect::<Vec<_>>();
            assert_eq!(ids(listed.iter().collect()), ids(expected), "{request:?}");
            let first = page(&native, request).await;
            assert_eq!(usize::try_from(first.total_size).expect("small"), listed.len());
        }
    }
}

fn is_asked_for(question: &ListVideosRequest, video: &Video) -> bool {
    let has_status = question.statuses.is_empty() || question.statuses.contains(&video.transcode_status);
    let has_codec =
        question.codecs.is_empty() || question.codecs.iter().any(|codec| codec.eq_ignore_ascii_case(&video.codec));
    has_status
        && has_codec
        && question.is_vr.is_none_or(|is_vr| video.is_vr == is_vr)
        && question.min_bitrate_k.is_none_or(|least| video.bitrate_k >= least)
        && question.max_bitrate_k.is_none_or(|most| video.bitrate_k <= most)
        && question.min_size_bytes.is_none_or(|least| video.size_bytes >= least)
        && question.max_size_bytes.is_none_or(|most| video.size_bytes <= most)
        && (question.library.is_empty() || video.library == question.library)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_api_pages_through_thousands_without_a_gap() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.register_videos((0..MANY).map(video).collect()).await;
    let mut seen = HashSet::new();
    let mut number = 1;
    loop {
        let reply = api.get(&format!("/videos?page={number}&per_page=700&sort_by=bitrate_k")).await;
        let data = reply.brings(200, "获取成功");
        assert_eq!((&data["pagination"]["total"], &data["pagination"]["pages"]), (&Value::from(3000), &Value::from(5)));
        for video in data["videos"].as_array().expect("an array") {
            assert!(seen.insert(video["id"].as_i64().expect("a number")), "{video} came twice");
        }
        if data["pagination"]["has_next"] == false {
            break;
        }
        number += 1;
    }
    assert_eq!((number, seen.len()), (5, 3000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_again_refreshes_and_adds_nothing() {
    let farm = Farm::start().await;
    let native = farm.native();
    let first = farm.register_videos((0..500).map(video).collect()).await;
    let request = steward_proto::transcode::v1::RegisterVideosRequest {
        videos: (0..500).map(|number| video(number).bitrate(77)).collect(),
    };
    let again = good(native.videos().register_videos(request).await);
    assert_eq!((again.ids, again.added), (first, 0));
    let request = ListVideosRequest { min_bitrate_k: Some(77), max_bitrate_k: Some(77), ..Default::default() };
    assert_eq!(page(&native, request).await.total_size, 500);
}

#[tokio::test]
async fn what_cannot_be_a_video_is_not_registered() {
    let farm = Farm::start().await;
    let native = farm.native();
    let register = async |videos: Vec<Video>| {
        let request = steward_proto::transcode::v1::RegisterVideosRequest { videos };
        refusal(native.videos().register_videos(request).await)
    };
    let unknown = register(vec![waiting("lib/a.mp4"), waiting("nowhere/b.mp4")]).await;
    assert_eq!(unknown, (Code::NotFound, "LIBRARY_NOT_FOUND".to_owned()));
    for path in ["", "lib", "lib/", "/lib/a.mp4", "lib/../a.mp4", &format!("lib/{}", "x".repeat(1024))] {
        let code = register(vec![waiting("lib/a.mp4"), waiting(path)]).await.0;
        assert!(matches!(code, Code::InvalidArgument | Code::NotFound), "{path}: {code:?}");
    }
    let many = (0..1001).map(|number| waiting(&format!("lib/{number}.mp4"))).collect();
    assert_eq!(register(many).await.0, Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_are_found_by_status_worker_and_video() {
    let farm = Farm::start().await;
    let (api, native) = (farm.api(), farm.native());
    farm.waiting(300).await;
    let workers = [native.register("a").await.worker_id, native.register("b").await.worker_id];
    let mut tasks = Vec::new();
    for number in 0..300 {
        let task = native.task_for(workers[number % 2]).await;
        if number % 3 == 0 {
            api.complete(&task.task_id, task.worker_id.into()).await;
        }
        tasks.push(task);
    }
    let listed = async |request: ListTasksRequest| {
        let answer = good(native.tasks().list_tasks(ListTasksRequest { page_size: 1000, ..request }).await);
        (answer.total_size, answer.tasks)
    };

    let completed = vec![TaskStatus::Completed.into()];
    assert_eq!(listed(ListTasksRequest { statuses: completed.clone(), ..Default::default() }).await.0, 100);
    let both = ListTasksRequest { statuses: completed, worker_id: workers[0], ..Default::default() };
    let (total, seen) = listed(both).await;
    assert_eq!(total, 50);
    assert!(seen.iter().all(|task| task.worker_id == workers[0] && task.status() == TaskStatus::Completed));
    let one = listed(ListTasksRequest { video_id: tasks[17].video_id, ..Default::default() }).await.1;
    assert_eq!((one.len(), &one[0].task_id), (1, &tasks[17].task_id));
    let (total, newest) = listed(ListTasksRequest::default()).await;
    assert_eq!((total, newest.len()), (300, 300));
    assert!(newest.is_sorted_by(|one, next| one.id > next.id), "the newest first");
    assert!(newest.iter().all(|task| task.lease_token.is_empty()), "a list has no tokens");
}

#[tokio::test]
async fn odd_questions_are_refused_by_field() {
    let farm = Farm::start().await;
    let native = farm.native();
    let videos = async |request| native.videos().list_videos(request).await.expect_err("a refusal").code();
    assert_eq!(videos(ListVideosRequest { page_size: -1, ..Default::default() }).await, Code::InvalidArgument);
    assert_eq!(videos(ListVideosRequest { page: -1, ..Default::default() }).await, Code::InvalidArgument);
    let token = "no token".to_owned();
    assert_eq!(videos(ListVideosRequest { page_token: token, ..Default::default() }).await, Code::InvalidArgument);
    let sort_by = "colour".to_owned();
    assert_eq!(videos(ListVideosRequest { sort_by, ..Default::default() }).await, Code::InvalidArgument);
    let workers = native.workers().list_workers(ListWorkersRequest { page_size: -1, ..Default::default() }).await;
    assert_eq!(workers.expect_err("a refusal").code(), Code::InvalidArgument);
}
