//! `steward worker set`: what a worker takes, and when.

use std::collections::HashMap;

use clap::{ArgGroup, Args};
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;

use super::text;
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::{schedule, which, words};

/// Changes what a worker takes, and when. What is not given stays as it is.
#[derive(Args, Debug)]
#[command(
    after_help = "A WINDOW is days, times or both: \"mon-fri 22:00-06:00\", \"sat,sun\", \"01:00-07:00\". One that ends \
                  before it begins ends on the next day.",
    group = ArgGroup::new("change").required(true).multiple(true).args([
        "name", "kind", "vr", "window", "always", "time_zone", "label", "no_label", "max_height", "codec", "library",
    ])
)]
pub struct SetArgs {
    /// Its id or its name.
    #[arg(value_name = "WHO")]
    who: String,

    /// A new name.
    #[arg(long)]
    name: Option<String>,

    /// What it encodes with: cpu, nvenc, qsv or vpu.
    #[arg(long = "type", value_name = "TYPE", value_parser = words::parse_worker_type)]
    kind: Option<pb::WorkerType>,

    /// Whether it takes VR videos, and no others.
    #[arg(long, value_name = "true|false")]
    vr: Option<bool>,

    /// When it gets tasks, instead of the windows so far. May be given several times.
    #[arg(long, value_name = "WINDOW", value_parser = schedule::parse)]
    window: Vec<pb::Window>,

    /// It gets tasks at any time.
    #[arg(long, conflicts_with = "window")]
    always: bool,

    /// The time zone of its windows, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// A label more, or another value for one. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,

    /// A label less. May be given several times.
    #[arg(long, value_name = "KEY")]
    no_label: Vec<String>,

    /// The greatest height of a video, in pixels; 0: any.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(i32).range(0..))]
    max_height: Option<i32>,

    /// The codecs that it takes, with commas between; `any`: all.
    #[arg(long, value_name = "CODEC", value_delimiter = ',')]
    codec: Vec<String>,

    /// The libraries that it reaches, with commas between; `any`: all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    library: Vec<String>,
}

pub(super) async fn run(args: SetArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let worker = which::worker(&channel, &args.who, server).await?;
    let mut workers = WorkerServiceClient::new(channel);
    let answer = workers.update_worker(args.into_request(worker)).await.map_err(server.failure())?.into_inner();
    text::show(answer.worker.ok_or(Error::Nonsense("it has no worker"))?, console)?;
    Ok(Exit::DONE)
}

impl SetArgs {
    /// The change of `worker`, as it is now.
    fn into_request(self, worker: pb::Worker) -> pb::UpdateWorkerRequest {
        pb::UpdateWorkerRequest {
            worker_id: worker.worker_id,
            schedule: self.schedule(worker.schedule),
            constraints: self.constraints(worker.constraints),
            labels: self.labels(worker.labels),
            worker_name: self.name,
            worker_type: self.kind.map(i32::from),
            support_vr: self.vr,
            paused: None,
        }
    }

    fn schedule(&self, schedule: Option<pb::Schedule>) -> Option<pb::Schedule> {
        if self.window.is_empty() && !self.always && self.time_zone.is_none() {
            return None;
        }
        let mut schedule = schedule.unwrap_or_default();
        if self.always || !self.window.is_empty() {
            schedule.windows.clone_from(&self.window);
        }
        if let Some(zone) = &self.time_zone {
            schedule.time_zone.clone_from(zone);
        }
        Some(schedule)
    }

    fn constraints(&self, constraints: Option<pb::Constraints>) -> Option<pb::Constraints> {
        if self.max_height.is_none() && self.codec.is_empty() && self.library.is_empty() {
            return None;
        }
        let mut constraints = constraints.unwrap_or_default();
        constraints.max_height = self.max_height.unwrap_or(constraints.max_height);
        for (given, names) in [(&self.codec, &mut constraints.codecs), (&self.library, &mut constraints.libraries)] {
            match &given[..] {
                [] => {}
                [any] if any == "any" => names.clear(),
                given => given.clone_into(names),
            }
        }
        Some(constraints)
    }

    fn labels(&self, mut labels: HashMap<String, String>) -> Option<pb::Labels> {
        if self.label.is_empty() && self.no_label.is_empty() {
            return None;
        }
        labels.retain(|key, _| !self.no_label.contains(key));
        labels.extend(self.label.iter().cloned());
        Some(pb::Labels { labels })
    }
}

fn parse_label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write it as KEY=VALUE"),
    }
}
