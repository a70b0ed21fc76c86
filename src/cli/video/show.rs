//! `steward video show`: one video as it stands.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Shows one video.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which one.
    #[arg(value_name = "ID")]
    id: i32,
}

pub(super) async fn run(args: ShowArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut videos = VideoServiceClient::new(server.connect().await?);
    let answer = videos.get_video(pb::GetVideoRequest { id: args.id }).await.map_err(server.failure())?.into_inner();
    let video = answer.video.ok_or(Error::Nonsense("it has no video"))?;
    match console.format() {
        Format::Json => console.object(&json::Video::from(video))?,
        Format::Text => console.line(text::video(&video, console, time::now()))?,
    }
    Ok(Exit::DONE)
}
