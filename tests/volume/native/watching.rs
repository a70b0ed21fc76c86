//! Changes, as they come.

use steward_proto::volume::v1::{
    SnapshotEventType, VolumeEvent, VolumeEventType, WatchSnapshotsRequest, WatchVolumesRequest, WatchVolumesResponse,
};
use tonic::Streaming;

use crate::common::wait::within;
use crate::vocabulary::{MIB, Volumes, done, small};

/// The next event that is about a volume.
async fn next(stream: &mut Streaming<WatchVolumesResponse>) -> VolumeEvent {
    loop {
        let message = within("an event", stream.message()).await.expect("the watch goes on").expect("no end");
        let event = message.event.expect("an event");
        if event.r#type() != VolumeEventType::Progress {
            return event;
        }
    }
}

#[tokio::test]
async fn a_watch_tells_what_is_there_and_every_change_and_can_be_taken_up_again() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let watch = async |revision| {
        done(volumes.volumes().watch_volumes(WatchVolumesRequest { user: String::new(), revision })).await
    };
    let mut stream = watch(0).await;
    let current = loop {
        let event = next(&mut stream).await;
        assert_eq!(event.r#type(), VolumeEventType::Current);
        if event.volume.as_ref().is_some_and(|volume| volume.path == "/a") {
            break event;
        }
    };
    volumes.create("/b", MIB).await;
    let made = loop {
        let event = next(&mut stream).await;
        if event.volume.as_ref().is_some_and(|volume| volume.path == "/b") {
            break event;
        }
    };
    assert_eq!(made.r#type(), VolumeEventType::Changed);
    assert!(made.revision > current.revision);
    volumes.delete("/b").await.expect("it can be deleted");

    let mut again = watch(made.revision).await;

    for stream in [&mut stream, &mut again] {
        let gone = loop {
            let event = next(stream).await;
            assert!(event.revision >= made.revision, "what was told before is not told again");
            let volume = event.volume.expect("a volume");
            if volume.path.starts_with("/RecycleBin/") {
                break volume;
            }
        };
        assert_eq!(gone.id, made.volume.as_ref().expect("a volume").id);
    }
}

#[tokio::test]
async fn a_watch_of_snapshots_tells_when_they_come_and_go() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let request = WatchSnapshotsRequest { user: String::new(), revision: 0 };
    let mut stream = done(volumes.snapshots().watch_snapshots(request)).await;
    let uuid = volumes.snapshot("/a@s").await.uuid;
    let mut seen = Vec::new();
    let mut deletion = None;
    while !seen.contains(&SnapshotEventType::Deleted) {
        let message = within("an event", stream.message()).await.expect("the watch goes on").expect("no end");
        let event = message.event.expect("an event");
        if event.r#type() != SnapshotEventType::Progress {
            assert_eq!(event.snapshot.as_ref().expect("a snapshot").uuid, uuid);
            seen.push(event.r#type());
            if deletion.is_none() {
                let volumes = volumes.clone();
                deletion = Some(tokio::spawn(async move { volumes.delete_snapshot("/a@s").await }));
            }
        }
    }
    assert!(seen.len() >= 2, "{seen:?}");
    deletion.expect("it was begun").await.expect("it is deleted");
}
