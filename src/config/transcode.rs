//! The settings of the transcoding farm.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Config, duration};
use crate::transcode;
use crate::transcode::library::{self, Roots};

/// The transcoding farm.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Transcode {
    /// After which silence a worker is offline and its tasks have failed.
    #[serde(with = "duration")]
    pub heartbeat_timeout: Duration,
    /// How often a worker is asked to beat.
    #[serde(with = "duration")]
    pub heartbeat_interval: Duration,
    /// After which silence of its worker a task has failed though the worker beats; zero: never.
    #[serde(with = "duration")]
    pub task_stall_timeout: Duration,
    /// How many attempts a video has, unless its library says otherwise.
    pub max_attempts: i32,
    /// How long a video rests after its first failure; twice as long after each further one.
    #[serde(with = "duration")]
    pub retry_backoff: Duration,
    /// The longest such rest.
    #[serde(with = "duration")]
    pub retry_backoff_max: Duration,
    /// Let NVENC and VPU workers take videos that failed, too; otherwise those are for processors and QSV.
    pub retry_on_hardware: bool,
    /// Directories that libraries may be, or be below of; none: any. In the environment, with commas between.
    pub library_roots: Vec<PathBuf>,
    /// How often a library is scanned that says nothing of its own; zero: never by itself.
    #[serde(with = "duration")]
    pub scan_interval: Duration,
    /// Ask the kernel to tell of files that come and go.
    pub watch_files: bool,
    /// For how long a new file has to stay as it is before it counts.
    #[serde(with = "duration")]
    pub stable_for: Duration,
    /// How many files are probed at a time.
    pub probes: usize,
    /// How long a probe may take.
    #[serde(with = "duration")]
    pub probe_timeout: Duration,
    /// The program that probes.
    pub ffprobe: PathBuf,
    /// How long originals that were replaced are kept in the trash of their library.
    #[serde(with = "duration")]
    pub trash_retention: Duration,
    /// How long an entry of the log is kept; zero: for ever.
    #[serde(with = "duration")]
    pub log_retention: Duration,
    /// How many entries of the log are kept; 0: all.
    pub max_logs: usize,
    /// How long an ended task is kept; zero: for ever.
    #[serde(with = "duration")]
    pub task_retention: Duration,
    /// How many ended tasks are kept; 0: all.
    pub max_tasks: usize,
    /// How often what is too old is looked for.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// How many watches may be open.
    pub max_watchers: usize,
    /// The form of the lists of workers and tasks in the older API.
    pub list_shape: ListShape,
    /// What is between the parts of a path in the older API.
    pub path_style: PathStyle,
    /// Whose pages may call the older API from a browser: `*`, an origin, or nothing for nobody's.
    pub cors_origin: String,
}

/// The form of the lists of workers and tasks in the older API.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ListShape {
    /// `data` is an array, and `pagination` is beside it.
    #[default]
    Array,
    /// `data` is an object of both, as an existing web front end needs it.
    Object,
}

/// What is between the parts of a path in the older API.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PathStyle {
    /// `/`, which workers on all systems understand.
    #[default]
    Slash,
    /// `\`.
    Backslash,
}

impl Default for Transcode {
    fn default() -> Self {
        let library = library::Settings::default();
        Transcode {
            heartbeat_timeout: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(5),
            task_stall_timeout: Duration::from_mins(10),
            max_attempts: 3,
            retry_backoff: Duration::from_mins(1),
            retry_backoff_max: Duration::from_hours(6),
            retry_on_hardware: false,
            library_roots: Vec::new(),
            scan_interval: library.scan_interval,
            watch_files: library.watch_files,
            stable_for: library.stable_for,
            probes: library.probes,
            probe_timeout: library.probe_timeout,
            ffprobe: library.ffprobe,
            trash_retention: library.trash_retention,
            log_retention: Duration::from_hours(30 * 24),
            max_logs: 1_000_000,
            task_retention: Duration::from_hours(90 * 24),
            max_tasks: 1_000_000,
            sweep_interval: Duration::from_mins(1),
            max_watchers: 1000,
            list_shape: ListShape::default(),
            path_style: PathStyle::default(),
            cors_origin: "*".to_owned(),
        }
    }
}

impl Transcode {
    /// As the farm takes them. `kept`: what the server keeps for itself.
    fn settings(&self, kept: Vec<PathBuf>) -> transcode::Settings {
        transcode::Settings {
            policy: transcode::Policy {
                heartbeat_timeout: self.heartbeat_timeout,
                task_stall_timeout: (!self.task_stall_timeout.is_zero()).then_some(self.task_stall_timeout),
                max_attempts: self.max_attempts,
                retry_backoff: self.retry_backoff,
                retry_backoff_max: self.retry_backoff_max,
                retry_on_hardware: self.retry_on_hardware,
            },
            heartbeat_interval: self.heartbeat_interval,
            task_retention: self.task_retention,
            max_tasks: self.max_tasks,
            log_retention: self.log_retention,
            max_logs: self.max_logs,
            sweep_interval: self.sweep_interval,
            max_watchers: self.max_watchers,
            library: library::Settings {
                scan_interval: self.scan_interval,
                stable_for: self.stable_for,
                probes: self.probes,
                probe_timeout: self.probe_timeout,
                watch_files: self.watch_files,
                trash_retention: self.trash_retention,
                ffprobe: self.ffprobe.clone(),
                roots: Arc::new(Roots { within: self.library_roots.clone(), kept }),
            },
        }
    }
}

impl Config {
    /// The settings of the farm.
    pub fn farm_settings(&self) -> transcode::Settings {
        let set = [
            &self.volumes.path,
            &self.artifacts.path,
            &self.restic.path,
            &self.tls.key,
            &self.auth.htpasswd,
            &self.auth.rights_file,
            &self.auth.gateway_key,
        ];
        let kept = [self.store.data.clone(), self.key_file()];
        self.transcode.settings(kept.into_iter().chain(set.into_iter().flatten().cloned()).collect())
    }
}
