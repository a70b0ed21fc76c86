//! Rows against the records that they are made of: filters, sorts, paths, and news that overtake each other.

use std::collections::BTreeMap;

use proptest::prelude::*;
use steward_proto::transcode::v1::SortOrder;

use super::{
    LogFilter, LogSort, Logs, Position, Start, TaskFilter, TaskSort, Tasks, VideoFilter, VideoSort, Videos, pick,
};
use crate::clock::Timestamp;
use crate::store::Revision;
use crate::transcode::model::{
    LogId, LogLevel, LogRecord, TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, VideoRecord, VideoStatus, WorkerId,
    library_of,
};

const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);
const LIBRARIES: [&str; 3] = ["films", "series", "private"];
const CODECS: [&str; 4] = ["h264", "hevc", "av1", "H264"];

fn statuses() -> impl Strategy<Value = VideoStatus> {
    prop::sample::select(vec![
        VideoStatus::NotNeeded,
        VideoStatus::Waiting,
        VideoStatus::Claimed,
        VideoStatus::Transcoding,
        VideoStatus::Completed,
        VideoStatus::Failed,
    ])
}

/// A record at a path that is one of few.
fn records() -> impl Strategy<Value = VideoRecord> {
    let sizes = (0..5i64, 0..4i32, prop::sample::select(vec![0.0, 23.976, 25.0, 60.0]), 0..4i32, 0..4i32);
    let names = (prop::sample::select(LIBRARIES.to_vec()), 0..20u8, prop::sample::select(CODECS.to_vec()));
    let state = (statuses(), any::<bool>(), prop::bool::weighted(0.8), 0..4i64);
    (sizes, names, state).prop_map(|(sizes, (library, name, codec), (status, is_vr, exist, updated))| {
        let (size_bytes, bitrate_k, fps, width, height) = sizes;
        VideoRecord {
            path: format!("{library}/{name}.mp4"),
            codec: codec.to_owned(),
            status: status as i32,
            update_nanos: NOW.plus(std::time::Duration::from_secs(u64::try_from(updated).unwrap())).nanos(),
            size_bytes,
            bitrate_k,
            fps,
            width,
            height,
            is_vr,
            exist,
            ..VideoRecord::default()
        }
    })
}

/// Numbers of rows in the order that a list has.
fn listed(rows: Vec<Position>, order: SortOrder) -> Vec<i32> {
    pick(rows, order, Start::Skip(0), usize::MAX).rows.into_iter().map(|row| row.number).collect()
}

/// The same of records by their numbers.
fn sorted<R>(records: &BTreeMap<i32, R>, order: SortOrder, key: impl Fn(&R, &R) -> std::cmp::Ordering) -> Vec<i32> {
    let mut numbers: Vec<i32> = records.keys().copied().collect();
    numbers.sort_by(|a, b| key(&records[a], &records[b]).then(a.cmp(b)));
    if order != SortOrder::Asc {
        numbers.reverse();
    }
    numbers
}

fn videos_of(records: &BTreeMap<i32, VideoRecord>) -> Videos {
    let mut videos = Videos::default();
    for (id, record) in records {
        videos.apply(VideoId(*id), record, Revision(1), NOW);
    }
    videos
}

fn video_filters() -> impl Strategy<Value = VideoFilter> {
    let some = |range: std::ops::Range<i32>| prop::option::weighted(0.3, range);
    (
        prop::collection::vec(statuses(), 0..3),
        prop::option::weighted(0.3, any::<bool>()),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::sample::subsequence(vec!["h264", "HEVC", "vp9"], 1..3)],
        (some(-2..4), some(-2..4)),
        (some(-2..5), some(-2..5)),
        prop::option::weighted(0.3, prop::sample::select(vec!["films", "series", "nowhere", ""])),
    )
        .prop_map(|(statuses, is_vr, codecs, bitrate, size, library)| VideoFilter {
            statuses,
            is_vr,
            codecs: codecs.into_iter().map(str::to_owned).collect(),
            min_bitrate: bitrate.0,
            max_bitrate: bitrate.1,
            min_size: size.0.map(i64::from),
            max_size: size.1.map(i64::from),
            library: library.map(str::to_owned),
        })
}

