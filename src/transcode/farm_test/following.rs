//! The index that the commands keep is the one that a start makes of the records, whatever was done.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use steward_proto::transcode::v1::SortOrder;

use super::{World, calm, wish_for_work, wish_to_be};
use crate::engine::Engine as _;
use crate::transcode::claims::Claimed;
use crate::transcode::index::{
    Index, LogFilter, LogSort, Position, Reserved, Start, TaskFilter, TaskSort, VideoFilter, VideoSort, Wish, pick,
};
use crate::transcode::library::{Found, Probe, Shelf as _};
use crate::transcode::load;
use crate::transcode::model::{OfflineAction, TaskStatus, TaskUuid, VideoId, WorkerId, WorkerType};
use crate::transcode::reports::Claimant;
use crate::transcode::retention::RetentionEngine;
use crate::transcode::settings::Settings;
use crate::transcode::transition::Report;
use crate::transcode::workers::UpdateWorker;

#[derive(Clone, Debug)]
enum Step {
    Claim {
        worker: usize,
    },
    Report {
        task: usize,
        status: TaskStatus,
        renames: bool,
    },
    Cancel {
        task: usize,
        requeue: bool,
    },
    Beat {
        worker: usize,
    },
    Register {
        worker: usize,
    },
    Go {
        worker: usize,
        deadline: Option<u64>,
    },
    Update {
        worker: usize,
        paused: bool,
    },
    Delete {
        worker: usize,
    },
    Requeue {
        video: i32,
        priority: i32,
    },
    /// A scan finds a file: an old one that may have changed, one that has moved, or a new one.
    Find {
        video: i32,
        size: i64,
        moves: bool,
    },
    Mark {
        video: i32,
        exists: bool,
    },
    Pass {
        seconds: u64,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    let (worker, task, video) = (0..4usize, 0..6usize, 1..14);
    let statuses = vec![TaskStatus::Created, TaskStatus::Running, TaskStatus::Completed, TaskStatus::Failed];
    prop_oneof![
        8 => worker.clone().prop_map(|worker| Step::Claim { worker }),
        8 => (task.clone(), prop::sample::select(statuses), prop::bool::weighted(0.2))
            .prop_map(|(task, status, renames)| Step::Report { task, status, renames }),
        1 => (task, any::<bool>()).prop_map(|(task, requeue)| Step::Cancel { task, requeue }),
        4 => worker.clone().prop_map(|worker| Step::Beat { worker }),
        2 => worker.clone().prop_map(|worker| Step::Register { worker }),
        1 => (worker.clone(), prop::option::of(0u64..40)).prop_map(|(worker, deadline)| Step::Go { worker, deadline }),
        1 => (worker.clone(), any::<bool>()).prop_map(|(worker, paused)| Step::Update { worker, paused }),
        1 => worker.prop_map(|worker| Step::Delete { worker }),
        2 => (video.clone(), -5..5).prop_map(|(video, priority)| Step::Requeue { video, priority }),
        3 => (video.clone(), 1i64..4, any::<bool>()).prop_map(|(video, size, moves)| Step::Find { video, size, moves }),
        2 => (video, any::<bool>()).prop_map(|(video, exists)| Step::Mark { video, exists }),
        4 => (0u64..90).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// A farm and those whom the steps name by their place.
struct History {
    world: World,
    workers: Vec<WorkerId>,
    /// The newest tasks, with their workers.
    tasks: Vec<(WorkerId, TaskUuid)>,
    moves: i32,
}

impl History {
    async fn new() -> Self {
        let settings = Settings { task_retention: Duration::from_mins(3), max_logs: 60, ..calm() };
        let world = World::with(settings).await;
        world.add_videos(8).await;
        let mut workers = Vec::new();
        for number in 0..4 {
            workers.push(world.worker(&format!("w{number}")).await);
        }
        History { world, workers, tasks: Vec::new(), moves: 0 }
    }

    /// A command may be refused: what counts is that the index knows all that was done.
    async fn take(&mut self, step: Step) {
        let farm = self.world.farm.clone();
        match step {
            Step::Claim { worker } => {
                let worker = self.workers[worker];
                if let Ok(Claimed::Task(_, task)) = farm.claim(wish_for_work(worker)).await {
                    self.tasks.insert(0, (worker, TaskUuid::of(&task.uuid)));
                }
            }
            Step::Report { task, status, renames } => self.report(task, status, renames).await,
            Step::Cancel { task, requeue } => {
                if let Some((_, uuid)) = self.tasks.get(task) {
                    let _ = farm.cancel_task(*uuid, String::new(), requeue).await;
                }
            }
            Step::Beat { worker } => {
                let _ = farm.beat(self.workers[worker]).await;
            }
            Step::Register { worker } => {
                if let Ok(registered) = farm.register(wish_to_be(&format!("w{worker}"), None), Vec::new()).await {
                    self.workers[worker] = registered.id;
                }
            }
            Step::Go { worker, deadline } => {
                let deadline = deadline.map(Duration::from_secs);
                let _ = farm.set_offline(self.workers[worker], OfflineAction::Offline, deadline).await;
            }
            Step::Update { worker, paused } => {
                let command = UpdateWorker { paused: Some(paused), ..UpdateWorker::default() };
                let _ = farm.update_worker(self.workers[worker], command).await;
            }
            Step::Delete { worker } => {
                let _ = farm.delete_worker(self.workers[worker]).await;
            }
            Step::Requeue { video, priority } => {
                farm.requeue(vec![VideoId(video)], Some(priority), true).await.expect("an answer");
            }
            Step::Find { video, size, moves } => self.find(video, size, moves).await,
            Step::Mark { video, exists: true } => farm.mark_present("films", vec![video]).await.expect("a mark"),
            Step::Mark { video, exists: false } => farm.mark_missing("films", vec![video]).await.expect("a mark"),
            Step::Pass { seconds } => {
                self.world.pass(seconds);
                self.world.sweep().await;
                RetentionEngine::new(farm).activate().await.expect("a look");
            }
            Step::Restart => self.world.restart().await,
        }
    }

    async fn report(&mut self, task: usize, status: TaskStatus, renames: bool) {
        let Some((worker, uuid)) = self.tasks.get(task).copied() else { return };
        let output_path = (renames && status == TaskStatus::Completed).then(|| self.fresh_path());
        let report = Report { status, progress: 40.0, output_bytes: 400, output_path, ..Report::default() };
        // Retention may have removed it.
        let _ = self.world.farm.report(uuid, Claimant::Worker(worker), report).await;
    }

    async fn find(&mut self, video: i32, size: i64, moves: bool) {
        let known = self.world.farm.path(video);
        let fingerprint = [u8::try_from(video * 4 + i32::try_from(size).unwrap()).unwrap(); 16];
        let path = if moves { None } else { known.clone() }.unwrap_or_else(|| self.fresh_path());
        let found = Found {
            path,
            probe: Probe { codec: "h264".to_owned(), bitrate_k: 3_000 + video, width: 640, ..Probe::default() },
            size_bytes: size * 100,
            modify_nanos: 1,
            fingerprint,
            is_vr: false,
            needs_transcoding: size != 2,
            moved_from: (moves && known.is_some()).then_some(video),
        };
        self.world.farm.record("films", vec![found]).await.expect("a record");
    }

    fn fresh_path(&mut self) -> String {
        self.moves += 1;
        format!("films/moved-{}.mkv", self.moves)
    }

    async fn check(&self) {
        let farm = &self.world.farm;
        farm.settled().await.expect("a store");
        let loaded = load::load(&*farm.store, self.world.now()).await.expect("an index");
        assert_same_workers(&farm.index, &loaded);
        assert_same_tasks(&farm.index, &loaded);
        assert_same_videos(&farm.index, &loaded);
        assert_same_logs(&farm.index, &loaded);
        assert_eq!(given_out(&farm.index, self.world.now()), given_out(&loaded, self.world.now()));
    }
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
        let videos = index.videos.read();
        index.tasks.read().matching(&filter, sort, Some(&videos))
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
        let id = crate::transcode::model::TaskId(row.number);
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
fn given_out(index: &Index, now: crate::clock::Timestamp) -> (Vec<VideoId>, Reserved) {
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
    given.iter().for_each(|id| assert!(videos.release(*id, now)));
    (given, nothing)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_commands_keep_is_what_a_start_would_find(steps in prop::collection::vec(steps(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut history = History::new().await;
            for step in steps {
                history.take(step).await;
                history.check().await;
            }
        });
    }
}
