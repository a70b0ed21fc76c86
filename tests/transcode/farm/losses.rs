use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Duration, Instant};

use super::site::{Site, encoders_of, files_below};
use crate::common::wait::eventually;
use crate::vocabulary::programs::{steward, told};

/// Ends what a killed process may have left.
fn put_down(pids: &[u32]) {
    for pid in pids {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).expect("a process id");
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_had_is_done_by_another_one() {
    let Some(site) = Site::open("farm::losses").await else { return };
    let film = site.film("long.mp4");
    site.studio.long_h264(&film).await;
    let original = fs::read(&film).expect("the film");
    site.add_library().await;
    let mut first = site.worker("first", &["--preset", "veryslow"]);
    let task = site.see_progress().await;
    let id = task["task_id"].as_str().expect("a string").to_owned();
    assert_eq!(task["worker_name"], "first");
    let encoders = encoders_of(first.id());

    let killed = Instant::now();
    first.kill_hard().await;
    put_down(&encoders);

    let failed = site.api().see_task(&id, 3).await;
    let noticed = killed.elapsed();
    assert_eq!(failed["error_message"], "Worker离线，任务自动终止");
    // The timeout, the sweep behind it, and something for a machine that is busy.
    assert!(noticed < Duration::from_secs(2 + 2 + 4), "{noticed:?}");
    site.api().see_offline(failed["worker_id"].as_i64().expect("a number")).await;
    let _second = site.worker("second", &["--preset", "ultrafast"]);
    site.see_video("long.mp4", 4).await;
    let tasks = site.tasks_of("long.mp4").await;
    let story: Vec<_> = tasks.iter().map(|task| (task["worker_name"].as_str(), task["status"].as_u64())).collect();
    assert_eq!(story, [(Some("first"), Some(3)), (Some("second"), Some(2))]);
    assert_eq!(site.studio.codec(&film).await, "hevc");
    assert!(site.has_kept(&original));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_that_comes_back_clears_up_and_begins_anew() {
    let Some(site) = Site::open("farm::losses").await else { return };
    let film = site.film("long.mp4");
    site.studio.long_h264(&film).await;
    let original = fs::read(&film).expect("the film");
    site.add_library().await;
    let mut worker = site.worker("w1", &["--preset", "veryslow"]);
    site.see_progress().await;
    let encoders = encoders_of(worker.id());
    worker.kill_hard().await;
    put_down(&encoders);
    assert!(files_below(&site.root()).len() > 1, "what it had begun is still there");

    let _again = site.worker("w1", &["--preset", "ultrafast"]);

    site.see_video("long.mp4", 4).await;
    assert_eq!(site.studio.codec(&film).await, "hevc");
    let left = files_below(&site.root());
    assert_eq!(left.len(), 2, "the film and its original: {left:?}");
    assert!(site.has_kept(&original));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_goes_on_while_its_server_crashes() {
    let Some(mut site) = Site::open("farm::losses").await else { return };
    let film = site.film("long.mp4");
    site.studio.long_h264(&film).await;
    site.add_library().await;
    let worker = site.worker("w1", &["--preset", "fast"]);
    let task = site.see_progress().await;
    let encoders = encoders_of(worker.id());

    site.server.restart().await;

    assert_eq!(encoders_of(worker.id()), encoders, "the encoder was not disturbed");
    site.see_video("long.mp4", 4).await;
    let tasks = site.tasks_of("long.mp4").await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!((&tasks[0]["task_id"], &tasks[0]["status"]), (&task["task_id"], &2.into()));
    assert_eq!(site.studio.codec(&film).await, "hevc");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_root_hides_nothing_and_a_vanished_film_is_hidden() {
    let Some(site) = Site::with("farm::losses", "watch_files = false").await else { return };
    for name in ["a.mp4", "b.mp4"] {
        site.studio.h264(&site.film(name), 1).await;
    }
    site.add_library().await;
    let known = site.see_videos(2).await;
    let (root, away) = (site.root(), site.root().with_extension("away"));

    fs::rename(&root, &away).expect("the root can be moved");
    let said = steward(&site.server, &["library", "scan", "lib"]).await;
    // Whether the command fails or only tells is its own affair.
    assert!(said.code != Some(0) || !said.err.is_empty(), "{said:?}");
    assert_eq!(site.videos().await, known, "nothing is known of them, so nothing is said");
    let list = told(&site.server, &["library", "list"]).await;
    assert!(list.contains("lib"), "{list}");

    fs::create_dir(&root).expect("an empty directory, as a mount point is");
    steward(&site.server, &["library", "scan", "lib"]).await;
    assert_eq!(site.videos().await, known, "nor when the root is empty");

    fs::remove_dir(&root).expect("it is empty");
    fs::rename(&away, &root).expect("the root can be moved back");
    fs::remove_file(site.film("b.mp4")).expect("a film can be deleted");
    site.scan().await;
    eventually("the deleted one is hidden", async || (site.videos().await.len() == 1).then_some(())).await;
    assert_eq!(site.videos().await[0]["id"], known[0]["id"]);
    site.api().get(&format!("/videos/{}", known[1]["id"])).await.says(404, "视频不存在");
}
