//! The commands on a store in memory, with a clock that tests move.

mod claims;
mod following;
mod registration;
mod retention;
mod same;
mod silence;
mod videos;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steward_proto::transcode::v1::Rules;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::claim::Claim;
use super::claims::Claimed;
use super::error::Error;
use super::farm::Farm;
use super::libraries::PutLibrary;
use super::library;
use super::model::{TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, VideoRecord, VideoStatus, WorkerId, WorkerType};
use super::register::Register;
use super::reports::{Claimant, Reported};
use super::settings::Settings;
use super::sweep::SilenceEngine;
use super::transition::{Report, tests};
use super::videos::Registration;
use super::workers::Registered;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::Engine as _;
use crate::store::suite::{self, Harness as _};

/// Nothing is removed, nobody waits.
fn calm() -> Settings {
    Settings {
        policy: tests::policy(),
        heartbeat_interval: Duration::from_secs(5),
        task_retention: Duration::ZERO,
        max_tasks: 0,
        log_retention: Duration::ZERO,
        max_logs: 0,
        sweep_interval: Duration::from_mins(1),
        max_watchers: 10,
        library: library::Settings::default(),
    }
}

struct World {
    harness: suite::Memory,
    clock: Arc<ManualClock>,
    tasks: TaskTracker,
    settings: Settings,
    farm: Farm,
}

impl World {
    async fn new() -> Self {
        Self::with(calm()).await
    }

    /// A farm with one library, `films`.
    async fn with(settings: Settings) -> Self {
        let (mut harness, clock, tasks) = (suite::Memory::default(), Arc::new(ManualClock::new()), TaskTracker::new());
        let farm = open(&mut harness, &clock, &settings, &tasks).await;
        let command = PutLibrary {
            name: "films".to_owned(),
            path: PathBuf::from("/films"),
            rules: Rules::default(),
            scan_interval: Some(Duration::ZERO),
            is_paused: false,
        };
        farm.put_library(command).await.expect("a library");
        World { harness, clock, tasks, settings, farm }
    }

    /// Starts the server again.
    async fn restart(&mut self) {
        self.finish_tasks().await;
        self.farm = open(&mut self.harness, &self.clock, &self.settings, &self.tasks).await;
    }

    /// Runs what was left to be done after callers went away.
    async fn finish_tasks(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Looks for what has gone silent, as the loop does.
    async fn sweep(&self) -> Option<Duration> {
        let next = SilenceEngine::new(self.farm.clone()).activate().await.expect("a look");
        next.map(|time| time.since(self.clock.now()))
    }

    /// Videos that need transcoding, the most urgent first.
    async fn add_videos(&self, count: i32) -> Vec<VideoId> {
        let known = i32::try_from(self.farm.index.videos.read().len()).unwrap();
        let video = |number: i32| VideoRecord {
            path: format!("films/{:04}.mp4", known + number),
            codec: "h264".to_owned(),
            bitrate_k: 10_000 - known - number,
            size_bytes: 1_000,
            width: 640,
            height: 360,
            fps: 25.0,
            ..VideoRecord::default()
        };
        let videos = (0..count).map(|number| Registration { record: video(number) }).collect();
        self.farm.register_videos(videos).await.expect("videos").0
    }

    async fn try_register(&self, name: &str, token: Option<[u8; 16]>) -> Result<Registered, Error> {
        self.farm.register(wish_to_be(name, token), Vec::new()).await
    }

    async fn worker(&self, name: &str) -> WorkerId {
        self.try_register(name, None).await.expect("a worker").id
    }

    async fn beat(&self, worker: WorkerId) {
        self.farm.beat(worker).await.expect("a heartbeat");
    }

    async fn claim(&self, worker: WorkerId) -> Claimed {
        self.farm.claim(wish_for_work(worker)).await.expect("an answer")
    }

    async fn task(&self, worker: WorkerId) -> (TaskId, TaskUuid) {
        match self.claim(worker).await {
            Claimed::Task(id, task) => (id, TaskUuid::of(&task.uuid)),
            other => panic!("no task: {other:?}"),
        }
    }

    async fn says(&self, worker: WorkerId, task: TaskUuid, status: TaskStatus) -> Reported {
        let report = Report { status, ..Report::default() };
        self.farm.report(task, Claimant::Worker(worker), report).await.expect("an answer")
    }

    async fn record(&self, task: TaskUuid) -> TaskRecord {
        self.farm.get_task(task).await.expect("the task").1
    }

    async fn task_status(&self, task: TaskUuid) -> TaskStatus {
        TaskStatus::try_from(self.record(task).await.status).expect("a status")
    }

    async fn video(&self, id: VideoId) -> VideoRecord {
        self.farm.get_video(id).await.expect("the video")
    }

    async fn video_status(&self, id: VideoId) -> VideoStatus {
        VideoStatus::try_from(self.video(id).await.status).expect("a status")
    }

    fn is_offline(&self, worker: WorkerId) -> bool {
        self.farm.worker(worker).expect("the worker").is_offline
    }
}

async fn open(harness: &mut suite::Memory, clock: &Arc<ManualClock>, settings: &Settings, tasks: &TaskTracker) -> Farm {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let opened = Farm::open(harness.open(1000), clock, settings.clone(), CancellationToken::new(), tasks.clone());
    opened.await.expect("a farm")
}

fn wish_to_be(name: &str, token: Option<[u8; 16]>) -> Register {
    Register { name: name.to_owned(), worker_type: WorkerType::Cpu, token, ..Register::default() }
}

fn wish_for_work(worker: WorkerId) -> Claim {
    Claim { worker, worker_type: None, wants_vr: None, dest_path: None }
}
