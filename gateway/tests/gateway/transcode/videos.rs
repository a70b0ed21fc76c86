//! `/videos`, to the byte.

use steward_proto::transcode::v1::*;
use tonic::Code;

use super::fake::Fake;
use super::{TIME, answer, ask, error, refusal};

const PATH: &str = "/api/v1/videos";
const ROW: &str = concat!(
    r#"{"bitrate_k":3076,"codec":"h264","fps":29.97,"id":1,"is_vr":0,"resolution":{"height":360,"width":640},"#,
    r#""transcode_status":3,"transcode_task_id":2,"update_time":"2026-11-21T03:09:15","#,
    r#""video_path":"hdd/flat/ABC-123.mp4","video_size":3.0067}"#
);
const BARE_ROW: &str = concat!(
    r#"{"bitrate_k":0,"codec":"","fps":0.0,"id":2,"is_vr":1,"resolution":{"height":0,"width":0},"#,
    r#""transcode_status":1,"transcode_task_id":null,"update_time":null,"video_path":"x","video_size":0.0}"#
);

fn video() -> Video {
    Video {
        id: 1,
        video_path: "hdd/flat/ABC-123.mp4".to_owned(),
        codec: "h264".to_owned(),
        bitrate_k: 3076,
        size_bytes: 3_152_753,
        fps: 30_000.0 / 1001.0,
        resolution: Some(Resolution { width: 640, height: 360 }),
        transcode_status: VideoStatus::Transcoding.into(),
        transcode_task_id: 2,
        update_time: Some(TIME),
        ..Video::default()
    }
}

fn bare_video() -> Video {
    let transcode_status = VideoStatus::Waiting.into();
    Video { id: 2, video_path: "x".to_owned(), is_vr: true, transcode_status, ..Video::default() }
}

fn listing() -> Fake {
    let videos = vec![video(), bare_video()];
    Fake::default().answering(ListVideosResponse { videos, total_size: 2, ..ListVideosResponse::default() })
}

#[tokio::test]
async fn list_is_always_an_object_and_nothing_a_page_needs_is_null() {
    let row = ROW.replace("29.97,", "29.97003,").replace("3.0067}", "3.0066996}");
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":1,"per_page":20,"total":2}"#;
    let data = format!(r#"{{"pagination":{pagination},"videos":[{row},{BARE_ROW}]}}"#);
    let expected = format!(r#"{{"code":200,"data":{data},"message":"获取成功"}}"#);
    assert_eq!(ask(&listing().router(), "GET", PATH, "").await, answer(200, &expected));
}

#[tokio::test]
async fn one_video_is_found_by_its_number() {
    let video = Video { fps: 29.969_999_313_354_492, size_bytes: 3_152_754, ..video() };
    let fake = Fake::default().answering(GetVideoResponse { video: Some(video) });
    let row = ROW.replace("3.0067}", "3.0067005}");
    let expected = answer(200, &format!(r#"{{"code":200,"data":{row},"message":"获取成功"}}"#));
    assert_eq!(ask(&fake.router(), "GET", "/api/v1/videos/1", "").await, expected);
    assert_eq!(fake.asked::<GetVideoRequest>(), [GetVideoRequest { id: 1 }]);

    let fake = Fake::refusing(refusal(Code::NotFound, "VIDEO_NOT_FOUND"));
    for id in ["1", "0", "99999999999"] {
        assert_eq!(ask(&fake.router(), "GET", &format!("{PATH}/{id}"), "").await, error(404, "视频不存在"));
    }
}

#[tokio::test]
async fn filters_are_read_as_the_original_reads_them() {
    let all = ListVideosRequest {
        page_size: 20,
        page: 1,
        sort_by: "update_time".to_owned(),
        order: SortOrder::Desc.into(),
        ..ListVideosRequest::default()
    };
    let sorted = |sort_by: &str| ListVideosRequest { sort_by: sort_by.to_owned(), ..all.clone() };
    for (query, expected) in [
        ("", all.clone()),
        ("is_vr=undefined&page=x&per_page=0", all.clone()),
        ("is_vr=1", ListVideosRequest { is_vr: Some(true), ..all.clone() }),
        ("is_vr=0", ListVideosRequest { is_vr: Some(false), ..all.clone() }),
        (
            "transcode_status[]=1&transcode_status%5B%5D=5",
            ListVideosRequest {
                statuses: vec![VideoStatus::Waiting.into(), VideoStatus::Failed.into()],
                ..all.clone()
            },
        ),
        (
            "codec[]=HEVC&codec[]=h264&codec[]=",
            ListVideosRequest { codecs: vec!["HEVC".to_owned(), "h264".to_owned()], ..all.clone() },
        ),
        (
            "min_bitrate=100&max_bitrate=99999999999",
            ListVideosRequest { min_bitrate_k: Some(100), max_bitrate_k: Some(i32::MAX), ..all.clone() },
        ),
        (
            "min_size=1.5&max_size=2",
            ListVideosRequest { min_size_bytes: Some(1_572_864), max_size_bytes: Some(2_097_152), ..all.clone() },
        ),
        ("min_bitrate=-1&min_size=-1&max_size=nan&max_bitrate=1.5", all.clone()),
        ("sort_by=updatetime", all.clone()),
        ("sort_by=update_time", all.clone()),
        ("sort_by=resolutionall", sorted("pixels")),
        ("sort_by=video_size", sorted("size_bytes")),
        ("sort_by=bitrate_k", sorted("bitrate_k")),
        ("sort_by=codec", sorted("codec")),
        ("sort_by=video_path", sorted("video_path")),
        ("sort_by=transcode_status", sorted("transcode_status")),
        ("sort_by=id", sorted("id")),
        ("sort_by=fps", sorted("fps")),
        ("sort_by=__init__", all.clone()),
        ("order=asc", ListVideosRequest { order: SortOrder::Asc.into(), ..all.clone() }),
    ] {
        let fake = listing();
        ask(&fake.router(), "GET", &format!("{PATH}?{query}"), "").await;
        assert_eq!(fake.asked::<ListVideosRequest>(), [expected], "{query}");
    }
}

#[tokio::test]
async fn filters_that_leave_nothing_are_no_errors() {
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":0,"per_page":20,"total":0}"#;
    let data = format!(r#"{{"pagination":{pagination},"videos":[]}}"#);
    let expected = answer(200, &format!(r#"{{"code":200,"data":{data},"message":"获取成功"}}"#));
    for query in ["is_vr=7", "transcode_status[]=9", "max_size=-1", "max_bitrate=-1"] {
        assert_eq!(ask(&listing().router(), "GET", &format!("{PATH}?{query}"), "").await, expected, "{query}");
    }
}
