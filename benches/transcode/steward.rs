//! A Steward with a library of videos without files.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use steward_proto::transcode::v1::{
    Library, PutLibraryRequest, RegisterVideosRequest, RegisterWorkerRequest, Resolution, Video, VideoStatus,
    WorkerType,
};
use tonic::transport::{Channel, Endpoint};

use crate::BoxError;
use crate::process::{Process, free_address, listening};

/// How many videos one request makes known.
const BATCH: u32 = 1000;
/// How many such requests are under way at once.
const AT_ONCE: usize = 4;
/// How many clients of gRPC share a connection.
const PER_CONNECTION: usize = 16;

/// A running server.
#[derive(Debug)]
pub(crate) struct Steward {
    pub(crate) process: Process,
    grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

/// A worker that the server knows.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) id: i32,
    pub(crate) name: String,
}

impl Steward {
    /// On an empty directory, with an empty library. Nothing ends by itself while it is measured.
    pub(crate) async fn start(directory: &Path) -> Result<Self, BoxError> {
        let library = directory.join("library");
        std::fs::create_dir_all(&library)?;
        let (grpc, http) = (free_address()?, free_address()?);
        let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
        command.args(["serve", "--nbd", "", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--data"]);
        command.arg(directory.join("data"));
        let settings = [
            ("HEARTBEAT_TIMEOUT", "1d"),
            ("TASK_STALL_TIMEOUT", "0s"),
            ("MAX_TASKS", "100000000"),
            ("WATCH_FILES", "false"),
        ];
        command.envs(settings.map(|(name, value)| (format!("STEWARD_TRANSCODE__{name}"), value)));
        let process = Process::start(&mut command, &directory.join("server.log"))?;
        listening(grpc).await?;
        listening(http).await?;
        let steward = Steward { process, grpc, http };
        let path = library.display().to_string();
        let scan_interval = Some(prost_types::Duration::default());
        let library = Some(Library { name: "lib".to_owned(), path, scan_interval, ..Library::default() });
        LibraryServiceClient::new(steward.channel().await?).put_library(PutLibraryRequest { library }).await?;
        Ok(steward)
    }

    pub(crate) async fn channel(&self) -> Result<Channel, BoxError> {
        Ok(Endpoint::from_shared(format!("http://{}", self.grpc))?.tcp_nodelay(true).connect().await?)
    }

    /// A channel for each of so many clients.
    pub(crate) async fn channels(&self, clients: usize) -> Result<Vec<Channel>, BoxError> {
        let mut channels = Vec::new();
        while channels.len() < clients {
            let left = clients - channels.len();
            channels.extend(std::iter::repeat_n(self.channel().await?, left.min(PER_CONNECTION)));
        }
        Ok(channels)
    }

    /// Makes so many videos known that wait; returns how many a second.
    pub(crate) async fn register_videos(&self, count: u32) -> Result<f64, BoxError> {
        let client = VideoServiceClient::new(self.channel().await?);
        let start = Instant::now();
        let batches = stream::iter((0..count).step_by(BATCH as usize).map(Ok::<_, BoxError>));
        batches
            .try_for_each_concurrent(AT_ONCE, |first| {
                let mut client = client.clone();
                async move {
                    let videos = (first..(first + BATCH).min(count)).map(video).collect();
                    client.register_videos(RegisterVideosRequest { videos }).await?;
                    if first % 100_000 == 0 {
                        eprintln!("{first} of {count} videos");
                    }
                    Ok(())
                }
            })
            .await?;
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    }

    pub(crate) async fn register_workers(&self, count: usize) -> Result<Vec<Worker>, BoxError> {
        let client = WorkerServiceClient::new(self.channel().await?);
        let register = |number| {
            let mut client = client.clone();
            async move {
                let name = format!("worker-{number:03}");
                let request = RegisterWorkerRequest {
                    worker_name: name.clone(),
                    worker_type: WorkerType::Cpu.into(),
                    ..RegisterWorkerRequest::default()
                };
                let id = client.register_worker(request).await?.into_inner().worker_id;
                Ok::<_, BoxError>(Worker { id, name })
            }
        };
        stream::iter(0..count).map(register).buffered(AT_ONCE).try_collect().await
    }
}

/// Video `number`: a path as long as they are, and properties that are spread as they are.
fn video(number: u32) -> Video {
    // Spreads neighbours, and is the same in each run.
    let spread = number.wrapping_mul(2_654_435_761);
    let codec = if spread % 10 < 7 { "h264" } else { "hevc" };
    let bitrate = spread >> 8;
    Video {
        video_path: format!("lib/series {:04}/season {:02}/episode {number:07}.mkv", number / 500, number / 25 % 20),
        codec: codec.to_owned(),
        bitrate_k: i32::try_from(1000 + bitrate % 20_000).unwrap_or_default(),
        size_bytes: i64::from(spread) + (100 << 20),
        fps: if spread.is_multiple_of(3) { 29.97 } else { 25.0 },
        resolution: Some(Resolution { width: 1920, height: 1080 }),
        transcode_status: VideoStatus::Waiting.into(),
        duration: 1800.0,
        exist: true,
        container: "matroska,webm".to_owned(),
        audio_codec: "aac".to_owned(),
        fingerprint: format!("{spread:016x}{number:016x}"),
        ..Video::default()
    }
}
