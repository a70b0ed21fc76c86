//! Who gets which video when many ask.

use std::collections::HashSet;

use futures::future::join_all;

use super::{World, wish_for_work};
use crate::transcode::claims::{Claimed, Reservation};
use crate::transcode::error::Error;
use crate::transcode::index::{Reserved, Wish};
use crate::transcode::model::{OfflineAction, TaskRecord, TaskStatus, TaskUuid, VideoStatus, WorkerType};
use crate::transcode::workers::UpdateWorker;

#[tokio::test(flavor = "multi_thread")]
async fn as_many_tasks_are_given_out_at_once_as_there_are_videos() {
    let world = World::new().await;
    let videos = world.add_videos(40).await;
    let mut workers = Vec::new();
    for number in 0..64 {
        workers.push(world.worker(&format!("w{number}")).await);
    }
    let claims = workers.iter().map(|worker| {
        let (farm, wish) = (world.farm.clone(), wish_for_work(*worker));
        tokio::spawn(async move { farm.claim(wish).await })
    });
    let mut claimed = Vec::new();
    for claim in join_all(claims).await {
        match claim.expect("no panic").expect("an answer") {
            Claimed::Task(id, task) => claimed.push((id, *task)),
            Claimed::Nothing(_) => {}
            Claimed::Goes(_) => panic!("nobody was told to go"),
        }
    }
    let of =
        |id: fn(&TaskRecord) -> Vec<u8>| -> HashSet<Vec<u8>> { claimed.iter().map(|(_, task)| id(task)).collect() };
    assert_eq!(claimed.iter().map(|(id, _)| *id).collect::<HashSet<_>>().len(), videos.len());
    assert_eq!(of(|task| task.uuid.to_vec()).len(), videos.len());
    assert_eq!(of(|task| task.lease_token.to_vec()).len(), videos.len());
    assert_eq!(of(|task| task.video_id.to_be_bytes().to_vec()).len(), videos.len());
    assert_eq!(of(|task| task.worker_id.to_be_bytes().to_vec()).len(), videos.len(), "nobody has two");
    assert_eq!(world.farm.index.tasks.read().active_count(), videos.len());
    assert_eq!(world.farm.index.videos.read().waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_video_goes_to_one_of_two_however_often_they_try() {
    let world = World::new().await;
    let (a, b) = (world.worker("a").await, world.worker("b").await);
    for _ in 0..50 {
        let video = world.add_videos(1).await[0];
        let (first, second) = tokio::join!(world.claim(a), world.claim(b));
        let winners = [(a, first), (b, second)].into_iter().filter_map(|(worker, claimed)| match claimed {
            Claimed::Task(_, task) => Some((worker, task)),
            _ => None,
        });
        let winners: Vec<_> = winners.collect();
        let [(winner, task)] = &winners[..] else { panic!("{} have it", winners.len()) };
        assert_eq!((task.video_id, task.worker_id), (video.0, winner.0));
        world.says(*winner, TaskUuid::of(&task.uuid), TaskStatus::Completed).await;
    }
}

#[tokio::test]
async fn a_claim_whose_caller_went_away_reaches_the_index() {
    let world = World::new().await;
    let (video, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let mut call = Box::pin(world.farm.claim(wish_for_work(worker)));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    world.finish_tasks().await;
    assert_eq!(world.video_status(video).await, VideoStatus::Claimed);
    let tasks = world.farm.worker(worker).expect("the worker").tasks;
    assert_eq!(tasks.len(), 1);
    assert_eq!(world.task_status(tasks[0]).await, TaskStatus::Created);
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
}

#[tokio::test]
async fn the_most_urgent_video_goes_first_and_a_failed_one_behind_those_that_were_never_tried() {
    let world = World::new().await;
    let (videos, worker) = (world.add_videos(2).await, world.worker("w").await);
    let (_, first) = world.task(worker).await;
    assert_eq!(world.record(first).await.video_id, videos[0].0);
    world.says(worker, first, TaskStatus::Failed).await;
    world.pass(60);
    world.beat(worker).await;
    let (_, second) = world.task(worker).await;
    assert_eq!(world.record(second).await.video_id, videos[1].0);
    let (_, third) = world.task(worker).await;
    let third = world.record(third).await;
    assert_eq!((third.video_id, third.attempt), (videos[0].0, 2));
}

#[tokio::test]
async fn a_failed_video_rests_and_the_claim_says_when_another_look_is_worth_it() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.says(worker, task, TaskStatus::Failed).await;
    let Claimed::Nothing(Some(again)) = world.claim(worker).await else { panic!("it rests") };
    world.clock.advance(again.since(world.now()));
    world.beat(worker).await;
    world.task(worker).await;
}

#[tokio::test]
async fn a_failed_video_is_left_to_others_first_and_the_claim_says_until_when() {
    let world = World::new().await;
    let video = world.add_videos(1).await[0];
    let (worker, other) = (world.worker("w").await, world.worker("other").await);
    let (_, task) = world.task(worker).await;
    world.says(worker, task, TaskStatus::Failed).await;
    world.pass(60);
    world.beat(worker).await;
    world.beat(other).await;
    let Claimed::Nothing(Some(again)) = world.claim(worker).await else { panic!("others come first") };
    world.clock.advance(again.since(world.now()));
    world.beat(worker).await;
    world.beat(other).await;
    let (_, retry) = world.task(worker).await;
    assert_eq!(world.record(retry).await.video_id, video.0);
}

#[tokio::test]
async fn a_failed_video_goes_to_another_worker_as_soon_as_it_has_rested() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let other = world.worker("other").await;
    let (_, task) = world.task(worker).await;
    world.says(worker, task, TaskStatus::Failed).await;
    world.pass(60);
    world.beat(worker).await;
    world.beat(other).await;
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(_)));
    world.task(other).await;
}

