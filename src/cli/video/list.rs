//! `steward video list`: videos page by page.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::order::Order;
use crate::cli::farm::pages::{Page, Paging, Part};
use crate::cli::farm::words;
use crate::cli::size;
use crate::cli::table::Table;

const HEADINGS: [&str; 8] = ["ID", "STATUS", "CODEC", "PICTURE", "KBIT/S", "FPS", "SIZE", "VIDEO"];

/// Lists videos, those that changed last first.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only these: not-needed, waiting, claimed, transcoding, completed, failed; several with commas between.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = words::parse_video_status)]
    status: Vec<pb::VideoStatus>,

    /// Only VR videos.
    #[arg(long)]
    vr: bool,

    /// No VR videos.
    #[arg(long, conflicts_with = "vr")]
    no_vr: bool,

    /// Only these codecs, with commas between, such as h264.
    #[arg(long, value_name = "CODEC", value_delimiter = ',')]
    codec: Vec<String>,

    /// At least so many kbit/s.
    #[arg(long, value_name = "KBITS")]
    min_bitrate: Option<i32>,

    /// At most so many kbit/s.
    #[arg(long, value_name = "KBITS")]
    max_bitrate: Option<i32>,

    /// At least so large, such as 500MB or 1.5GiB.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    min_size: Option<i64>,

    /// At most so large.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_size: Option<i64>,

    /// Only of this library.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    library: String,

    /// In which order.
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "update_time",
        value_parser = [
            "update_time", "id", "video_path", "codec", "bitrate_k", "pixels", "size_bytes", "fps", "transcode_status",
        ]
    )]
    sort: String,

    #[command(flatten)]
    order: Order,

    #[command(flatten)]
    paging: Paging,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut videos = VideoServiceClient::new(server.connect().await?);
    let mut table = Table::new(HEADINGS);
    let paging = args.paging;
    let request = args.into_request();
    let ask = async |Page { size: page_size, number: page, token: page_token }| {
        let request = pb::ListVideosRequest { page_size, page, page_token, ..request.clone() };
        let answer = videos.list_videos(request).await.map_err(server.failure())?.into_inner();
        Ok(Part { items: answer.videos, next_token: answer.next_page_token, total: answer.total_size })
    };
    let show = |videos, console: &mut Console| table.show::<_, json::Video>(videos, row, console);
    paging.show("videos", console, ask, show).await?;
    Ok(Exit::DONE)
}

impl ListArgs {
    fn into_request(self) -> pb::ListVideosRequest {
        pb::ListVideosRequest {
            statuses: words::numbers(&self.status),
            is_vr: (self.vr || self.no_vr).then_some(self.vr),
            codecs: self.codec,
            min_bitrate_k: self.min_bitrate,
            max_bitrate_k: self.max_bitrate,
            min_size_bytes: self.min_size,
            max_size_bytes: self.max_size,
            sort_by: self.sort,
            order: self.order.to_proto(),
            library: self.library,
            ..pb::ListVideosRequest::default()
        }
    }
}

fn row(video: &pb::Video) -> [String; 8] {
    [
        video.id.to_string(),
        text::status(video),
        text::codec(video),
        text::resolution(video),
        video.bitrate_k.to_string(),
        format!("{:.1}", video.fps),
        size::of_proto(video.size_bytes),
        printable(&video.video_path).into_owned(),
    ]
}
