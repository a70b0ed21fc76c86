//! A server with a library whose videos are told to it, not found by it.

use std::ops::{Deref, DerefMut};

use steward_proto::transcode::v1::{
    Library, PutLibraryRequest, RegisterVideosRequest, Resolution, Rules, Video, VideoStatus,
};
use tempfile::TempDir;

use super::api::Api;
use super::native::{Native, good};
use crate::common::server::{Server, Setup};
use crate::common::temporary;

/// Shorter than any timeout of a test; nothing is found but what is told.
const PATIENT: &str = "[transcode]\nwatch_files = false\nheartbeat_interval = \"200ms\"\n";

/// A running server, and a library `lib` without files.
#[derive(Debug)]
pub(crate) struct Farm {
    server: Server,
    root: TempDir,
}

impl Farm {
    /// A farm that leaves its workers ten minutes to beat.
    pub(crate) async fn start() -> Self {
        Self::with("heartbeat_timeout = \"10m\"").await
    }

    /// A farm with lines of the section `transcode`.
    pub(crate) async fn with(config: &str) -> Self {
        let server = Setup::default().config(PATIENT).config(config).start().await;
        let farm = Farm { server, root: temporary::directory() };
        farm.put_library(farm.library("lib")).await;
        farm
    }

    /// A library in a directory without files.
    pub(crate) fn library(&self, name: &str) -> Library {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        let path = path.to_str().expect("a path in UTF-8").to_owned();
        Library {
            name: name.to_owned(),
            path,
            scan_interval: Some(prost_types::Duration::default()),
            rules: Some(Rules::default()),
            ..Library::default()
        }
    }

    pub(crate) async fn put_library(&self, library: Library) {
        good(self.native().libraries().put_library(PutLibraryRequest { library: Some(library) }).await);
    }

    pub(crate) fn api(&self) -> Api {
        Api(self.http())
    }

    /// Clients on a connection of their own.
    pub(crate) fn native(&self) -> Native {
        Native(self.channel())
    }

    /// Makes videos known; returns their ids.
    pub(crate) async fn register_videos(&self, videos: Vec<Video>) -> Vec<i32> {
        let mut ids = Vec::new();
        for videos in videos.chunks(1000) {
            let request = RegisterVideosRequest { videos: videos.to_vec() };
            ids.extend(good(self.native().videos().register_videos(request).await).ids);
        }
        ids
    }

    /// So many videos that wait, the most urgent first; returns their ids.
    pub(crate) async fn waiting(&self, count: i32) -> Vec<i32> {
        let video = |number| waiting(&format!("lib/video-{number:05}.mp4")).bitrate(100_000 - number);
        self.register_videos((0..count).map(video).collect()).await
    }
}

impl Deref for Farm {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Farm {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A video that waits and that every kind of worker takes.
pub(crate) fn waiting(path: &str) -> Video {
    Video {
        video_path: path.to_owned(),
        codec: "h264".to_owned(),
        bitrate_k: 4000,
        size_bytes: 10 * 1024 * 1024,
        fps: 25.0,
        resolution: Some(Resolution { width: 1280, height: 720 }),
        transcode_status: VideoStatus::Waiting.into(),
        duration: 60.0,
        container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
        audio_codec: "aac".to_owned(),
        exist: true,
        ..Video::default()
    }
}

/// What a video may be besides.
pub(crate) trait VideoWords {
    fn bitrate(self, bitrate_k: i32) -> Self;
    fn size(self, width: i32, height: i32) -> Self;
    fn codec(self, codec: &str) -> Self;
    fn fps(self, fps: f64) -> Self;
    fn vr(self) -> Self;
    fn status(self, status: VideoStatus) -> Self;
    fn priority(self, priority: i32) -> Self;
}

impl VideoWords for Video {
    fn bitrate(mut self, bitrate_k: i32) -> Self {
        self.bitrate_k = bitrate_k;
        self
    }

    fn size(mut self, width: i32, height: i32) -> Self {
        self.resolution = Some(Resolution { width, height });
        self
    }

    fn codec(mut self, codec: &str) -> Self {
        codec.clone_into(&mut self.codec);
        self
    }

    fn fps(mut self, fps: f64) -> Self {
        self.fps = fps;
        self
    }

    fn vr(mut self) -> Self {
        self.is_vr = true;
        self
    }

    fn status(mut self, status: VideoStatus) -> Self {
        self.transcode_status = status.into();
        self
    }

    fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }
}
