use serde_json::{Value, json};
use steward_proto::transcode::v1::VideoStatus;

use super::{is_time, keys};
use crate::vocabulary::farm::{Farm, VideoWords as _, waiting};

#[tokio::test]
async fn a_video_is_shown_with_exactly_these_fields() {
    let farm = Farm::start().await;
    let api = farm.api();
    let id = farm.register_videos(vec![waiting("lib/a.mp4").fps(29.97)]).await[0];

    let list = api.get("/videos").await;
    let data = list.brings(200, "获取成功");
    assert_eq!(keys(data), ["pagination", "videos"]);
    let row = &data["videos"][0];
    is_time(&row["update_time"]);
    let expected = json!({
        "id": id, "video_path": "lib/a.mp4", "codec": "h264", "bitrate_k": 4000, "video_size": 10.0, "fps": 29.97,
        "resolution": {"width": 1280, "height": 720}, "is_vr": 0, "transcode_status": 1, "transcode_task_id": null,
        "update_time": row["update_time"],
    });
    assert_eq!(row, &expected);
    api.get(&format!("/videos/{id}")).await.is(200, &json!({"code": 200, "message": "获取成功", "data": expected}));
    for odd in ["77", "0"] {
        api.get(&format!("/videos/{odd}")).await.says(404, "视频不存在");
    }
}

/// Six videos that differ in everything that can be asked for.
async fn six(farm: &Farm) -> Vec<i32> {
    let videos = vec![
        waiting("lib/f.mp4").bitrate(1000).fps(24.0),
        waiting("lib/e.mp4").bitrate(6000).codec("hevc").status(VideoStatus::NotNeeded),
        waiting("lib/d.mp4").bitrate(2000).size(1920, 1080).vr(),
        waiting("lib/c.mp4").bitrate(5000).codec("vp9").status(VideoStatus::Completed),
        waiting("lib/b.mp4").bitrate(3000).size(640, 360).status(VideoStatus::Failed),
        waiting("lib/a.mp4").bitrate(4000).codec("hevc").fps(60.0).vr(),
    ];
    let videos = videos.into_iter().zip(1..).map(|(mut video, size)| {
        video.size_bytes = size * 1024 * 1024;
        video
    });
    farm.register_videos(videos.collect()).await
}

async fn listed(farm: &Farm, ids: &[i32], query: &str) -> Vec<usize> {
    let rows = farm.api().rows(&format!("/videos?{query}")).await;
    rows.iter().map(|row| ids.iter().position(|id| row["id"] == *id).expect("a video")).collect()
}

#[tokio::test]
async fn filters_that_can_be_read_hold_and_others_do_not() {
    let farm = Farm::start().await;
    let ids = six(&farm).await;
    let rows: &[(&str, &[usize])] = &[
        ("transcode_status[]=1", &[0, 2, 5]),
        ("transcode_status%5B%5D=0&transcode_status[]=4", &[1, 3]),
        ("transcode_status[]=5", &[4]),
        ("transcode_status[]=3", &[]),
        ("transcode_status[]=99", &[]),
        ("transcode_status[]=x", &[0, 1, 2, 3, 4, 5]),
        ("transcode_status=1", &[0, 1, 2, 3, 4, 5]),
        ("codec[]=hevc", &[1, 5]),
        ("codec[]=HEVC&codec[]=Vp9", &[1, 3, 5]),
        ("codec[]=mpeg4", &[]),
        ("is_vr=1", &[2, 5]),
        ("is_vr=0", &[0, 1, 3, 4]),
        ("is_vr=undefined", &[0, 1, 2, 3, 4, 5]),
        ("is_vr=", &[0, 1, 2, 3, 4, 5]),
        ("min_bitrate=4000", &[1, 3, 5]),
        ("max_bitrate=2000", &[0, 2]),
        ("min_bitrate=2000&max_bitrate=4000", &[2, 4, 5]),
        ("min_bitrate=lots", &[0, 1, 2, 3, 4, 5]),
        ("min_size=4.5", &[4, 5]),
        ("max_size=2", &[0, 1]),
        ("min_size=NaN&max_size=inf", &[0, 1, 2, 3, 4, 5]),
        ("is_vr=1&codec[]=hevc&transcode_status[]=1", &[5]),
    ];
    for (query, expected) in rows {
        let mut seen = listed(&farm, &ids, query).await;
        seen.sort_unstable();
        assert_eq!(&seen, expected, "{query}");
    }
}

