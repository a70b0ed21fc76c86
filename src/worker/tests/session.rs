//! What the worker makes of its server, and of what it is told.

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::session_request::Message as Said;
use steward_proto::transcode::v1::session_response::Message;
use tonic::Code;

use super::*;
use crate::cli::testing::refusal;
use crate::worker::fake::task_id;

fn patient(scene: &Scene) -> Settings {
    Settings { ffmpeg: scene.patient_ffmpeg(), ..scene.settings() }
}

#[tokio::test]
async fn a_task_goes_on_while_the_server_is_started_again() {
    let mut scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    let process = scene.encoding().await;
    scene.fake.stop();
    scene.fake.start_again();
    scene.fake.until(|state| state.hellos.len() == 2).await;
    scene.fake.look(|state| {
        let hello = &state.hellos[1];
        let held = pb::HeldTask { task_id: task_id(1), lease_token: "lease-1".to_owned() };
        assert_eq!(hello.running, [held]);
        assert_eq!(hello.worker.as_ref().unwrap().worker_token, "token-7");
    });
    assert!(is_alive(process));
    scene.let_go();
    assert_eq!(scene.fake.end_of(1).await.status(), pb::TaskStatus::Completed);
    worker.finish().await;
}

#[tokio::test]
async fn an_end_that_was_not_acknowledged_is_told_again() {
    let mut scene = Scene::with_video("v.mp4");
    scene.fake.change(|state| state.holds_acks = true);
    let worker = scene.start();
    scene.fake.assign(1, "films/missing.mp4").await;
    scene.fake.end_of(1).await;
    scene.fake.stop();
    scene.fake.change(|state| state.holds_acks = false);
    scene.fake.start_again();
    scene.fake.until(|state| state.finished().len() == 2).await;
    scene.fake.look(|state| {
        let ends: Vec<_> = state.said.iter().filter(|said| matches!(said.message, Some(Said::Finished(_)))).collect();
        assert_eq!(ends[0], ends[1]);
        // Until its end is known the task is not abandoned.
        assert_eq!(state.hellos[1].running.len(), 1);
    });
    worker.finish().await;
}

#[tokio::test]
async fn a_cancelled_task_is_stopped_with_all_that_it_started() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    let process = scene.encoding().await;
    let cancel = pb::CancelNotice { task_id: task_id(1), reason: "not this one".to_owned() };
    scene.fake.tell(Message::Cancel(cancel));
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.status(), end.error_message.as_str()), (pb::TaskStatus::Failed, "cancelled: not this one"));
    assert!(!end.declined && !is_alive(process));
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    worker.finish().await;
    assert_eq!(scene.files(), ["v.mp4"]);
}

#[tokio::test]
async fn of_a_task_whose_lease_is_lost_nothing_is_left_and_nothing_said() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    let process = scene.encoding().await;
    let ready_count = |state: &crate::worker::fake::State| {
        state.said.iter().filter(|said| matches!(said.message, Some(Said::Ready(_)))).count()
    };
    let before = scene.fake.look(ready_count);
    scene.fake.tell(Message::LeaseLost(pb::LeaseLost { task_id: task_id(1), reason: "too late".to_owned() }));
    scene.fake.until(|state| ready_count(state) > before && state.free_slots() == Some(1)).await;
    assert!(!is_alive(process));
    worker.finish().await;
    scene.fake.look(|state| assert!(state.finished().is_empty()));
    assert_eq!(scene.files(), ["v.mp4"]);
}

#[tokio::test]
async fn a_name_that_is_still_online_is_tried_again_and_a_known_worker_has_its_token() {
    let scene = Scene::with_video("v.mp4");
    let online = refusal(Code::AlreadyExists, "WORKER_ONLINE");
    scene.fake.change(|state| state.refusals = vec![online.clone(), online]);
    let worker = scene.start();
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    worker.finish().await;
    let worker = scene.start();
    scene.fake.until(|state| state.hellos.len() == 4).await;
    worker.finish().await;
    let tokens = scene
        .fake
        .look(|state| state.hellos.iter().map(|hello| hello.worker.clone().unwrap().worker_token).collect::<Vec<_>>());
    assert_eq!(tokens, ["", "", "", "token-7"]);
}

