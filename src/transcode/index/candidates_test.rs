//! What is given out next, against a look at all videos.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{Reserved, Videos, Wish};
use crate::clock::Timestamp;
use crate::store::Revision;
use crate::transcode::model::{VideoId, VideoRecord, VideoStatus, WorkerId, WorkerType, library_of};

const START: i64 = 1_700_000_000;
const LIBRARIES: [&str; 3] = ["films", "series", "private"];
const CODECS: [&str; 3] = ["h264", "hevc", "av1"];

#[derive(Clone, Debug)]
enum Step {
    Put(i32, Box<VideoRecord>),
    Reserve(Box<Wish>),
    /// Of the videos that are reserved, the one at this place.
    Release(usize),
    Pass(u64),
}

fn seconds(seconds: i64) -> i64 {
    (START + seconds) * 1_000_000_000
}

fn records() -> impl Strategy<Value = VideoRecord> {
    let picture = (
        prop::sample::select(vec![(640, 360), (1920, 1080), (1930, 1080), (3840, 2160)]),
        prop::sample::select(vec![25.0, 31.0, 31.5, 60.0]),
        prop::sample::select(CODECS.to_vec()),
        prop::bool::weighted(0.2),
    );
    let urgency = (0..4i32, -1..2i32, prop::sample::select(LIBRARIES.to_vec()), 0..9u8);
    let status = prop_oneof![
        4 => Just(VideoStatus::Waiting),
        4 => Just(VideoStatus::Failed),
        1 => prop::sample::select(vec![VideoStatus::NotNeeded, VideoStatus::Claimed, VideoStatus::Completed]),
    ];
    let state = (status, prop::bool::weighted(0.9), prop::bool::weighted(0.1));
    // When it may be tried again, and for how long it rests until then.
    let rest = prop::option::of((-100..200i64, 0..80i64));
    (picture, urgency, state, rest, 0..4i32).prop_map(|(picture, urgency, state, rest, last_worker_id)| {
        let ((width, height), fps, codec, is_vr) = picture;
        let (bitrate_k, priority, library, name) = urgency;
        let (status, exist, held) = state;
        let (not_before_nanos, update_nanos) =
            rest.map_or((0, seconds(0)), |(until, rest)| (seconds(until), seconds(until - rest)));
        VideoRecord {
            path: format!("{library}/{name}.mp4"),
            codec: codec.to_owned(),
            status: status as i32,
            bitrate_k,
            priority,
            width,
            height,
            fps,
            is_vr,
            exist,
            held,
            last_worker_id,
            not_before_nanos,
            update_nanos,
            ..VideoRecord::default()
        }
    })
}

fn wishes() -> impl Strategy<Value = Wish> {
    let types = prop_oneof![
        2 => Just(WorkerType::Cpu),
        1 => prop::sample::select(vec![WorkerType::Nvenc, WorkerType::Qsv, WorkerType::Vpu]),
    ];
    let limits = (
        prop::sample::select(vec![0, 0, 1080]),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::sample::subsequence(CODECS.to_vec(), 1..3)],
        prop::sample::subsequence(LIBRARIES.to_vec(), 0..=3),
        prop::collection::vec(prop_oneof![5 => -2..3i32, 1 => Just(i32::MAX)], 3),
    );
    let retries = (prop::bool::weighted(0.8), any::<bool>());
    (0..4i32, types, prop::bool::weighted(0.2), limits, retries).prop_map(
        |(worker, worker_type, wants_vr, (max_height, codecs, libraries, priorities), (takes_retries, has_peers))| {
            Wish {
                worker: WorkerId(worker),
                worker_type,
                wants_vr,
                max_height,
                codecs: codecs.into_iter().map(str::to_owned).collect(),
                libraries: libraries.into_iter().map(str::to_owned).zip(priorities).collect(),
                takes_retries,
                has_peers,
            }
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Fewer videos than a claim looks past in one class.
        6 => (1..31i32, records()).prop_map(|(id, record)| Step::Put(id, Box::new(record))),
        5 => wishes().prop_map(|wish| Step::Reserve(Box::new(wish))),
        1 => (0..8usize).prop_map(Step::Release),
        1 => (0..120u64).prop_map(Step::Pass),
    ]
}

/// All videos, and no order of them.
#[derive(Debug, Default)]
struct Model {
    videos: BTreeMap<i32, VideoRecord>,
    reserved: BTreeSet<i32>,
}

impl Model {
    /// The videos that wait and that nobody has.
    fn waiting(&self) -> impl Iterator<Item = (i32, &VideoRecord)> {
        let is_waiting = |video: &VideoRecord| {
            video.status == VideoStatus::Waiting as i32 || video.status == VideoStatus::Failed as i32
        };
        let videos = self
            .videos
            .iter()
            .filter(move |(id, video)| video.exist && !video.held && is_waiting(video) && !self.reserved.contains(id));
        videos.map(|(id, video)| (*id, video))
    }

    fn reserve(&mut self, wish: &Wish, now: Timestamp) -> Reserved {
        let rests = |video: &VideoRecord| video.not_before_nanos > now.nanos();
        let next_rested =
            self.waiting().filter(|(_, video)| rests(video)).map(|(_, video)| video.not_before_nanos).min();
        let taken: Vec<_> = self.waiting().filter(|(_, video)| !rests(video) && is_taken(wish, video)).collect();
        let (left, free): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|(_, video)| left_to_others(wish, video).is_some_and(|until| until > now.nanos()));
        let first = free.into_iter().min_by_key(|(id, video)| {
            let library = wish.libraries.iter().find(|(name, _)| name == library_of(&video.path));
            let priority = i64::from(library.expect("it is open").1) + i64::from(video.priority);
            let is_retry = video.status == VideoStatus::Failed as i32;
            (Reverse(priority), is_retry, Reverse(video.bitrate_k), *id)
        });
        if let Some((id, _)) = first {
            self.reserved.insert(id);
            return Reserved::Video(VideoId(id));
        }
        let next_free = left.into_iter().filter_map(|(_, video)| left_to_others(wish, video)).min();
        Reserved::Nothing(next_rested.into_iter().chain(next_free).min().map(Timestamp::from_nanos))
    }
}

