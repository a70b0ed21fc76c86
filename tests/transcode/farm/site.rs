//! A server, a library with films, and the workers that are sent to it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::process::Process;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::wait::eventually;
use crate::vocabulary::api::Api;
use crate::vocabulary::clips::Studio;
use crate::vocabulary::native::Native;
use crate::vocabulary::programs::{self, at, told};

/// So that a test need not wait long for anything.
const QUICK: &str = "[transcode]\n\
    heartbeat_timeout = \"2s\"\n\
    heartbeat_interval = \"500ms\"\n\
    retry_backoff = \"100ms\"\n\
    retry_backoff_max = \"200ms\"\n\
    max_attempts = 2\n\
    stable_for = \"100ms\"\n";

/// A farm with real files.
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) studio: Studio,
    home: TempDir,
}

impl Site {
    /// `None` when there is no ffmpeg.
    pub(super) async fn open(needed_by: &str) -> Option<Self> {
        Self::with(needed_by, "").await
    }

    /// The same, with more lines of the section `transcode`.
    pub(super) async fn with(needed_by: &str, config: &str) -> Option<Self> {
        let studio = Studio::open(needed_by)?;
        let home = temporary::directory();
        fs::create_dir(home.path().join("films")).expect("a directory");
        let server = Setup::default().config(QUICK).config(config).start().await;
        Some(Site { server, studio, home })
    }

    /// The root of the library.
    pub(super) fn root(&self) -> PathBuf {
        self.home.path().join("films")
    }

    pub(super) fn film(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(super) fn api(&self) -> Api {
        Api(self.server.http())
    }

    pub(super) fn native(&self) -> Native {
        Native(self.server.channel())
    }

    /// Adds the library `lib` and scans it.
    pub(super) async fn add_library(&self) {
        let root = self.root();
        told(&self.server, &["library", "add", "lib", root.to_str().expect("UTF-8")]).await;
        self.scan().await;
    }

    pub(super) async fn scan(&self) {
        told(&self.server, &["library", "scan", "lib"]).await;
    }

    /// A worker that reaches the library and puts results in the place of the originals.
    pub(super) fn worker(&self, name: &str, args: &[&str]) -> Process {
        let library = at("lib", &self.root());
        let fixed = ["--library", &library, "--output", "replace"];
        programs::worker(&self.server, name, &[&fixed, args].concat())
    }

    /// All videos, by path.
    pub(super) async fn videos(&self) -> Vec<Value> {
        self.api().rows("/videos?per_page=1000&sort_by=video_path&order=asc").await
    }

    /// Waits until so many videos are known: a file that has just been written is looked at again before it counts.
    pub(super) async fn see_videos(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} videos are known"), async || {
            let videos = self.videos().await;
            (videos.len() == count).then_some(videos)
        })
        .await
    }

    /// The video of a path in the library, once it is there.
    pub(super) async fn video(&self, name: &str) -> Value {
        let path = format!("lib/{name}");
        let look = async || self.videos().await.into_iter().find(|video| video["video_path"] == path.as_str());
        eventually(&format!("{path} is known"), look).await
    }

    /// Waits until a video has a status.
    pub(super) async fn see_video(&self, name: &str, status: u32) -> Value {
        eventually(&format!("{name} is {status}"), async || {
            let video = self.video(name).await;
            (video["transcode_status"] == status).then_some(video)
        })
        .await
    }

    /// Waits for the first task that is at work and has got somewhere.
    pub(super) async fn see_progress(&self) -> Value {
        eventually("a task is at work", async || {
            let rows = self.api().rows("/tasks?status[]=1").await;
            rows.into_iter().find(|row| row["progress"].as_f64().is_some_and(|progress| progress > 0.0))
        })
        .await
    }

    /// All tasks of a video, the oldest first.
    pub(super) async fn tasks_of(&self, name: &str) -> Vec<Value> {
        let rows = self.api().rows("/tasks?per_page=1000&order=asc").await;
        let path = format!("lib/{name}");
        rows.into_iter().filter(|row| row["video_path"] == path.as_str()).collect()
    }

    /// Whether a file with these bytes is somewhere below the library.
    pub(super) fn has_kept(&self, bytes: &[u8]) -> bool {
        files_below(&self.root()).iter().any(|file| fs::read(file).is_ok_and(|content| content == bytes))
    }
}

/// All files below a directory, hidden ones too.
pub(super) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The numbers of the ffmpegs that a process runs.
pub(super) fn encoders_of(parent: u32) -> Vec<u32> {
    let is_encoder = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((head, fields)) = stat.rsplit_once(") ") else { return false };
        let mut fields = fields.split(' ');
        let is_alive = fields.next().is_some_and(|state| state != "Z");
        is_alive && head.ends_with("(ffmpeg") && fields.next() == Some(parent.to_string().as_str())
    };
    let entries =
        fs::read_dir("/proc").expect("Linux").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    entries.filter(is_encoder).collect()
}

/// Whether an ffmpeg of that number still works.
pub(super) fn is_encoding(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains("(ffmpeg) ") && !stat.contains("(ffmpeg) Z")
}
