//! Work that takes long: how far it is, and how it is steered.

use std::time::{Duration, Instant};

use steward_proto::volume::v1::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, Operation,
    OperationState, OperationType, PauseOperationRequest, ResumeOperationRequest, SetOperationSpeedRequest,
    VolumeState, WaitOperationRequest, WatchOperationRequest,
};

use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::scrub::assert_clean;
use crate::vocabulary::{MIB, Volumes, done, duration, has_ended, noise, reason, refusal, small};
use crate::wire::Nbd;

const LENGTH: u64 = 8 * MIB;

/// A volume with a clone `/b` that needs all of its bytes.
async fn start() -> (Server, Volumes) {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", LENGTH).await;
    let mut device = Nbd::open(&server, "/a").await;
    for piece in 0..LENGTH / MIB {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.close().await;
    volumes.snapshot("/a@s").await;
    volumes.clone_of("/a@s", "/b").await;
    (server, volumes)
}

async fn assert_whole(server: &Server) {
    let mut device = Nbd::open(server, "/b").await;
    for piece in 0..LENGTH / MIB {
        assert!(device.read(piece * MIB, 1 << 20).await == noise(piece, MIB), "piece {piece}");
    }
    device.close().await;
}

async fn get(volumes: &Volumes, uuid: &str) -> Operation {
    let request = GetOperationRequest { uuid: uuid.to_owned(), ..Default::default() };
    done(volumes.operations().get_operation(request)).await.operation.expect("an operation")
}

/// Waits until it has done something, but not all.
async fn under_way(volumes: &Volumes, uuid: &str) -> Operation {
    eventually("it is under way", async || {
        let shown = get(volumes, uuid).await;
        (shown.state() == OperationState::Running && shown.bytes_done > 0).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_flatten_tells_how_far_it_is_until_it_has_ended() {
    let (server, volumes) = start().await;
    let operation = volumes.start_to_flatten("/b", 4 * MIB).await.expect("an operation");
    assert_eq!((operation.r#type(), operation.target.as_str()), (OperationType::Flatten, "/b"));
    let again = volumes.start_to_flatten("/b", 0).await.expect("an operation");
    assert_eq!(again.uuid, operation.uuid, "it is at it already");
    let request = WatchOperationRequest { uuid: operation.uuid.clone(), ..Default::default() };
    let mut stream = done(volumes.operations().watch_operation(request)).await;

    let (mut done_bytes, mut last) = (Vec::new(), None);
    while let Some(message) = within("how it goes", stream.message()).await.expect("it goes on") {
        let shown = message.operation.expect("an operation");
        done_bytes.push(shown.bytes_done);
        last = Some(shown);
    }

    let last = last.expect("something was told");
    assert_eq!((last.state(), last.progress_percent), (OperationState::Succeeded, 100), "{last:?}");
    assert_eq!((last.bytes_done, last.bytes_total), (LENGTH, LENGTH), "{last:?}");
    assert!(done_bytes.is_sorted() && done_bytes.len() > 2, "{done_bytes:?}");
    assert!(last.end_time.is_some() && last.error_message.is_empty());
    let volume = volumes.get("/b").await;
    assert_eq!((volume.state(), volume.parent_snapshot.as_str()), (VolumeState::Ready, ""));
    assert!(volumes.start_to_flatten("/b", 0).await.is_none(), "nothing is to be done");
    assert_whole(&server).await;
    volumes.delete_snapshot("/a@s").await;
    assert_whole(&server).await;
    assert_clean(&volumes).await;
}

#[tokio::test]
async fn a_flatten_is_held_back_to_its_speed() {
    let (_server, volumes) = start().await;
    let start = Instant::now();
    let operation = volumes.start_to_flatten("/b", 4 * MIB).await.expect("an operation");
    volumes.wait(&operation.uuid).await;
    // 8 MiB at 4 MiB a second; a burst at the beginning is nothing to complain of.
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_flatten_pauses_over_a_restart_and_goes_on_when_told_to() {
    let (mut server, volumes) = start().await;
    let uuid = volumes.start_to_flatten("/b", MIB).await.expect("an operation").uuid;
    under_way(&volumes, &uuid).await;
    let pause = PauseOperationRequest { uuid: uuid.clone(), ..Default::default() };
    let paused = done(volumes.operations().pause_operation(pause)).await.operation.expect("an operation");
    assert_eq!(paused.state(), OperationState::Paused);
    assert_eq!(volumes.get("/b").await.state(), VolumeState::Flattening);

    server.restart().await;

    let volumes = Volumes::of(&server);
    let shown = get(&volumes, &uuid).await;
    assert_eq!(shown.state(), OperationState::Paused);
    assert!(reason(&volumes.try_snapshot("/b@no").await.expect_err("it is being flattened")) == "BAD_STATE");
    let resume = ResumeOperationRequest { uuid: uuid.clone(), ..Default::default() };
    done(volumes.operations().resume_operation(resume.clone())).await;
    let speed = SetOperationSpeedRequest { uuid: uuid.clone(), bytes_per_second: 1024 * MIB, ..Default::default() };
    done(volumes.operations().set_operation_speed(speed)).await;
    let ended = volumes.wait(&uuid).await;
    assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
    assert_eq!(refusal(volumes.operations().resume_operation(resume)).await, "BAD_STATE");
    assert_whole(&server).await;
    assert_clean(&volumes).await;
}

#[tokio::test]
async fn a_flatten_that_is_cancelled_leaves_the_clone_as_it_was() {
    let (server, volumes) = start().await;
    let mut device = Nbd::open(&server, "/b").await;
    device.write(0, &noise(100, MIB)).await;
    let before = volumes.usage("/b").await.used_bytes;
    let uuid = volumes.start_to_flatten("/b", MIB).await.expect("an operation").uuid;
    under_way(&volumes, &uuid).await;
    let cancel = CancelOperationRequest { uuid: uuid.clone(), ..Default::default() };
    done(volumes.operations().cancel_operation(cancel.clone())).await;

    let ended = volumes.wait(&uuid).await;

    assert_eq!(ended.state(), OperationState::Cancelled);
    assert_eq!(refusal(volumes.operations().cancel_operation(cancel)).await, "NOT_CANCELLABLE");
    let volume = volumes.get("/b").await;
    assert_eq!((volume.state(), volume.progress_percent), (VolumeState::Unflattened, 0));
    // What was written before may have got its place in a map since.
    eventually("its space is given back", async || {
        (volumes.usage("/b").await.used_bytes < before + MIB / 4).then_some(())
    })
    .await;
    assert!(device.read(0, 1 << 20).await == noise(100, MIB));
    assert!(device.read(MIB, 1 << 20).await == noise(1, MIB));
    device.close().await;
    assert_clean(&volumes).await;
    volumes.flatten("/b").await;
}

#[tokio::test]
async fn operations_are_listed_waited_for_and_forgotten() {
    let (_server, volumes) = start().await;
    let uuid = volumes.start_to_flatten("/b", MIB).await.expect("an operation").uuid;
    let list = async |request| {
        let page = done(volumes.operations().list_operations(request)).await;
        page.operations.into_iter().map(|operation| operation.uuid).collect::<Vec<_>>()
    };
    let flattens = ListOperationsRequest { types: vec![OperationType::Flatten.into()], ..Default::default() };
    assert_eq!(list(flattens.clone()).await, [uuid.as_str()]);
    let both = ListOperationsRequest { target: "/b".to_owned(), ..Default::default() };
    assert_eq!(list(both).await.len(), 2, "a clone and its flatten");
    let timeout = Some(duration(Duration::from_millis(10)));
    let wait = WaitOperationRequest { uuid: uuid.clone(), timeout, ..Default::default() };
    let shown = done(volumes.operations().wait_operation(wait)).await.operation.expect("an operation");
    assert!(!has_ended(&shown), "{shown:?}");
    let delete = DeleteOperationRequest { uuid: uuid.clone(), ..Default::default() };
    assert_eq!(refusal(volumes.operations().delete_operation(delete.clone())).await, "TASK_UNFINISHED");
    let by_other = GetOperationRequest { user: "mallory".to_owned(), uuid: uuid.clone() };
    assert_eq!(refusal(volumes.operations().get_operation(by_other)).await, "INVALID_USER");

    let speed = SetOperationSpeedRequest { uuid: uuid.clone(), bytes_per_second: 1024 * MIB, ..Default::default() };
    done(volumes.operations().set_operation_speed(speed)).await;
    volumes.wait(&uuid).await;
    for _ in 0..2 {
        done(volumes.operations().delete_operation(delete.clone())).await;
    }
    assert!(list(flattens).await.is_empty());
}
