//! The index that the commands keep is the one that a start makes of the records, whatever was done.

use std::time::Duration;

use proptest::prelude::*;

use super::{World, calm, same, wish_for_work, wish_to_be};
use crate::engine::Engine as _;
use crate::transcode::claims::Claimed;
use crate::transcode::farm::Farm;
use crate::transcode::library::{Found, Probe, Shelf as _};
use crate::transcode::model::{OfflineAction, TaskStatus, TaskUuid, VideoId, WorkerId};
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
                same::assert_follows(&history.world).await;
            }
        });
    }
}

/// Claims and works, with all that may happen, for so many rounds.
async fn work(farm: Farm, worker: WorkerId, rounds: usize) {
    for round in 0..rounds {
        let Ok(Claimed::Task(_, task)) = farm.claim(wish_for_work(worker)).await else { continue };
        let uuid = TaskUuid::of(&task.uuid);
        let says = |status| farm.report(uuid, Claimant::Worker(worker), Report { status, ..Report::default() });
        let end = if round % 3 == 0 { TaskStatus::Completed } else { TaskStatus::Failed };
        let (running, ended, cancelled) =
            tokio::join!(says(TaskStatus::Running), says(end), farm.cancel_task(uuid, String::new(), round % 2 == 0));
        running.and(ended).expect("an answer");
        // It may have ended before.
        let _ = cancelled;
    }
}

/// Lets all videos wait again and finds other files, meanwhile.
async fn disturb(farm: Farm, videos: Vec<VideoId>, rounds: u8) {
    for round in 0..rounds {
        farm.requeue(videos.clone(), Some(i32::from(round % 3)), true).await.expect("an answer");
        for video in &videos {
            let Some(path) = farm.path(video.0) else { continue };
            let found = Found {
                path,
                probe: Probe { codec: "h264".to_owned(), ..Probe::default() },
                size_bytes: i64::from(round),
                modify_nanos: i64::from(round),
                fingerprint: [round; 16],
                is_vr: false,
                needs_transcoding: true,
                moved_from: None,
            };
            farm.record("films", vec![found]).await.expect("a record");
        }
        farm.mark_missing("films", vec![videos[usize::from(round) % videos.len()].0]).await.expect("a mark");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_cross_leave_the_index_that_a_start_would_make() {
    let world = World::new().await;
    let videos = world.add_videos(6).await;
    let mut busy = tokio::task::JoinSet::new();
    for number in 0..8 {
        busy.spawn(work(world.farm.clone(), world.worker(&format!("w{number}")).await, 40));
    }
    busy.spawn(disturb(world.farm.clone(), videos, 20));
    while let Some(ended) = busy.join_next().await {
        ended.expect("no panic");
    }
    same::assert_follows(&world).await;
}
