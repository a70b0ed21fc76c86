//! The worker against a small server, with real videos.

mod session;
mod transfer;
mod videos;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::fake::Fake;
use super::media::{Media, StreamKind};
use super::testing::{make_video, make_video_with, program};
use super::*;
use crate::cli::connect::Server;

/// A library with a server, for one worker after the other.
struct Scene {
    directory: tempfile::TempDir,
    fake: Fake,
}

/// A worker at work.
struct Worker {
    orders: mpsc::UnboundedSender<Order>,
    end: JoinHandle<Result<End, String>>,
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: Server,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("films")).unwrap();
        Scene { directory, fake: Fake::start() }
    }

    /// With a video of two seconds at `relative` in the library.
    fn with_video(relative: &str) -> Self {
        let scene = Self::new();
        make_video(&scene.film(relative), 2, &[]);
        scene
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn film(&self, relative: &str) -> PathBuf {
        self.path("films").join(relative)
    }

    /// All files of the library, sorted.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.path("films"), &mut files);
        let root = self.path("films");
        let mut names: Vec<_> =
            files.iter().map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn settings(&self) -> Settings {
        Settings {
            name: "w1".to_owned(),
            kind: Kind::Cpu,
            support_vr: false,
            libraries: Libraries::new([("films".to_owned(), self.path("films"))]),
            delivery: Delivery::Replace,
            slots: 1,
            labels: std::collections::HashMap::new(),
            max_height: 0,
            codecs: Vec::new(),
            profile: Profile { crf: 40, preset: Some("ultrafast".to_owned()), audio: "copy".to_owned() },
            decoding: Decoding::Full,
            allow_larger: false,
            state: self.path("state"),
            temp: None,
            shutdown_command: None,
            ffmpeg: program("ffmpeg"),
            ffprobe: program("ffprobe"),
        }
    }

    /// An ffmpeg that writes its process id to `started` when it is to encode a file, and waits for the file `go`.
    fn patient_ffmpeg(&self) -> PathBuf {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *films*libx265*)\n  echo $$ > {0}/pid && mv {0}/pid {0}/started\n  \
             while ! [ -e {0}/go ]; do sleep 0.02; done\nesac\nexec {1} \"$@\"\n",
            self.directory.path().display(),
            program("ffmpeg").display()
        );
        let path = self.path("ffmpeg");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Returns the process id of the patient ffmpeg once it waits.
    async fn encoding(&self) -> u32 {
        let started = self.path("started");
        while !started.exists() {
            tokio::task::yield_now().await;
        }
        fs::read_to_string(started).unwrap().trim().parse().unwrap()
    }

    fn let_go(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    fn start(&self) -> Worker {
        self.start_with(self.settings())
    }

    fn start_with(&self, settings: Settings) -> Worker {
        let server = Cli::parse_from(["worker", "--server", &self.fake.url()]).server;
        let (orders, received) = mpsc::unbounded_channel();
        let end = tokio::spawn(async move { work(settings, &server, received).await });
        Worker { orders, end }
    }
}

impl Worker {
    fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    async fn end(self) -> End {
        self.end.await.unwrap().unwrap()
    }

    async fn finish(self) {
        self.order(Order::Finish);
        assert_eq!(self.end().await, End::Finished);
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

async fn media_of(path: &Path) -> Media {
    let never = tokio_util::sync::CancellationToken::new();
    super::probe::probe(&program("ffprobe"), path, &never).await.unwrap()
}

/// The codecs of the streams of this kind.
fn codecs(media: &Media, kind: StreamKind) -> Vec<&str> {
    media.of_kind(kind).map(|stream| &*stream.codec).collect()
}

fn is_alive(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !(state.is_empty() || state.contains(") Z "))
}
