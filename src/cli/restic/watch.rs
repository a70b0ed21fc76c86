//! `steward restic watch`: the objects of a repository as they are, then every change, across restarts of the server.

use crate::cli::connect::Channel;
use clap::Args;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use steward_proto::restic::v1::watch_response::Kind as Change;
use tonic::{Status, Streaming};

use super::kind::{self, Kind};
use super::repository::Repository;
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::follow::{self, Watch};
use crate::cli::{size, time};

/// Shows the objects of a repository as they are, then every change, until it is interrupted.
#[derive(Args, Debug)]
#[command(after_help = follow::HELP)]
pub(super) struct WatchArgs {
    /// Which repository.
    #[arg(value_name = "REPO")]
    repository: Repository,

    /// Only objects of this type.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Option<Kind>,

    /// Only the changes after this revision, as `--json` told it.
    #[arg(long, value_name = "REV", default_value_t = 0, hide_default_value = true)]
    from: i64,
}

pub(super) async fn run(args: WatchArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is an error at the start, and something to wait for later.
    let objects = server.connect_objects().await?;
    let request = pb::WatchRequest {
        repository: args.repository.0,
        r#type: kind::filter(args.kind),
        ..pb::WatchRequest::default()
    };
    follow::follow(ObjectWatch { objects, request, is_synced: false }, args.from, server, console).await
}

struct ObjectWatch {
    objects: ObjectServiceClient<Channel>,
    request: pb::WatchRequest,
    /// All objects as they were have been told.
    is_synced: bool,
}

impl Watch for ObjectWatch {
    type Message = pb::WatchResponse;
    const SUBJECT: &'static str = "objects";

    fn reconnect(&mut self, server: &Server) {
        self.objects = server.objects();
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchResponse>, Status> {
        self.is_synced = from_revision != 0;
        self.request.from_revision = from_revision;
        Ok(self.objects.watch(self.request.clone()).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        self.is_synced |= step.kind() == Change::Synced;
        // In the middle of the objects as they are there is no point to resume from: they have to be sent again.
        let point = self.is_synced.then_some(step.revision);
        match console.format() {
            Format::Json => console.object(&json::Watched::from(step))?,
            Format::Text => {
                if let Some(line) = line(&step, self.is_synced, console) {
                    console.line(line)?;
                }
            }
        }
        console.flush()?;
        Ok(point)
    }
}

/// `2026-11-21T03:13:00Z  stored   data/ab…  1.2 MiB`; nothing for a mere mark.
fn line(step: &pb::WatchResponse, is_change: bool, console: &Console) -> Option<String> {
    let (word, tone) = match step.kind() {
        Change::Unspecified | Change::Synced => return None,
        Change::Stored if is_change => ("stored", Tone::Good),
        Change::Stored => ("now", Tone::Quiet),
        Change::Deleted => ("deleted", Tone::Bad),
    };
    let object = step.object.as_ref()?;
    let when = time::from_proto(object.arrive_time).filter(|_| step.kind() == Change::Stored);
    let when = time::text(when.unwrap_or_else(time::now));
    let word = console.paint(tone, format!("{word:<7}"));
    let name = object.key.as_ref().map_or_else(|| "?".to_owned(), text::object);
    let line = format!("{when}  {word}  {name}");
    Some(if step.kind() == Change::Deleted { line } else { format!("{line}  {}", size::of_proto(object.size)) })
}