#[tokio::test]
async fn videos_are_sorted_as_asked() {
    let farm = Farm::start().await;
    let ids = six(&farm).await;
    let rows: &[(&str, [usize; 6])] = &[
        ("sort_by=id&order=asc", [0, 1, 2, 3, 4, 5]),
        ("sort_by=id", [5, 4, 3, 2, 1, 0]),
        ("sort_by=video_path&order=asc", [5, 4, 3, 2, 1, 0]),
        ("sort_by=bitrate_k", [1, 3, 5, 4, 2, 0]),
        ("sort_by=bitrate_k&order=asc", [0, 2, 4, 5, 3, 1]),
        ("sort_by=bitrate_k&order=DESC", [0, 2, 4, 5, 3, 1]),
        ("sort_by=video_size&order=asc", [0, 1, 2, 3, 4, 5]),
        ("sort_by=video_size", [5, 4, 3, 2, 1, 0]),
    ];
    for (query, expected) in rows {
        assert_eq!(&listed(&farm, &ids, query).await, expected, "{query}");
    }
    let first = async |query: &str| listed(&farm, &ids, query).await[0];
    assert_eq!(first("sort_by=resolutionall").await, 2, "the most pixels");
    assert_eq!(first("sort_by=resolutionall&order=asc").await, 4, "the fewest pixels");
    assert_eq!(first("sort_by=fps").await, 5);
    assert_eq!(first("sort_by=fps&order=asc").await, 0);
    assert_eq!(first("sort_by=codec").await, 3);
    assert_eq!(first("sort_by=transcode_status").await, 4);
}

#[tokio::test]
async fn what_changed_last_comes_first_under_each_of_its_names() {
    let farm = Farm::start().await;
    let ids = six(&farm).await;
    let newest: Vec<_> = [5, 4, 3, 2, 1, 0].into();
    for query in ["", "sort_by=updatetime", "sort_by=update_time", "sort_by=metadata", "order=desc"] {
        assert_eq!(listed(&farm, &ids, query).await, newest, "{query}");
    }
    for query in ["order=asc", "sort_by=updatetime&order=asc"] {
        assert_eq!(listed(&farm, &ids, query).await, [0, 1, 2, 3, 4, 5], "{query}");
    }
}

#[tokio::test]
async fn videos_come_in_pages() {
    let farm = Farm::start().await;
    let ids = six(&farm).await;
    let page = async |query: &str| -> Value { farm.api().get(&format!("/videos?{query}")).await.data().clone() };

    let second = page("page=2&per_page=4&sort_by=id&order=asc").await;
    assert_eq!((&second["videos"][0]["id"], second["videos"].as_array().map(Vec::len)), (&json!(ids[4]), Some(2)));
    let expected =
        json!({"total": 6, "pages": 2, "current_page": 2, "per_page": 4, "has_next": false, "has_prev": true});
    assert_eq!(second["pagination"], expected);
    let past = page("page=9&per_page=4").await;
    assert_eq!(past["videos"], json!([]));
    let expected =
        json!({"total": 6, "pages": 2, "current_page": 9, "per_page": 4, "has_next": false, "has_prev": true});
    assert_eq!(past["pagination"], expected);
    for odd in ["page=0", "page=x", "per_page=0", "per_page=-1", "per_page=x", "page=undefined&per_page=undefined"] {
        let page = page(odd).await;
        let seen = (&page["pagination"]["current_page"], &page["pagination"]["per_page"]);
        assert_eq!(seen, (&json!(1), &json!(20)), "{odd}");
    }
}

#[tokio::test]
async fn what_is_not_known_of_a_video_is_still_never_null() {
    let farm = Farm::start().await;
    let bare = steward_proto::transcode::v1::Video {
        video_path: "lib/bare.avi".to_owned(),
        transcode_status: VideoStatus::NotNeeded.into(),
        exist: true,
        ..Default::default()
    };
    let id = farm.register_videos(vec![bare]).await[0];
    let video = farm.api().video(id).await;
    for key in ["codec", "video_size", "resolution", "bitrate_k", "fps"] {
        assert!(!video[key].is_null(), "{key} of {video}");
    }
    assert_eq!(video["resolution"], json!({"width": 0, "height": 0}));
}
