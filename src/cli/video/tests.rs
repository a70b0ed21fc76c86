//! The commands against a small farm: what they print, what they ask for, and how they end.

use clap::Parser;
use serde_json::json;
use steward_proto::transcode::v1 as pb;

use super::*;
use crate::cli::farm::fake::Fake;
use crate::cli::testing::{Output, console_of, watch};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    video: VideoArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.video.command, cli.video.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

fn video(id: i32) -> pb::Video {
    pb::Video {
        id,
        video_path: format!("films/{id}\x1b.mkv"),
        codec: "h264".to_owned(),
        bitrate_k: 4500,
        size_bytes: 3 << 29,
        fps: 29.97,
        resolution: Some(pb::Resolution { width: 1920, height: 1080 }),
        transcode_status: pb::VideoStatus::Failed.into(),
        held: true,
        exist: true,
        duration: 3725.5,
        error_message: "no space left".to_owned(),
        ..pb::Video::default()
    }
}

fn farm(count: i32) -> Fake {
    Fake::with(|state| state.videos = (1..=count).map(video).collect())
}

/// A file of lines to import.
fn file(lines: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    file
}

#[tokio::test]
async fn a_list_is_a_table_that_cannot_steer_the_terminal() {
    let (exit, text) = run(&farm(1), &["list"]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(
        text,
        "ID  STATUS        CODEC  PICTURE    KBIT/S  FPS   SIZE     VIDEO\n\
         1   failed, held  h264   1920x1080  4500    30.0  1.5 GiB  films/1\\u{1b}.mkv\n"
    );
}

#[tokio::test]
async fn every_filter_is_asked_for() {
    let fake = farm(1);
    let words = "list --status waiting,not-needed --no-vr --codec h264,HEVC --min-bitrate 2000 --max-bitrate 9000 \
                 --min-size 1GiB --max-size 4GB --library films --sort pixels --desc --limit 3 --page 2";
    run(&fake, &words.split_whitespace().collect::<Vec<_>>()).await;
    let expected = pb::ListVideosRequest {
        page_size: 3,
        page_token: String::new(),
        page: 2,
        statuses: vec![2, 1],
        is_vr: Some(false),
        codecs: vec!["h264".to_owned(), "HEVC".to_owned()],
        min_bitrate_k: Some(2000),
        max_bitrate_k: Some(9000),
        min_size_bytes: Some(1 << 30),
        max_size_bytes: Some(4_000_000_000),
        sort_by: "pixels".to_owned(),
        order: pb::SortOrder::Desc.into(),
        library: "films".to_owned(),
    };
    assert_eq!(fake.asked::<pb::ListVideosRequest>(), [expected]);
}

#[tokio::test]
async fn a_video_is_told_over_several_lines() {
    let fake = farm(1);
    let (_, text) = run(&fake, &["show", "1"]).await;
    assert!(text.contains("  picture        h264 1920x1080, 29.970 fps\n"), "{text}");
    assert!(text.contains("  length         1h 2m 5s\n"), "{text}");
    assert!(text.ends_with("  last failure   no space left\n"), "{text}");
    let error = execute(&fake.url(), &["show", "2"], &Output::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused by the fake (VIDEO_NOT_FOUND)");
}

#[tokio::test]
async fn what_is_requeued_is_counted() {
    let fake = farm(2);
    assert_eq!(run(&fake, &["requeue", "1", "2", "--priority", "-10", "--force"]).await.1, "2 of 2 now wait\n");
    let asked = &fake.asked::<pb::RequeueVideosRequest>()[0];
    assert_eq!((asked.ids.clone(), asked.priority, asked.force), (vec![1, 2], Some(-10), true));
}

#[tokio::test]
async fn what_is_listed_can_be_imported() {
    let listed = run(&farm(600), &["list", "--json", "--limit", "0"]).await.1;
    let (file, fake) = (file(&[&listed]), Fake::start());
    let path = file.path().to_str().unwrap();
    assert_eq!(run(&fake, &["import", path]).await, (Exit::DONE, "imported 600 (600 new), 0 failed\n".to_owned()));
    let asked = fake.asked::<pb::RegisterVideosRequest>();
    assert_eq!(asked.iter().map(|asked| asked.videos.len()).collect::<Vec<_>>(), [500, 100]);
    assert_eq!(asked[0].videos[0], pb::Video { id: 0, ..video(1) });
    assert_eq!(run(&fake, &["import", path]).await.1, "imported 600 (0 new), 0 failed\n");
}

#[tokio::test]
async fn an_import_leaves_out_what_is_wrong() {
    let fake = Fake::with(|state| state.refused_paths = vec!["films/..".to_owned()]);
    let file =
        file(&[r#"{"video_path": "films/a"}"#, "{", r#"{"video_path": "films/.."}"#, r#"{"video_path": "films/b"}"#]);
    let (exit, text) = run(&fake, &["import", file.path().to_str().unwrap(), "--json"]).await;
    assert_eq!(exit, Exit::FOUND);
    let counts: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(counts, json!({"registered": 2, "added": 2, "failed": 2}));
}

#[tokio::test]
async fn an_import_from_nowhere_is_an_error() {
    let error = execute(&Fake::start().url(), &["import", "/nowhere/at/all"], &Output::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/at/all: "), "{error}");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let step = |revision, video| pb::WatchVideosResponse { revision, video };
    let fake = Fake::with(|state| {
        state.video_streams = [vec![step(5, None), step(6, Some(video(1)))], vec![step(7, Some(video(2)))]].into();
    });
    let (output, url) = (Output::new(), fake.url());
    watch(execute(&url, &["watch"], &output), &output, |text| text.contains("films/2")).await;
    assert!(output.text().contains("  failed, held  1  films/1\\u{1b}.mkv: no space left\n"), "{}", output.text());
    let points: Vec<_> = fake.asked::<pb::WatchVideosRequest>().iter().map(|asked| asked.from_revision).collect();
    assert_eq!(points, [0, 6]);
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
