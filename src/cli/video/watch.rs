//! `steward video watch`: every change of a video, across restarts of the server.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use tonic::{Status, Streaming};

use super::{json, text};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::words;
use crate::cli::follow::{self, Watch};
use crate::cli::time;

/// Shows every change of a video from now on, until it is interrupted.
#[derive(Args, Debug)]
#[command(
    after_help = "When the connection is lost, the watch goes on where it was as soon as the server is back. If \
                        the server has forgotten that point, the watch goes on from now, and says so on standard error."
)]
pub(super) struct WatchArgs {
    /// Only the changes after this revision, as `--json` told it.
    #[arg(long, value_name = "REV", default_value_t = 0, hide_default_value = true)]
    from: i64,
}

pub(super) async fn run(args: WatchArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is an error at the start, and something to wait for later.
    let videos = VideoServiceClient::new(server.connect().await?);
    follow::follow(VideoWatch { videos }, args.from, server, console).await
}

struct VideoWatch {
    videos: VideoServiceClient<Channel>,
}

impl Watch for VideoWatch {
    type Message = pb::WatchVideosResponse;
    const SUBJECT: &'static str = "videos";
    const AFRESH: &'static str = "going on from now";

    fn reconnect(&mut self, server: &Server) {
        self.videos = VideoServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchVideosResponse>, Status> {
        Ok(self.videos.watch_videos(pb::WatchVideosRequest { from_revision }).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchVideosResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        let revision = step.revision;
        if let Some(video) = step.video {
            match console.format() {
                Format::Json => console.object(&json::Watched { revision, video: video.into() })?,
                Format::Text => console.line(line(&video, console))?,
            }
            console.flush()?;
        }
        Ok((revision != 0).then_some(revision))
    }
}

/// `2026-11-21T03:13:00Z  completed    7  films/a.mkv`.
fn line(video: &pb::Video, console: &Console) -> String {
    let at = time::text(time::from_proto(video.update_time).unwrap_or_else(time::now));
    let (tone, status) = if video.exist {
        (words::video_tone(video.transcode_status()), text::status(video))
    } else {
        (Tone::Bad, "gone".to_owned())
    };
    let status = console.paint(tone, format!("{status:<11}"));
    let line = format!("{at}  {status}  {}  {}", video.id, printable(&video.video_path));
    if video.error_message.is_empty() { line } else { format!("{line}: {}", printable(&video.error_message)) }
}
