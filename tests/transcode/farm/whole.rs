use std::collections::HashMap;
use std::fs;

use steward_proto::transcode::v1::VideoStatus;

use super::site::Site;
use crate::common::wait::eventually;

const GOOD: [&str; 6] = ["a.mp4", "b.mkv", "series/c 1.mp4", "series/第二集.mp4", "deep/er/d.mp4", "e's \"film\".mp4"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_turn_a_library_into_hevc_and_tell_about_it() {
    let Some(site) = Site::open("farm::whole").await else { return };
    let studio = site.studio;
    for name in GOOD {
        studio.h264(&site.film(name), 2).await;
    }
    studio.hevc(&site.film("good already.mp4")).await;
    studio.broken(&site.film("broken.mp4")).await;
    studio.h264(&site.film("SIVR-001.mp4"), 2).await;
    studio.h264(&site.film("a-trailer.mp4"), 1).await;
    fs::write(site.film("notes.txt"), "no film").expect("a file");
    let originals: HashMap<_, _> =
        GOOD.iter().map(|name| (*name, fs::read(site.film(name)).expect("the film"))).collect();
    let untouched = ["good already.mp4", "broken.mp4", "SIVR-001.mp4", "a-trailer.mp4", "notes.txt"];
    let untouched = untouched.map(|name| (name, fs::read(site.film(name)).expect("the file")));

    site.add_library().await;
    // Neither the trailer nor the notes.
    site.see_videos(9).await;
    let is_vr = site.video("SIVR-001.mp4").await["is_vr"].clone();
    assert_eq!((is_vr, &site.video("good already.mp4").await["transcode_status"]), (1.into(), &0.into()));
    let _workers = [site.worker("w1", &["--preset", "ultrafast"]), site.worker("w2", &["--preset", "ultrafast"])];

    for name in GOOD {
        site.see_video(name, 4).await;
    }
    let broken = site.see_video("broken.mp4", 5).await;
    let broken = i32::try_from(broken["id"].as_i64().expect("an id")).expect("an id");
    let held = eventually("nobody tries the broken one again", async || {
        let video = site.native().video(broken).await;
        video.held.then_some(video)
    })
    .await;
    assert_eq!((held.transcode_status(), held.attempts), (VideoStatus::Failed, 2));

    for name in GOOD {
        assert_eq!(studio.codec(&site.film(name)).await, "hevc", "{name}");
        assert!(fs::metadata(site.film(name)).expect("the film").len() < originals[name].len() as u64, "{name}");
        assert!(site.has_kept(&originals[name]), "the original of {name} is kept");
        let tasks = site.tasks_of(name).await;
        assert_eq!(tasks.len(), 1, "{name} was done once: {tasks:?}");
        assert_eq!((&tasks[0]["status"], &tasks[0]["progress"]), (&2.into(), &100.0.into()));
    }
    for (name, bytes) in untouched {
        assert_eq!(fs::read(site.film(name)).expect("it is there"), bytes, "{name}");
    }
    let failures = site.tasks_of("broken.mp4").await;
    assert_eq!(failures.len(), 2, "{failures:?}");
    for failure in &failures {
        assert_eq!(failure["status"], 3);
        let error = failure["error_message"].as_str().expect("a reason").to_lowercase();
        let words = ["invalid", "cannot", "error", "conversion failed", "decod"];
        assert!(words.iter().any(|word| error.contains(word)), "in ffmpeg's words: {error}");
    }
    assert_eq!(site.video("SIVR-001.mp4").await["transcode_status"], 1, "it waits for a worker that takes VR");
    the_log_tells_the_story(&site).await;
    let _glasses = site.worker("w3", &["--vr", "--preset", "ultrafast"]);
    site.see_video("SIVR-001.mp4", 4).await;
    assert_eq!(studio.codec(&site.film("SIVR-001.mp4")).await, "hevc");
    the_library_is_as_it_says(&site).await;
}

async fn the_log_tells_the_story(site: &Site) {
    let api = site.api();
    let (told, errors) = (api.log_messages(1).await, api.log_messages(3).await);
    for worker in ["w1", "w2"] {
        assert!(told.iter().any(|message| message.contains(worker)), "{worker} in {told:?}");
    }
    let commands = told.iter().filter(|message| message.contains("ffmpeg") || message.contains("FFmpeg"));
    assert!(commands.count() >= GOOD.len(), "the commands: {told:?}");
    assert!(errors.len() >= 2, "each failure: {errors:?}");
}

/// A scan after the work finds nothing more to do.
async fn the_library_is_as_it_says(site: &Site) {
    site.scan().await;
    assert_eq!(site.videos().await.len(), 9, "neither temporary files nor the trash are films");
    for name in GOOD {
        let video = site.video(name).await;
        assert_eq!((&video["transcode_status"], &video["codec"]), (&4.into(), &"hevc".into()), "{video}");
        let bytes = fs::metadata(site.film(name)).expect("the film").len();
        #[expect(clippy::cast_precision_loss, reason = "a small film")]
        let difference = video["video_size"].as_f64().expect("a size") - bytes as f64 / 1_048_576.0;
        assert!(difference.abs() < 0.01, "{video}: {bytes}");
    }
}