fn passes(filter: &VideoFilter, video: &VideoRecord) -> bool {
    video.exist
        && (filter.statuses.is_empty() || filter.statuses.iter().any(|status| *status as i32 == video.status))
        && filter.is_vr.is_none_or(|is_vr| is_vr == video.is_vr)
        && (filter.codecs.is_empty() || filter.codecs.iter().any(|codec| codec.eq_ignore_ascii_case(&video.codec)))
        && filter.min_bitrate.is_none_or(|least| least <= video.bitrate_k)
        && filter.max_bitrate.is_none_or(|most| video.bitrate_k <= most)
        && filter.min_size.is_none_or(|least| least <= video.size_bytes)
        && filter.max_size.is_none_or(|most| video.size_bytes <= most)
        && filter.library.as_deref().is_none_or(|library| library == library_of(&video.path))
}

fn compare(sort: VideoSort, a: &VideoRecord, b: &VideoRecord) -> std::cmp::Ordering {
    match sort {
        VideoSort::Updated => a.update_nanos.cmp(&b.update_nanos),
        VideoSort::Id => std::cmp::Ordering::Equal,
        VideoSort::Path => a.path.cmp(&b.path),
        VideoSort::Codec => a.codec.cmp(&b.codec),
        VideoSort::Bitrate => a.bitrate_k.cmp(&b.bitrate_k),
        VideoSort::Pixels => (a.width * a.height).cmp(&(b.width * b.height)),
        VideoSort::Size => a.size_bytes.cmp(&b.size_bytes),
        VideoSort::Fps => a.fps.total_cmp(&b.fps),
        VideoSort::Status => a.status.cmp(&b.status),
    }
}

/// The records that have paths of their own, by their ids.
fn with_own_paths(records: Vec<VideoRecord>) -> BTreeMap<i32, VideoRecord> {
    let by_path: BTreeMap<String, VideoRecord> =
        records.into_iter().map(|record| (record.path.clone(), record)).collect();
    // In no order of the paths.
    let mut records: Vec<VideoRecord> = by_path.into_values().collect();
    records.sort_by_key(|record| (record.size_bytes, record.bitrate_k));
    (1..).zip(records).collect()
}

const ORDERS: [SortOrder; 2] = [SortOrder::Asc, SortOrder::Desc];
const VIDEO_SORTS: [VideoSort; 9] = [
    VideoSort::Updated,
    VideoSort::Id,
    VideoSort::Path,
    VideoSort::Codec,
    VideoSort::Bitrate,
    VideoSort::Pixels,
    VideoSort::Size,
    VideoSort::Fps,
    VideoSort::Status,
];

proptest! {
    #[test]
    fn a_list_of_videos_has_those_that_the_filter_lets_pass_in_their_order(
        records in prop::collection::vec(records(), 0..50),
        filter in video_filters(),
    ) {
        let mut records = with_own_paths(records);
        let videos = videos_of(&records);
        records.retain(|_, video| passes(&filter, video));
        for (sort, order) in VIDEO_SORTS.into_iter().flat_map(|sort| ORDERS.map(|order| (sort, order))) {
            let expected = sorted(&records, order, |a, b| compare(sort, a, b));
            prop_assert_eq!(listed(videos.matching(&filter, sort), order), expected, "{:?} {:?}", sort, order);
        }
    }

    #[test]
    fn videos_are_as_their_newest_records_in_whatever_order_the_news_come(
        (steps, order) in prop::collection::vec((1..6i32, records()), 1..40)
            .prop_flat_map(|steps| (Just(steps.clone()), Just((0..steps.len()).collect::<Vec<_>>()).prop_shuffle())),
    ) {
        // As a store has it: a path belongs to one video at a time.
        let mut records: BTreeMap<i32, VideoRecord> = BTreeMap::new();
        let mut news = Vec::new();
        for ((id, record), revision) in steps.into_iter().zip(1..) {
            let is_free = records.iter().all(|(other, video)| *other == id || video.path != record.path);
            news.push(is_free.then(|| (id, record.clone(), Revision(revision))));
            if is_free {
                records.insert(id, record);
            }
        }
        let mut videos = Videos::default();
        for (id, record, revision) in order.into_iter().filter_map(|place| news[place].as_ref()) {
            videos.apply(VideoId(*id), record, *revision, NOW);
        }
        let expected = videos_of(&records);
        prop_assert_eq!(videos.len(), records.len());
        for path in LIBRARIES.iter().flat_map(|library| (0..20).map(move |name| format!("{library}/{name}.mp4"))) {
            prop_assert_eq!(videos.at_path(&path), expected.at_path(&path), "{}", path);
            prop_assert_eq!(videos.seen(&path), expected.seen(&path));
        }
        for library in LIBRARIES {
            prop_assert_eq!(videos.count_in_library(library), expected.count_in_library(library));
            prop_assert_eq!(videos.in_library(library), expected.in_library(library));
        }
        prop_assert_eq!(videos.waiting(), expected.waiting());
        for status in (0..7).filter_map(|status| VideoStatus::try_from(status).ok()) {
            prop_assert_eq!(videos.count_of(status), expected.count_of(status), "{:?}", status);
        }
        for sort in VIDEO_SORTS {
            let rows = |videos: &Videos| listed(videos.matching(&VideoFilter::default(), sort), SortOrder::Asc);
            prop_assert_eq!(rows(&videos), rows(&expected), "{:?}", sort);
        }
    }
}