#[tokio::test]
async fn a_worker_that_is_refused_for_good_says_why() {
    let scene = Scene::with_video("v.mp4");
    scene.fake.change(|state| state.refusals = vec![refusal(Code::InvalidArgument, "INVALID_ARGUMENT")]);
    let error = scene.start().end.await.unwrap().unwrap_err();
    assert_eq!(error, "the server does not take this worker: refused by the fake (INVALID_ARGUMENT)");
}

#[tokio::test]
async fn a_worker_tells_what_it_can_and_beats_while_it_waits() {
    let scene = Scene::with_video("v.mp4");
    let settings = Settings { max_height: 720, codecs: vec!["h264".to_owned()], slots: 3, ..scene.settings() };
    let worker = scene.start_with(settings);
    let is_ping = |said: &pb::SessionRequest| matches!(said.message, Some(Said::Ping(_)));
    scene.fake.until(|state| state.said.iter().filter(|said| is_ping(said)).count() > 2).await;
    scene.fake.look(|state| {
        assert_eq!(state.free_slots(), Some(3));
        let worker = state.hellos[0].worker.clone().unwrap();
        assert_eq!((worker.worker_name.as_str(), worker.max_concurrent), ("w1", 3));
        assert_eq!(worker.worker_type(), pb::WorkerType::Cpu);
        let constraints = worker.constraints.unwrap();
        assert_eq!((constraints.max_height, constraints.libraries), (720, vec!["films".to_owned()]));
    });
    worker.finish().await;
}

#[tokio::test]
async fn a_drained_worker_finishes_and_goes() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    scene.encoding().await;
    let drain = pb::Drain { action: pb::OfflineAction::Shutdown.into(), deadline: None };
    scene.fake.tell(Message::Drain(drain));
    scene.fake.until(|state| state.free_slots() == Some(0)).await;
    scene.let_go();
    assert_eq!(scene.fake.end_of(1).await.status(), pb::TaskStatus::Completed);
    assert_eq!(worker.end().await, End::ShutDown);
}

#[tokio::test]
async fn a_worker_that_need_not_go_after_all_takes_work_again() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(Settings { slots: 2, ..patient(&scene) });
    scene.fake.assign(1, "films/v.mp4").await;
    scene.encoding().await;
    scene.fake.tell(Message::Drain(pb::Drain { action: pb::OfflineAction::Offline.into(), deadline: None }));
    scene.fake.until(|state| state.free_slots() == Some(0)).await;
    scene.fake.tell(Message::Undrain(pb::Undrain {}));
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    scene.let_go();
    worker.finish().await;
}

#[tokio::test]
async fn the_first_order_to_end_lets_tasks_finish_and_the_second_does_not() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    let process = scene.encoding().await;
    worker.order(Order::Finish);
    scene.fake.until(|state| state.free_slots() == Some(0)).await;
    assert!(is_alive(process));
    worker.order(Order::Finish);
    let end = scene.fake.end_of(1).await;
    assert!(end.declined, "{end:?}");
    assert_eq!(end.error_message, "the worker was stopped");
    assert_eq!(worker.end().await, End::Quit);
    assert!(!is_alive(process));
    assert_eq!(scene.files(), ["v.mp4"]);
}

#[tokio::test]
async fn a_worker_waits_for_a_server_that_is_not_there_yet() {
    let mut scene = Scene::with_video("v.mp4");
    scene.fake.stop();
    let worker = scene.start();
    let lock = scene.path("state/lock");
    while !lock.exists() {
        tokio::task::yield_now().await;
    }
    scene.fake.start_again();
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    worker.finish().await;
}

#[tokio::test]
async fn a_task_without_a_proper_id_is_passed_over() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start();
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    let task = pb::Task { task_id: "../../x".to_owned(), video_path: "films/v.mp4".to_owned(), ..pb::Task::default() };
    scene.fake.tell(Message::Assign(pb::Assign { task: Some(task), ..pb::Assign::default() }));
    scene.fake.assign(1, "films/v.mp4").await;
    assert_eq!(scene.fake.end_of(1).await.status(), pb::TaskStatus::Completed);
    worker.finish().await;
}

