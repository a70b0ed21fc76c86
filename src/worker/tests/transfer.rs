//! Videos that come from the server and go there.

use sha2::{Digest as _, Sha256};
use steward_proto::transcode::v1 as pb;

use super::*;

#[tokio::test]
async fn a_transfer_survives_cables_that_are_cut() {
    let scene = Scene::new();
    make_video(&scene.path("source.avi"), 4, &["-c:a", "mp3"]);
    let source = fs::read(scene.path("source.avi")).unwrap();
    scene.fake.change(|state| {
        state.source = source.into();
        state.source_break = Some(25_000);
        state.result_break = Some(20_000);
    });
    // Large enough for the break to come before the end.
    let profile = Profile { crf: 20, ..scene.settings().profile };
    let settings =
        Settings { delivery: Delivery::Transfer, libraries: Libraries::default(), profile, ..scene.settings() };
    let worker = scene.start_with(settings);
    scene.fake.assign(1, "films/v.avi").await;
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.status(), end.error_message.as_str()), (pb::TaskStatus::Completed, ""));
    assert_eq!(end.output_path, "films/v.mkv");
    worker.finish().await;

    scene.fake.look(|state| {
        let offsets: Vec<_> = state.downloads.iter().map(|download| download.offset).collect();
        assert_eq!(offsets, [0, 25_000]);
        assert_eq!(state.downloads[0].lease_token, "lease-1");
        assert_eq!(state.uploads.len(), 2);
        assert!(state.uploads[1].offset >= 20_000 && state.uploads[1].extension == "mkv", "{:?}", state.uploads);
        assert_eq!(state.digest, Sha256::digest(&state.result).as_slice());
        fs::write(scene.path("result.mkv"), &state.result).unwrap();
    });
    assert_eq!(codecs(&media_of(&scene.path("result.mkv")).await, StreamKind::Video), ["hevc"]);
    assert_eq!(fs::read_dir(scene.path("state/transfer")).unwrap().count(), 0);
}
