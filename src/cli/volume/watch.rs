//! `steward volume watch`: everything as it is, then every change, across restarts of the server.

use clap::Args;
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::snapshot_service_client::SnapshotServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use tonic::{Status, Streaming};

use super::session::Session;
use super::{json, text};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::follow::{self, Watch};
use crate::cli::time;

/// Shows the volumes as they are, then every change, until it is interrupted.
#[derive(Args, Debug)]
#[command(after_help = follow::HELP)]
pub(super) struct WatchArgs {
    /// Snapshots instead of volumes.
    #[arg(long)]
    snapshots: bool,

    /// Only the changes after this revision, as `--json` told it.
    #[arg(long, value_name = "REV", default_value_t = 0, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    from: i64,
}

pub(super) async fn run(args: WatchArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let (user, server) = (session.user(), session.server());
    if args.snapshots {
        let watch = SnapshotWatch { client: session.snapshots(), user };
        follow::follow(watch, args.from, server, console).await
    } else {
        let watch = VolumeWatch { client: session.volumes(), user };
        follow::follow(watch, args.from, server, console).await
    }
}

struct VolumeWatch {
    client: VolumeServiceClient<Channel>,
    user: String,
}

struct SnapshotWatch {
    client: SnapshotServiceClient<Channel>,
    user: String,
}

impl Watch for VolumeWatch {
    type Message = pb::WatchVolumesResponse;
    const SUBJECT: &'static str = "volumes";

    fn reconnect(&mut self, server: &Server) {
        self.client = VolumeServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchVolumesRequest { user: self.user.clone(), revision: from_revision.cast_unsigned() };
        Ok(self.client.watch_volumes(request).await?.into_inner())
    }

    fn show(&mut self, message: Self::Message, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(event) = message.event else { return Ok(None) };
        // In the middle of the volumes as they are there is no point to resume from.
        let is_current = event.r#type() == pb::VolumeEventType::Current;
        let point = (!is_current).then_some(event.revision.cast_signed());
        match console.format() {
            Format::Json => console.object(&json::VolumeEvent::from(event))?,
            Format::Text => volume_line(&event, console).map_or(Ok(()), |line| console.line(line))?,
        }
        console.flush()?;
        Ok(point)
    }
}

impl Watch for SnapshotWatch {
    type Message = pb::WatchSnapshotsResponse;
    const SUBJECT: &'static str = "snapshots";

    fn reconnect(&mut self, server: &Server) {
        self.client = SnapshotServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchSnapshotsRequest { user: self.user.clone(), revision: from_revision.cast_unsigned() };
        Ok(self.client.watch_snapshots(request).await?.into_inner())
    }

    fn show(&mut self, message: Self::Message, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(event) = message.event else { return Ok(None) };
        let is_current = event.r#type() == pb::SnapshotEventType::Current;
        let point = (!is_current).then_some(event.revision.cast_signed());
        match console.format() {
            Format::Json => console.object(&json::SnapshotEvent::from(event))?,
            Format::Text => snapshot_line(&event, console).map_or(Ok(()), |line| console.line(line))?,
        }
        console.flush()?;
        Ok(point)
    }
}

/// `2026-11-21T03:13:00Z  changed  /vm/disk1  10.0 GiB  ready`; nothing for a mere mark.
fn volume_line(event: &pb::VolumeEvent, console: &Console) -> Option<String> {
    let (word, tone) = match event.r#type() {
        pb::VolumeEventType::Unspecified | pb::VolumeEventType::Progress => return None,
        pb::VolumeEventType::Current => ("now", Tone::Quiet),
        pb::VolumeEventType::Changed => ("changed", Tone::Good),
        pb::VolumeEventType::Purged => ("gone", Tone::Bad),
    };
    let volume = event.volume.as_ref()?;
    let line = format!("{}  {}", start(word, tone, console), printable(&volume.path));
    Some(match volume.kind() {
        pb::VolumeKind::Directory => format!("{line}/"),
        pb::VolumeKind::Unspecified | pb::VolumeKind::Volume => {
            format!("{line}  {}  {}", text::volume_size(volume), text::volume_state(volume).text)
        }
    })
}

fn snapshot_line(event: &pb::SnapshotEvent, console: &Console) -> Option<String> {
    let (word, tone) = match event.r#type() {
        pb::SnapshotEventType::Unspecified | pb::SnapshotEventType::Progress => return None,
        pb::SnapshotEventType::Current => ("now", Tone::Quiet),
        pb::SnapshotEventType::Changed => ("changed", Tone::Good),
        pb::SnapshotEventType::Deleted => ("gone", Tone::Bad),
    };
    let snapshot = event.snapshot.as_ref()?;
    let (start, name) = (start(word, tone, console), text::snapshot_name(snapshot));
    Some(format!("{start}  {name}  {}", text::snapshot_state(snapshot).text))
}

fn start(word: &str, tone: Tone, console: &Console) -> String {
    format!("{}  {}", time::text(time::now()), console.paint(tone, format!("{word:<7}")))
}
