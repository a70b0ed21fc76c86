use std::fs;

use super::site::{Site, encoders_of, files_below, is_encoding};
use crate::common::wait::eventually;
use crate::vocabulary::programs::{self, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_task_ends_its_encoder_and_leaves_nothing_behind() {
    let Some(site) = Site::open("farm::control").await else { return };
    let film = site.film("long.mp4");
    site.studio.long_h264(&film).await;
    let original = fs::read(&film).expect("the film");
    site.add_library().await;
    let worker = site.worker("w1", &["--preset", "veryslow"]);
    let task = site.see_progress().await;
    let encoders = encoders_of(worker.id());
    assert_eq!(encoders.len(), 1);

    told(&site.server, &["task", "cancel", task["task_id"].as_str().expect("a string")]).await;

    eventually("the encoder ends", async || (!is_encoding(encoders[0])).then_some(())).await;
    let ended = site.api().see_task(task["task_id"].as_str().expect("a string"), 3).await;
    assert!(ended["error_message"].is_string(), "{ended}");
    eventually("only the film is left", async || (files_below(&site.root()) == [film.clone()]).then_some(())).await;
    assert_eq!(fs::read(&film).expect("the film"), original);
    let id = i32::try_from(site.video("long.mp4").await["id"].as_i64().expect("an id")).expect("an id");
    assert!(site.native().video(id).await.held, "it is not tried again");
    assert!(encoders_of(worker.id()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_task_can_be_retried() {
    let Some(site) = Site::open("farm::control").await else { return };
    site.studio.long_h264(&site.film("long.mp4")).await;
    site.add_library().await;
    let mut slow = site.worker("slow", &["--preset", "veryslow"]);
    let task = site.see_progress().await["task_id"].as_str().expect("a string").to_owned();
    told(&site.server, &["task", "cancel", &task]).await;
    site.api().see_task(&task, 3).await;
    slow.kill_hard().await;

    told(&site.server, &["task", "retry", &task]).await;

    let _fast = site.worker("fast", &["--preset", "ultrafast"]);
    site.see_video("long.mp4", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_finishes_what_it_has_and_ends_well() {
    let Some(site) = Site::open("farm::control").await else { return };
    site.studio.long_h264(&site.film("a.mp4")).await;
    site.studio.h264(&site.film("b.mp4"), 2).await;
    site.add_library().await;
    let mut worker = site.worker("w1", &["--preset", "ultrafast"]);
    let at_work = site.see_progress().await;

    told(&site.server, &["worker", "offline", "w1"]).await;

    let status = worker.ended().await;
    assert!(status.success(), "{status}");
    let tasks = site.api().rows("/tasks").await;
    assert_eq!(tasks.len(), 1, "it took nothing new: {tasks:?}");
    assert_eq!((&tasks[0]["task_id"], &tasks[0]["status"]), (&at_work["task_id"], &2.into()));
    assert_eq!(site.api().rows("/workers").await[0]["status"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_asked_to_end_ends_and_its_encoder_with_it() {
    let Some(site) = Site::open("farm::control").await else { return };
    let film = site.film("long.mp4");
    site.studio.long_h264(&film).await;
    let original = fs::read(&film).expect("the film");
    site.add_library().await;
    let mut worker = site.worker("w1", &["--preset", "veryslow"]);
    let task = site.see_progress().await["task_id"].as_str().expect("a string").to_owned();
    let encoders = encoders_of(worker.id());

    // Once: finish what is at work; twice: now.
    worker.ask_to_end();
    eventually("the encoder ends", async || {
        worker.ask_to_end();
        (!is_encoding(encoders[0])).then_some(())
    })
    .await;
    worker.ended().await;

    site.api().see_task(&task, 3).await;
    assert_eq!(fs::read(&film).expect("the film"), original);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_the_library_gets_the_film_and_sends_the_result() {
    let Some(site) = Site::open("farm::control").await else { return };
    let film = site.film("sub/a.mp4");
    // More than one chunk.
    site.studio.long_h264(&film).await;
    let original = fs::read(&film).expect("the film");
    assert!(original.len() > 2 << 20, "{}", original.len());
    site.add_library().await;

    let _worker = programs::worker(&site.server, "far", &["--transfer", "--preset", "ultrafast"]);

    let video = site.see_video("sub/a.mp4", 4).await;
    assert_eq!(site.studio.codec(&film).await, "hevc");
    assert!(fs::metadata(&film).expect("the film").len() < original.len() as u64);
    assert!(site.has_kept(&original), "the original is kept");
    eventually("it is known as it is now", async || (site.video("sub/a.mp4").await["codec"] == "hevc").then_some(()))
        .await;
    assert_eq!(site.tasks_of("sub/a.mp4").await.len(), 1, "{video}");
}
