//! `steward task stats`: what was done, day by day.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::words::saved;

/// Counts what was done, day by day.
#[derive(Args, Debug)]
pub(super) struct StatsArgs {
    /// How many days, today included.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(i32).range(1..=366))]
    days: i32,

    /// The time zone of the days, such as Europe/Berlin. Default: UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,
}

pub(super) async fn run(args: StatsArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut tasks = TaskServiceClient::new(server.connect().await?);
    let request = pb::GetTaskStatsRequest { days: args.days, time_zone: args.time_zone };
    let stats = tasks.get_task_stats(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::Stats::from(stats))?,
        Format::Text => show(&stats, console)?,
    }
    Ok(Exit::DONE)
}

fn show(stats: &pb::GetTaskStatsResponse, console: &mut Console) -> Result<(), Error> {
    let heading = console.paint(Tone::Heading, format!("{:<10}  {:>9}  {:>6}  SAVED", "DAY", "COMPLETED", "FAILED"));
    console.line(heading)?;
    for day in &stats.days {
        let (completed, failed) = (day.completed, day.failed);
        let saved = saved(day.saved_bytes);
        console.line(format_args!("{:<10}  {completed:>9}  {failed:>6}  {saved}", printable(&day.date)))?;
    }
    let videos = if stats.waiting_videos == 1 {
        "1 video waits".to_owned()
    } else {
        format!("{} videos wait", stats.waiting_videos)
    };
    console.line(format_args!("{} in progress, {videos}", stats.in_progress))
}