#[tokio::test]
async fn nothing_is_placed_once_the_lease_is_lost() {
    let scene = Scene::with_video("v.mp4");
    let before = fs::read(scene.film("v.mp4")).unwrap();
    let worker = scene.start_with(patient(&scene));
    scene.fake.assign(1, "films/v.mp4").await;
    scene.encoding().await;
    let ready_count = |state: &crate::worker::fake::State| {
        state.said.iter().filter(|said| matches!(said.message, Some(Said::Ready(_)))).count()
    };
    let before_ready = scene.fake.look(ready_count);
    scene.fake.change(|state| state.lost.push(task_id(1)));
    scene.let_go();
    scene.fake.until(|state| ready_count(state) > before_ready).await;
    worker.finish().await;
    scene.fake.look(|state| assert!(state.finished().is_empty()));
    assert_eq!((scene.files(), fs::read(scene.film("v.mp4")).unwrap()), (vec!["v.mp4".to_owned()], before));
}

#[tokio::test]
async fn a_result_waits_for_a_server_that_is_away() {
    let mut scene = Scene::with_video("v.mp4");
    let before = fs::read(scene.film("v.mp4")).unwrap();
    scene.fake.change(|state| state.holds_acks = true);
    let worker = scene.start();
    scene.fake.assign(1, "films/v.mp4").await;
    let asks = |state: &crate::worker::fake::State| {
        state.said.iter().any(|said| said.seq != 0 && matches!(said.message, Some(Said::Progress(_))))
    };
    scene.fake.until(asks).await;
    scene.fake.stop();
    assert_eq!(fs::read(scene.film("v.mp4")).unwrap(), before);
    scene.fake.change(|state| state.holds_acks = false);
    scene.fake.start_again();
    assert_eq!(scene.fake.end_of(1).await.status(), pb::TaskStatus::Completed);
    worker.finish().await;
}

#[tokio::test]
async fn a_good_end_is_told_by_the_next_worker_if_the_first_one_could_not() {
    let mut scene = Scene::with_video("v.mp4");
    let worker = scene.start();
    scene.fake.assign(1, "films/v.mp4").await;
    scene.fake.until(|state| !state.progress().is_empty()).await;
    // Everything but the end is acknowledged.
    scene.fake.change(|state| state.holds_ends = true);
    scene.fake.end_of(1).await;
    scene.fake.stop();
    worker.order(Order::Quit);
    assert_eq!(worker.end().await, End::Quit);
    let before = fs::read(scene.film("v.mp4")).unwrap();

    scene.fake.change(|state| state.holds_ends = false);
    scene.fake.start_again();
    let worker = scene.start();
    scene.fake.until(|state| state.finished().len() == 2).await;
    worker.finish().await;
    scene.fake.look(|state| {
        let ends = state.finished();
        let both = ends.iter().map(|end| (end.status(), end.lease_token.as_str(), end.output_bytes));
        let bytes = i64::try_from(before.len()).unwrap();
        assert!(both.eq([(pb::TaskStatus::Completed, "lease-1", bytes); 2]), "{ends:?}");
        // It is claimed, so that it does not count as abandoned.
        let held = pb::HeldTask { task_id: task_id(1), lease_token: "lease-1".to_owned() };
        assert_eq!(state.hellos.last().unwrap().running, [held]);
    });
    assert_eq!(fs::read_dir(scene.path("state/ends")).unwrap().count(), 0);
}

#[tokio::test]
async fn work_that_comes_while_the_worker_ends_is_given_back() {
    let scene = Scene::with_video("v.mp4");
    scene.fake.change(|state| state.holds_acks = true);
    let worker = scene.start();
    scene.fake.assign(1, "films/missing.mp4").await;
    scene.fake.end_of(1).await;
    scene.fake.until(|state| state.free_slots() == Some(1)).await;
    worker.order(Order::Finish);
    scene.fake.until(|state| state.free_slots() == Some(0)).await;
    scene.fake.assign_now(2, "films/v.mp4", 0);
    let end = scene.fake.end_of(2).await;
    assert!(end.declined && end.lease_token == "lease-2", "{end:?}");
    worker.order(Order::Quit);
    worker.end().await;
}
