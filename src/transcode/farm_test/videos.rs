//! What becomes of videos that are registered again, replaced, moved, missed, and asked for again.

use super::World;
use crate::transcode::claims::Claimed;
use crate::transcode::error::Error;
use crate::transcode::library::{Found, Probe, Recorded, Shelf as _};
use crate::transcode::model::{TaskStatus, TaskUuid, VideoId, VideoRecord, VideoStatus, WorkerId};
use crate::transcode::reports::Claimant;
use crate::transcode::transition::Report;
use crate::transcode::videos::Registration;

/// A file of a video, by the byte that its fingerprint is made of.
fn file(path: &str, print: u8) -> Found {
    Found {
        path: path.to_owned(),
        probe: Probe { codec: "h264".to_owned(), bitrate_k: 5_000, width: 640, height: 360, ..Probe::default() },
        size_bytes: 1_000,
        modify_nanos: 5,
        fingerprint: [print; 16],
        is_vr: false,
        needs_transcoding: true,
        moved_from: None,
    }
}

async fn find(world: &World, found: Found) -> (VideoId, Recorded) {
    let recorded = world.farm.record("films", vec![found]).await.expect("a record");
    (VideoId(recorded[0].0), recorded[0].1)
}

/// Registers a video as somebody would who knows only its file.
async fn register_again(world: &World, video: &VideoRecord) {
    let record = VideoRecord {
        path: video.path.clone(),
        codec: video.codec.clone(),
        bitrate_k: video.bitrate_k,
        size_bytes: video.size_bytes,
        ..VideoRecord::default()
    };
    let (_, added) = world.farm.register_videos(vec![Registration { record }]).await.expect("a registration");
    assert_eq!(added, 0);
}

async fn completes(world: &World, worker: WorkerId, task: TaskUuid, output_path: &str) {
    let report = Report {
        status: TaskStatus::Completed,
        output_bytes: 400,
        output_path: Some(output_path.to_owned()),
        ..Report::default()
    };
    let reported = world.farm.report(task, Claimant::Worker(worker), report).await.expect("an answer");
    assert!(reported.is_applied);
}

#[tokio::test]
async fn a_video_that_is_registered_again_keeps_what_came_of_it() {
    let world = World::new().await;
    let (id, _) = find(&world, file("films/a.mp4", 1)).await;
    let worker = world.worker("w").await;

    let (_, task) = world.task(worker).await;
    register_again(&world, &world.video(id).await).await;
    assert_eq!(world.video_status(id).await, VideoStatus::Claimed);
    let report = Report { status: TaskStatus::Failed, error_message: Some("no space".to_owned()), ..Report::default() };
    world.farm.report(task, Claimant::Worker(worker), report).await.expect("an answer");

    let failed = world.video(id).await;
    register_again(&world, &failed).await;
    let after = world.video(id).await;
    assert_eq!((after.status, after.attempts, after.not_before_nanos), (failed.status, 1, failed.not_before_nanos));
    assert_eq!((after.error_message.as_str(), &after.fingerprint), ("no space", &failed.fingerprint));
    assert_eq!(find(&world, file("films/a.mp4", 1)).await, (id, Recorded::Unchanged), "it is no other file");

    completes(&world, worker, task, "films/a.mp4").await;
    register_again(&world, &world.video(id).await).await;
    let after = world.video(id).await;
    assert_eq!((after.status, after.saved_bytes), (VideoStatus::Completed as i32, 600));
}

#[tokio::test]
async fn a_result_with_another_ending_takes_its_video_along() {
    let world = World::new().await;
    let (id, _) = find(&world, file("films/a.avi", 1)).await;
    let worker = world.worker("w").await;
    let (_, task) = world.task(worker).await;
    completes(&world, worker, task, "films/a.mp4").await;
    assert_eq!(world.video(id).await.path, "films/a.mp4");
    assert_eq!((world.farm.lookup("films/a.avi"), world.farm.path(id.0).as_deref()), (None, Some("films/a.mp4")));
    let result = Found { size_bytes: 400, needs_transcoding: false, ..file("films/a.mp4", 2) };
    assert_eq!(find(&world, result).await, (id, Recorded::Changed));
    assert_eq!(world.video_status(id).await, VideoStatus::Completed);
    let (other, recorded) = find(&world, file("films/a.avi", 3)).await;
    assert_eq!(recorded, Recorded::Added);
    assert_ne!(other, id);
}

#[tokio::test]
async fn a_result_does_not_take_the_place_of_another_video_or_leave_its_library() {
    for place in ["films/b.mp4", "series/a.mp4"] {
        let world = World::new().await;
        let (id, _) = find(&world, file("films/a.avi", 1)).await;
        let worker = world.worker("w").await;
        let (_, task) = world.task(worker).await;
        find(&world, file("films/b.mp4", 2)).await;
        completes(&world, worker, task, place).await;
        let after = world.video(id).await;
        assert_eq!((after.path.as_str(), after.status), ("films/a.avi", VideoStatus::Completed as i32));
    }
}

#[tokio::test]
async fn a_file_that_was_moved_is_the_same_video_with_all_that_came_of_it() {
    let world = World::new().await;
    let (id, _) = find(&world, file("films/a.mp4", 1)).await;
    let worker = world.worker("w").await;
    let (_, task) = world.task(worker).await;
    world.says(worker, task, TaskStatus::Failed).await;
    let moved = Found { moved_from: Some(id.0), ..file("films/b.mp4", 1) };
    assert_eq!(find(&world, moved).await, (id, Recorded::Moved));
    let after = world.video(id).await;
    assert_eq!((after.path.as_str(), after.attempts, after.status), ("films/b.mp4", 1, VideoStatus::Failed as i32));
    let other = Found { moved_from: Some(id.0), ..file("films/c.mp4", 9) };
    assert_eq!(find(&world, other).await.1, Recorded::Added, "another file is another video");
}

#[tokio::test]
async fn a_video_whose_file_is_missed_is_not_given_out_until_it_is_there_again() {
    let world = World::new().await;
    let (id, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    world.farm.mark_missing("films", vec![id.0]).await.expect("a mark");
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
    assert!(matches!(world.farm.get_video(id).await, Err(Error::VideoNotFound(_))));
    world.farm.mark_present("series", vec![id.0]).await.expect("it is not of that library");
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
    world.farm.mark_present("films", vec![id.0]).await.expect("a mark");
    world.task(worker).await;
}

#[tokio::test]
async fn a_video_that_a_worker_has_is_not_to_be_had_by_asking_for_it_again() {
    let world = World::new().await;
    let (id, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let (_, task) = world.task(worker).await;
    assert_eq!(world.farm.requeue(vec![id], None, true).await.expect("an answer"), 0);
    let refused = world.farm.retry_task(task, None).await;
    assert!(matches!(refused, Err(Error::TaskInProgress(of)) if of == task), "{refused:?}");
    assert_eq!(world.video_status(id).await, VideoStatus::Claimed);
}

#[tokio::test]
async fn a_video_that_is_held_is_given_out_again_when_its_task_is_to_be_tried_again() {
    let world = World::new().await;
    let (id, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.farm.cancel_task(task, String::new(), false).await.expect("a cancellation");
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
    assert_eq!(world.farm.retry_task(task, Some(5)).await.expect("a retry"), id);
    let (_, again) = world.task(worker).await;
    let again = world.record(again).await;
    assert_eq!((again.video_id, again.attempt, again.priority), (id.0, 1, 5));
}