/// Whether a worker is for a video, at any time.
fn is_taken(wish: &Wish, video: &VideoRecord) -> bool {
    let suits_hardware = video.width * video.height <= 1920 * 1080 + 100 && video.fps <= 31.0 && video.codec == "h264";
    video.is_vr == wish.wants_vr
        && (wish.worker_type == WorkerType::Cpu || suits_hardware)
        && (video.status == VideoStatus::Waiting as i32 || wish.takes_retries)
        && (wish.max_height == 0 || video.height <= wish.max_height)
        && (wish.codecs.is_empty() || wish.codecs.contains(&video.codec))
        && wish.libraries.iter().any(|(name, _)| name == library_of(&video.path))
}

/// Until when a worker leaves a video that it failed at to others: once more for as long as it has rested.
fn left_to_others(wish: &Wish, video: &VideoRecord) -> Option<i64> {
    let is_own = wish.has_peers && video.not_before_nanos != 0 && video.last_worker_id == wish.worker.0;
    is_own.then(|| video.not_before_nanos + (video.not_before_nanos - video.update_nanos).max(0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_most_urgent_video_is_the_one_that_a_look_at_all_would_find(
        steps in prop::collection::vec(steps(), 1..100),
    ) {
        let (mut videos, mut model) = (Videos::default(), Model::default());
        let mut now = Timestamp::from_nanos(seconds(0));
        for (step, revision) in steps.into_iter().zip(1..) {
            match step {
                Step::Put(id, record) => {
                    videos.apply(VideoId(id), &record, Revision(revision), now);
                    model.videos.insert(id, *record);
                }
                Step::Reserve(wish) => {
                    let reserved = videos.reserve(&wish, now);
                    prop_assert_eq!(reserved, model.reserve(&wish, now), "{:?}", wish);
                }
                Step::Release(place) => {
                    if let Some(id) = model.reserved.iter().nth(place).copied() {
                        model.reserved.remove(&id);
                        let waits = model.waiting().any(|(waiting, _)| waiting == id);
                        prop_assert_eq!(videos.release(VideoId(id), now), waits);
                    }
                }
                Step::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
            }
            prop_assert_eq!(videos.waiting(), model.waiting().count());
        }
    }
}

#[test]
fn a_video_that_is_released_twice_waits_once() {
    let mut videos = Videos::default();
    let now = Timestamp::from_nanos(seconds(0));
    let record = VideoRecord {
        path: "films/a.mp4".to_owned(),
        status: VideoStatus::Waiting as i32,
        exist: true,
        ..VideoRecord::default()
    };
    videos.apply(VideoId(1), &record, Revision(1), now);
    assert!(!videos.release(VideoId(1), now), "nobody has it");
    assert_eq!(videos.waiting(), 1);
}

#[test]
fn it_is_news_when_a_video_is_to_be_had_and_not_when_it_is_taken_or_spoken_of() {
    let (mut videos, now) = (Videos::default(), Timestamp::from_nanos(seconds(0)));
    let video = |status: VideoStatus| VideoRecord {
        path: "films/a.mp4".to_owned(),
        status: status as i32,
        exist: true,
        ..VideoRecord::default()
    };
    let rests = VideoRecord { not_before_nanos: seconds(60), ..video(VideoStatus::Failed) };
    let steps = [
        (video(VideoStatus::NotNeeded), false),
        (video(VideoStatus::Waiting), true),
        (VideoRecord { update_nanos: seconds(5), ..video(VideoStatus::Waiting) }, false),
        (VideoRecord { height: 720, ..video(VideoStatus::Waiting) }, true),
        (video(VideoStatus::Claimed), false),
        (video(VideoStatus::Transcoding), false),
        // Who found nothing has to know until when it rests.
        (rests.clone(), true),
        (VideoRecord { not_before_nanos: seconds(30), ..rests }, true),
        (VideoRecord { held: true, ..video(VideoStatus::Failed) }, false),
        (video(VideoStatus::Completed), false),
    ];
    for ((record, is_news), revision) in steps.into_iter().zip(1..) {
        assert_eq!(videos.apply(VideoId(1), &record, Revision(revision), now), is_news, "{record:?}");
    }
    assert!(!videos.apply(VideoId(1), &video(VideoStatus::Waiting), Revision(1), now), "it is an old record");
}

#[test]
fn a_video_is_found_by_the_fingerprint_that_it_has_and_not_by_the_one_that_it_had() {
    let (mut videos, now) = (Videos::default(), Timestamp::from_nanos(seconds(0)));
    let video = |fingerprint: u8| VideoRecord {
        path: "films/a.mp4".to_owned(),
        fingerprint: vec![fingerprint; 16].into(),
        ..VideoRecord::default()
    };
    videos.apply(VideoId(1), &video(7), Revision(1), now);
    videos.apply(VideoId(1), &video(8), Revision(2), now);
    assert_eq!([7, 8].map(|fingerprint| videos.like(&[fingerprint; 16])), [None, Some(VideoId(1))]);
    videos.remove(VideoId(1));
    assert_eq!((videos.like(&[8; 16]), videos.at_path("films/a.mp4"), videos.len()), (None, None, 0));
}