fn tasks() -> impl Strategy<Value = TaskRecord> {
    let statuses = vec![
        TaskStatus::Created,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Cancelled,
    ];
    let numbers = (1..5i32, 1..9i32, 0..4i64, 0..5i32);
    (numbers, prop::sample::select(statuses), 0..4u8).prop_map(|((worker, video, start, elapsed), status, progress)| {
        TaskRecord {
            worker_id: worker,
            // In no order of the ids.
            worker_name: format!("w{}", (worker * 3) % 5),
            video_id: video,
            start_nanos: NOW.nanos() + start,
            elapsed_time: elapsed,
            status: status as i32,
            progress: f64::from(progress) * 12.5,
            ..TaskRecord::default()
        }
    })
}

proptest! {
    #[test]
    fn a_list_of_tasks_has_those_that_the_filter_lets_pass_in_their_order(
        all in prop::collection::vec(tasks(), 0..50),
        worker in prop::option::weighted(0.3, 1..6i32),
        video in prop::option::weighted(0.3, 1..10i32),
        statuses in prop::sample::subsequence(vec![TaskStatus::Created, TaskStatus::Failed, TaskStatus::Cancelled], 0..3),
    ) {
        // The higher its id, the earlier a video's path.
        let videos = (1..9).map(|id| (id, VideoRecord { path: format!("films/{}", 9 - id), ..VideoRecord::default() }));
        let videos: BTreeMap<i32, VideoRecord> = videos.collect();
        let (mut tasks, rows) = (Tasks::default(), videos_of(&videos));
        let mut records: BTreeMap<i32, TaskRecord> = (1..).zip(all).collect();
        for (id, task) in &records {
            let uuid = bytes::Bytes::copy_from_slice(&[u8::try_from(*id).unwrap(); 16]);
            tasks.apply(TaskId(*id), &TaskRecord { uuid, ..task.clone() }, Revision(1));
        }
        let open = records.values().filter(|task| crate::transcode::model::is_in_progress(task)).count();
        prop_assert_eq!((tasks.active_count(), tasks.ended().count()), (open, records.len() - open));
        for worker in (1..6).map(WorkerId) {
            let is_its = |(_, active): &(TaskId, super::Active)| active.worker == worker;
            let its: Vec<TaskId> = tasks.active().filter(is_its).map(|(id, _)| id).collect();
            prop_assert_eq!(tasks.is_busy(worker), !its.is_empty());
            prop_assert_eq!(tasks.of_worker(worker), its);
        }
        let filter = TaskFilter { statuses: statuses.clone(), worker: worker.map(WorkerId), video: video.map(VideoId) };
        records.retain(|_, task| {
            (statuses.is_empty() || statuses.iter().any(|status| *status as i32 == task.status))
                && worker.is_none_or(|worker| worker == task.worker_id)
                && video.is_none_or(|video| video == task.video_id)
        });
        let compare = |sort: TaskSort, a: &TaskRecord, b: &TaskRecord| match sort {
            TaskSort::Start => a.start_nanos.cmp(&b.start_nanos),
            TaskSort::Progress => a.progress.total_cmp(&b.progress),
            TaskSort::Status => a.status.cmp(&b.status),
            TaskSort::WorkerName => a.worker_name.cmp(&b.worker_name),
            TaskSort::Elapsed => a.elapsed_time.cmp(&b.elapsed_time),
            TaskSort::Path => videos[&a.video_id].path.cmp(&videos[&b.video_id].path),
        };
        let sorts = [TaskSort::Start, TaskSort::Progress, TaskSort::Status, TaskSort::WorkerName, TaskSort::Elapsed,
            TaskSort::Path];
        for (sort, order) in sorts.into_iter().flat_map(|sort| ORDERS.map(|order| (sort, order))) {
            let expected = sorted(&records, order, |a, b| compare(sort, a, b));
            let found = listed(tasks.matching(&filter, sort, Some(&rows.path_ranks())), order);
            prop_assert_eq!(found, expected, "{:?} {:?}", sort, order);
        }
        let (mut behind, mut parts) = (Some(TaskId(0)), Vec::new());
        while let Some(last) = behind {
            let (part, next) = tasks.behind(last, &filter, 7);
            parts.extend(part.into_iter().map(|id| id.0));
            behind = next;
        }
        prop_assert!(parts.iter().eq(records.keys()), "{:?}", parts);
    }

    #[test]
    fn a_list_of_the_log_has_the_entries_of_its_levels_times_and_task_in_their_order(
        entries in prop::collection::vec((0..6i64, 1..5i32, 0..3i32), 0..50),
        levels in prop::sample::subsequence(vec![LogLevel::Debug, LogLevel::Info, LogLevel::Error], 0..3),
        (start, end) in (prop::option::weighted(0.4, 0..6i64), prop::option::weighted(0.4, 0..6i64)),
        task in prop::option::weighted(0.3, 0..3i32),
    ) {
        let mut logs = Logs::default();
        let entry = |(time, level, task_id)| LogRecord { log_nanos: time, level, task_id, ..LogRecord::default() };
        let mut records: BTreeMap<i32, LogRecord> = (1..).zip(entries.into_iter().map(entry)).collect();
        for (id, record) in &records {
            logs.apply(LogId(*id), record);
        }
        let time = |nanos: Option<i64>| nanos.map(Timestamp::from_nanos);
        let filter =
            LogFilter { levels: levels.clone(), start: time(start), end: time(end), task: task.map(TaskId) };
        records.retain(|_, log| {
            (levels.is_empty() || levels.iter().any(|level| *level as i32 == log.level))
                && start.is_none_or(|start| start <= log.log_nanos)
                && end.is_none_or(|end| log.log_nanos <= end)
                && task.is_none_or(|task| task == log.task_id)
        });
        let compare = |sort: LogSort, a: &LogRecord, b: &LogRecord| match sort {
            LogSort::Time => a.log_nanos.cmp(&b.log_nanos),
            LogSort::Id => std::cmp::Ordering::Equal,
            LogSort::Level => a.level.cmp(&b.level),
        };
        let sorts = [LogSort::Time, LogSort::Id, LogSort::Level];
        for (sort, order) in sorts.into_iter().flat_map(|sort| ORDERS.map(|order| (sort, order))) {
            let expected = sorted(&records, order, |a, b| compare(sort, a, b));
            prop_assert_eq!(listed(logs.matching(&filter, sort), order), expected, "{:?} {:?}", sort, order);
        }
    }
}

#[test]
fn a_task_never_goes_back_to_an_older_record_and_is_forgotten_when_it_is_removed() {
    let mut tasks = Tasks::default();
    let uuid = TaskUuid([1; 16]);
    let record = |status: TaskStatus| TaskRecord {
        uuid: bytes::Bytes::copy_from_slice(&uuid.0),
        worker_id: 3,
        status: status as i32,
        ..TaskRecord::default()
    };
    tasks.apply(TaskId(1), &record(TaskStatus::Failed), Revision(2));
    tasks.apply(TaskId(1), &record(TaskStatus::Running), Revision(1));
    assert_eq!((tasks.active_count(), tasks.revision(TaskId(1))), (0, Some(Revision(2))));
    tasks.apply(TaskId(1), &record(TaskStatus::Running), Revision(3));
    assert_eq!(tasks.of_worker(WorkerId(3)), [TaskId(1)]);
    tasks.remove(TaskId(1));
    assert_eq!((tasks.find(uuid), tasks.active_count(), tasks.len()), (None, 0, 0));
    assert_eq!(tasks.allocate(), TaskId(2), "its number is not given out again");
}
