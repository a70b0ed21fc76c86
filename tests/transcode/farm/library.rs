use std::fs;

use super::site::Site;
use crate::common::wait::eventually;
use crate::vocabulary::programs::told;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_says_what_ffprobe_says() {
    let Some(site) = Site::open("farm::library").await else { return };
    site.studio.h264(&site.film("a.mp4"), 2).await;
    site.add_library().await;
    let video = site.video("a.mp4").await;
    assert_eq!((&video["codec"], &video["fps"], &video["is_vr"]), (&"h264".into(), &25.0.into(), &0.into()));
    assert_eq!(video["resolution"], serde_json::json!({"width": 128, "height": 72}));
    assert!(video["bitrate_k"].as_i64().is_some_and(|bitrate| bitrate > 100), "{video}");
    assert_eq!(video["transcode_status"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_film_is_found_as_soon_as_it_is_whole() {
    let Some(site) = Site::with("farm::library", "scan_interval = \"1h\"").await else { return };
    site.add_library().await;
    let made = site.root().with_extension("mp4");
    site.studio.h264(&made, 2).await;

    fs::create_dir(site.film("new")).expect("a directory");
    fs::copy(&made, site.film("new/a.mp4")).expect("the film can be copied");
    site.video("new/a.mp4").await;
    fs::rename(&made, site.film("b.mp4")).expect("the film can be moved");
    site.video("b.mp4").await;

    fs::remove_file(site.film("b.mp4")).expect("the film can be deleted");
    eventually("it is hidden", async || (site.videos().await.len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notices_of_the_system_the_next_scan_finds_it() {
    let config = "watch_files = false\nscan_interval = \"1s\"";
    let Some(site) = Site::with("farm::library", config).await else { return };
    site.add_library().await;
    site.studio.h264(&site.film("a.mp4"), 1).await;
    site.video("a.mp4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_that_moved_is_the_same_film() {
    let Some(site) = Site::with("farm::library", "watch_files = false").await else { return };
    site.studio.h264(&site.film("a.mp4"), 1).await;
    site.add_library().await;
    let before = site.video("a.mp4").await;
    fs::create_dir(site.film("sub")).expect("a directory");
    fs::rename(site.film("a.mp4"), site.film("sub/renamed.mp4")).expect("the film can be moved");

    site.scan().await;

    let after = site.video("sub/renamed.mp4").await;
    assert_eq!(after["id"], before["id"]);
    assert_eq!(site.videos().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_that_was_removed_is_forgotten_and_its_files_are_not_touched() {
    let Some(site) = Site::open("farm::library").await else { return };
    let film = site.film("a.mp4");
    site.studio.h264(&film, 1).await;
    site.add_library().await;
    site.see_videos(1).await;

    told(&site.server, &["library", "remove", "lib"]).await;

    eventually("its videos are gone", async || site.videos().await.is_empty().then_some(())).await;
    assert!(film.is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_can_be_followed_at_a_shell() {
    let Some(site) = Site::open("farm::library").await else { return };
    site.studio.h264(&site.film("a.mp4"), 1).await;
    site.add_library().await;
    let worker = site.worker("shell", &["--preset", "ultrafast"]);
    site.see_video("a.mp4", 4).await;
    let log = told(&site.server, &["log", "tail", "--lines", "100"]).await;
    assert!(log.contains("shell"), "{log}");
    let tasks = told(&site.server, &["task", "list"]).await;
    assert!(tasks.contains("lib/a.mp4"), "{tasks}");
    drop(worker);
}
