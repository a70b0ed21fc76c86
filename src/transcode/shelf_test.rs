//! What a file makes of what is known of its video.

use proptest::prelude::*;

use super::*;
use crate::transcode::library::Probe;

const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);
const OLD: [u8; 16] = [1; 16];
const NEW: [u8; 16] = [2; 16];

/// A file as the scan finds it: H.264 in 1000 bytes.
fn file(fingerprint: [u8; 16]) -> Found {
    Found {
        path: "films/a.mp4".to_owned(),
        probe: Probe { codec: "h264".to_owned(), bitrate_k: 5_000, width: 640, height: 360, ..Probe::default() },
        size_bytes: 1_000,
        modify_nanos: 5,
        fingerprint,
        is_vr: false,
        needs_transcoding: true,
        moved_from: None,
    }
}

/// What came of it: HEVC in 400 bytes.
fn result() -> Found {
    let probe = Probe { codec: "hevc".to_owned(), bitrate_k: 2_000, ..file(NEW).probe };
    Found { probe, size_bytes: 400, modify_nanos: 9, needs_transcoding: false, ..file(NEW) }
}

/// A video of the first file.
fn video(status: VideoStatus) -> VideoRecord {
    let record = VideoRecord { status: status as i32, attempts: 1, update_nanos: 1, ..VideoRecord::default() };
    measured(&record, &file(OLD))
}

/// The same once a task of it has ended well, with a result of so many bytes; 0: it did not say.
fn transcoded(output_bytes: i64) -> VideoRecord {
    let saved_bytes = if output_bytes > 0 { 1_000 - output_bytes } else { 0 };
    VideoRecord { expects_change: true, output_bytes, saved_bytes, ..video(VideoStatus::Completed) }
}

fn status(video: &VideoRecord) -> VideoStatus {
    VideoStatus::try_from(video.status).expect("a status")
}

#[test]
fn a_file_that_is_as_it_was_changes_nothing() {
    let before = video(VideoStatus::Failed);
    assert_eq!(shelve(&before, &file(OLD), NOW), (before, Recorded::Unchanged));
}

#[test]
fn a_file_that_was_touched_is_the_same_video() {
    let before = video(VideoStatus::Failed);
    let (after, recorded) = shelve(&before, &Found { modify_nanos: 6, ..file(OLD) }, NOW);
    assert_eq!(recorded, Recorded::Unchanged);
    assert_eq!((after.modify_nanos, after.update_nanos), (6, NOW.nanos()));
    assert_eq!((status(&after), after.attempts), (VideoStatus::Failed, 1));
}

#[test]
fn a_file_that_is_there_again_is_told() {
    let before = VideoRecord { exist: false, ..video(VideoStatus::Waiting) };
    let (after, recorded) = shelve(&before, &file(OLD), NOW);
    assert_eq!((after.exist, status(&after), recorded), (true, VideoStatus::Waiting, Recorded::Changed));
}

#[test]
fn another_file_is_decided_anew() {
    for before in [VideoStatus::NotNeeded, VideoStatus::Waiting, VideoStatus::Failed, VideoStatus::Completed] {
        for needs_transcoding in [false, true] {
            let held =
                VideoRecord { held: true, not_before_nanos: 7, error_message: "no space".to_owned(), ..video(before) };
            let (after, recorded) = shelve(&held, &Found { needs_transcoding, ..file(NEW) }, NOW);
            let expected = if needs_transcoding { VideoStatus::Waiting } else { VideoStatus::NotNeeded };
            assert_eq!((status(&after), recorded), (expected, Recorded::Changed), "{before:?}");
            assert_eq!((after.attempts, after.held, after.not_before_nanos), (0, false, 0));
            assert_eq!((after.error_message.as_str(), after.update_nanos), ("", NOW.nanos()));
        }
    }
}

#[test]
fn the_result_of_a_transcoding_stays_completed_and_is_measured() {
    for output_bytes in [0, 400] {
        let (after, recorded) = shelve(&transcoded(output_bytes), &result(), NOW);
        assert_eq!((status(&after), recorded), (VideoStatus::Completed, Recorded::Changed));
        assert_eq!((after.codec.as_str(), after.size_bytes, after.saved_bytes), ("hevc", 400, 600));
        assert!(!after.expects_change);
    }
}

#[test]
fn the_result_stays_completed_even_if_the_rules_would_have_it_transcoded() {
    let (after, _) = shelve(&transcoded(0), &Found { needs_transcoding: true, ..result() }, NOW);
    assert_eq!(status(&after), VideoStatus::Completed);
}

#[test]
fn a_file_of_another_size_than_the_result_is_another_video() {
    let (after, _) = shelve(&transcoded(500), &Found { needs_transcoding: true, ..result() }, NOW);
    assert_eq!((status(&after), after.expects_change), (VideoStatus::Waiting, false));
}

#[test]
fn only_the_first_change_after_a_transcoding_is_its_result() {
    let (result, _) = shelve(&transcoded(0), &result(), NOW);
    let (after, _) = shelve(&result, &Found { size_bytes: 300, ..file([3; 16]) }, NOW);
    assert_eq!(status(&after), VideoStatus::Waiting);
}

#[test]
fn the_old_file_is_still_completed_until_the_result_has_taken_its_place() {
    let (before, recorded) = shelve(&transcoded(0), &file(OLD), NOW);
    assert_eq!((status(&before), recorded), (VideoStatus::Completed, Recorded::Unchanged));
    assert!(before.expects_change);
}

#[test]
fn a_video_that_a_worker_has_stays_with_it() {
    for busy in [VideoStatus::Claimed, VideoStatus::Transcoding] {
        let before = VideoRecord { task_id: 3, last_task_id: 3, ..video(busy) };
        let (after, recorded) = shelve(&before, &result(), NOW);
        assert_eq!((status(&after), after.task_id, after.attempts), (busy, 3, 1));
        assert_eq!((after.codec.as_str(), after.size_bytes, recorded), ("hevc", 400, Recorded::Changed));
    }
}

proptest! {
    #[test]
    fn to_find_a_file_twice_is_to_find_it_once(
        before in prop::sample::select(vec![
            video(VideoStatus::Waiting), video(VideoStatus::Transcoding), video(VideoStatus::Failed),
            transcoded(0), transcoded(400), transcoded(500),
        ]),
        found in prop::sample::select(vec![file(OLD), file(NEW), result()]),
    ) {
        let (once, _) = shelve(&before, &found, NOW);
        let twice = shelve(&once, &found, NOW);
        prop_assert_eq!(twice, (once.clone(), Recorded::Unchanged));
        prop_assert!(once.exist && once.fingerprint == found.fingerprint.as_slice());
        prop_assert_eq!(once.task_id, before.task_id);
    }
}
