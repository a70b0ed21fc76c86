//! Whether the index of a farm is the one that a start would make of the records.

use std::collections::BTreeMap;

use steward_proto::transcode::v1::SortOrder;

use super::World;
use crate::clock::Timestamp;
use crate::transcode::index::{
    Index, LogFilter, LogSort, Position, Reserved, Start, TaskFilter, TaskSort, VideoFilter, VideoSort, Wish, pick,
};
use crate::transcode::load;
use crate::transcode::model::{TaskId, VideoId, WorkerId, WorkerType};

pub(super) async fn assert_follows(world: &World) {
    let (farm, now) = (&world.farm, world.now());
    farm.settled().await.expect("a store");
    let loaded = load::load(&*farm.store, now).await.expect("an index");
    assert_same_workers(&farm.index, &loaded);
    assert_same_tasks(&farm.index, &loaded);
    assert_same_videos(&farm.index, &loaded);
    assert_same_logs(&farm.index, &loaded);
    assert_eq!(given_out(&farm.index, now), given_out(&loaded, now));
}

fn assert_same_workers(kept: &Index, loaded: &Index) {
    let all = |index: &Index| -> BTreeMap<_, _> {
        let workers = index.workers.read();
        workers.iter().map(|(id, entry)| (id, (entry.record.clone(), entry.revision))).collect()
    };
    assert_eq!(all(kept), all(loaded));
    assert!(kept.workers.read().highest() >= loaded.workers.read().highest());
}

fn assert_same_tasks(kept: &Index, loaded: &Index) {
    let filter = TaskFilter::default();
    let rows = |index: &Index, sort| {
        let paths = index.videos.read().path_ranks();
        index.tasks.read().matching(&filter, sort, Some(&paths))
    };
    for sort in [TaskSort::Start, TaskSort::Progress, TaskSort::Status, TaskSort::Elapsed] {
        assert_eq!(rows(kept, sort), rows(loaded, sort), "{sort:?}");
    }
    for sort in [TaskSort::WorkerName, TaskSort::Path] {
        assert_eq!(in_order(rows(kept, sort)), in_order(rows(loaded, sort)), "{sort:?}");
    }
    let active = |index: &Index| -> Vec<_> {
        let tasks = index.tasks.read();
        tasks.active().map(|(id, active)| (id, active.worker, active.updated, tasks.uuid(id))).collect()
    };
    assert_eq!(active(kept), active(loaded));
    let (kept, loaded) = (kept.tasks.read(), loaded.tasks.read());
    for row in kept.matching(&filter, TaskSort::Start, None) {
        let id = TaskId(row.number);
        assert_eq!(kept.revision(id), loaded.revision(id));
        let uuid = kept.uuid(id).expect("it has one");
        assert_eq!((kept.find(uuid), loaded.find(uuid)), (Some(id), Some(id)));
    }
}

fn assert_same_videos(kept: &Index, loaded: &Index) {
    let (kept, loaded) = (kept.videos.read(), loaded.videos.read());
    let filter = VideoFilter::default();
    for sort in [VideoSort::Updated, VideoSort::Bitrate, VideoSort::Size, VideoSort::Status] {
        assert_eq!(kept.matching(&filter, sort), loaded.matching(&filter, sort), "{sort:?}");
    }
    for sort in [VideoSort::Path, VideoSort::Codec] {
        assert_eq!(in_order(kept.matching(&filter, sort)), in_order(loaded.matching(&filter, sort)), "{sort:?}");
    }
    assert_eq!(kept.count_in_library("films"), loaded.count_in_library("films"));
    assert_eq!((kept.len(), kept.waiting()), (loaded.len(), loaded.waiting()));
    for id in (1..=i32::try_from(kept.len()).unwrap()).map(VideoId) {
        let path = kept.path(id).expect("it has one");
        assert_eq!(Some(&path), loaded.path(id).as_ref());
        assert_eq!((kept.at_path(&path), loaded.at_path(&path)), (Some(id), Some(id)));
        assert_eq!(kept.seen(&path), loaded.seen(&path));
    }
}

fn assert_same_logs(kept: &Index, loaded: &Index) {
    let (kept, loaded) = (kept.logs.read(), loaded.logs.read());
    for sort in [LogSort::Time, LogSort::Level] {
        let filter = LogFilter::default();
        assert_eq!(kept.matching(&filter, sort), loaded.matching(&filter, sort), "{sort:?}");
    }
    assert!(kept.highest() >= loaded.highest());
}

/// The numbers of rows in their order; the keys of some sorts have no other meaning.
fn in_order(rows: Vec<Position>) -> Vec<i32> {
    pick(rows, SortOrder::Asc, Start::Skip(0), usize::MAX).rows.into_iter().map(|row| row.number).collect()
}

/// The videos that a worker could have, in their order, and when another look is worth it.
fn given_out(index: &Index, now: Timestamp) -> (Vec<VideoId>, Reserved) {
    let wish = Wish {
        worker: WorkerId(2),
        worker_type: WorkerType::Cpu,
        wants_vr: false,
        max_height: 0,
        codecs: Vec::new(),
        libraries: vec![("films".to_owned(), 0)],
        takes_retries: true,
        has_peers: true,
    };
    let mut videos = index.videos.write();
    let mut given = Vec::new();
    let nothing = loop {
        match videos.reserve(&wish, now) {
            Reserved::Video(id) => given.push(id),
            nothing @ Reserved::Nothing(_) => break nothing,
        }
    };
    for id in &given {
        assert!(videos.release(*id, now), "it waits again");
    }
    (given, nothing)
}
