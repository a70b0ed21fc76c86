//! `steward video requeue`: lets videos wait.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// The most that the server takes at a time.
const LARGEST_REQUEST: usize = 1000;

/// Lets videos wait, with all their attempts. Those that are being worked on are left alone.
#[derive(Args, Debug)]
pub(super) struct RequeueArgs {
    /// Which ones.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<i32>,

    /// Another priority, -1000 to 1000; higher ones are given out first.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,

    /// Also those that are good as they are, or transcoded.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: RequeueArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut videos = VideoServiceClient::new(server.connect().await?);
    let mut requeued = 0;
    for ids in args.ids.chunks(LARGEST_REQUEST) {
        let request = pb::RequeueVideosRequest { ids: ids.to_vec(), priority: args.priority, force: args.force };
        requeued += videos.requeue_videos(request).await.map_err(server.failure())?.into_inner().requeued;
    }
    match console.format() {
        Format::Json => console.object(&json::Requeued { requeued })?,
        Format::Text => console.line(format_args!("{requeued} of {} now wait", args.ids.len()))?,
    }
    Ok(Exit::DONE)
}