#[tokio::test]
async fn who_is_silent_gets_no_work_until_it_beats() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    world.pass(31);
    let refused = world.farm.claim(wish_for_work(worker)).await;
    assert!(matches!(refused, Err(Error::WorkerOffline(id)) if id == worker), "{refused:?}");
    world.beat(worker).await;
    world.task(worker).await;
}

#[tokio::test]
async fn who_was_told_to_go_hears_it_as_often_as_it_asks_and_is_offline_then() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    world.farm.set_offline(worker, OfflineAction::Shutdown, None).await.expect("a command");
    assert!(matches!(world.claim(worker).await, Claimed::Goes(OfflineAction::Shutdown)));
    assert!(world.is_offline(worker));
    assert!(matches!(world.claim(worker).await, Claimed::Goes(OfflineAction::Shutdown)), "the answer may be lost");
    let again = world.try_register("w", None).await.expect("it is not refused");
    assert_eq!(again.id, worker);
    world.task(worker).await;
}

#[tokio::test]
async fn who_is_paused_gets_nothing_until_it_goes_on() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let pause = |is_paused| UpdateWorker { paused: Some(is_paused), ..UpdateWorker::default() };
    world.farm.update_worker(worker, pause(true)).await.expect("a pause");
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
    world.farm.update_worker(worker, pause(false)).await.expect("its end");
    world.task(worker).await;
}

#[tokio::test]
async fn a_video_that_a_claim_gives_back_is_told_to_those_who_found_nothing() {
    let world = World::new().await;
    let (video, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let wish = Wish {
        worker,
        worker_type: WorkerType::Cpu,
        wants_vr: false,
        max_height: 0,
        codecs: Vec::new(),
        libraries: vec![("films".to_owned(), 0)],
        takes_retries: true,
        has_peers: false,
    };
    assert_eq!(world.farm.index.videos.write().reserve(&wish, world.now()), Reserved::Video(video));
    let reservation = Reservation { farm: &world.farm, video };
    assert!(matches!(world.claim(worker).await, Claimed::Nothing(None)));
    let work = world.farm.work.notified();
    tokio::pin!(work);
    work.as_mut().enable();
    drop(reservation);
    assert!(futures::poll!(work).is_ready());
    world.task(worker).await;
}
