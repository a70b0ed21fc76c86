//! `steward volume show`: a volume or a snapshot, with all that belongs to it.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use super::name::{Place, SnapshotPath, VolumePath};
use super::session::{NO_SNAPSHOT, Session, is_refused_for};
use super::{json, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::{size, time};

/// Shows a volume with the space that it takes, its snapshots, and who has it open; or a snapshot with its clones.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which one.
    #[arg(value_name = "PATH[@SNAP]")]
    place: Place,
}

#[derive(Serialize)]
struct VolumeView {
    volume: json::Volume,
    snapshots: Vec<json::Snapshot>,
    exports: Vec<json::Export>,
}

#[derive(Serialize)]
struct SnapshotView {
    snapshot: json::Snapshot,
    clones: Vec<json::Volume>,
}

pub(super) async fn run(args: ShowArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match args.place.to_snapshot() {
        Some(snapshot) => show_snapshot(&snapshot, session, console).await?,
        None => show_volume(&args.place.volume, session, console).await?,
    }
    Ok(Exit::DONE)
}

async fn show_volume(path: &VolumePath, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let volume = session.volume_with_usage(path.to_proto()).await?;
    let mut snapshots = Vec::new();
    let mut exports = Vec::new();
    if volume.kind() != pb::VolumeKind::Directory {
        let request = pb::ListSnapshotsRequest {
            user: session.user(),
            volume: Some(path.to_proto()),
            ..pb::ListSnapshotsRequest::default()
        };
        snapshots = session.snapshot_pages(request).all().await?;
        exports = exports_of(path, session).await?;
    }
    if console.format() == Format::Json {
        return console.object(&VolumeView {
            volume: volume.into(),
            snapshots: snapshots.into_iter().map(json::Snapshot::from).collect(),
            exports: exports.into_iter().map(json::Export::from).collect(),
        });
    }
    let now = time::now();
    let lines = volume_lines(&volume, console, now);
    console.line(lines)?;
    for snapshot in &snapshots {
        console.line(snapshot_line(snapshot, now))?;
    }
    exports.iter().try_for_each(|export| console.line(export_line(export)))
}

/// A server without an NBD port has none.
async fn exports_of(path: &VolumePath, session: &Session<'_>) -> Result<Vec<pb::Export>, Error> {
    let request = pb::ListExportsRequest { user: session.user(), volume: Some(path.to_proto()) };
    match session.take(session.exports().list_exports(request).await) {
        Ok(answer) => Ok(answer.exports),
        Err(error) if is_refused_for(&error, "NOT_SUPPORTED") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn volume_lines(volume: &pb::Volume, console: &Console, now: Timestamp) -> String {
    let owner = printable(&volume.owner).into_owned();
    let labels = text::label_line(&volume.labels);
    let moment = |time| time::from_proto(time).map(|time| time::moment(time, now)).unwrap_or_default();
    if volume.kind() == pb::VolumeKind::Directory {
        let entries = volume.entry_count.to_string();
        let created = moment(volume.create_time);
        let fields = [("owner", owner), ("entries", entries), ("labels", labels), ("created", created)];
        return text::lines(&format!("{}/", printable(volume.path.trim_end_matches('/'))), &fields, console);
    }
    let (used, alone) = (size::text(volume.used_bytes), size::text(volume.unique_bytes));
    let fields = [
        ("id", volume.id.to_string()),
        ("state", text::volume_state(volume).painted(console)),
        ("size", size::text(volume.size_bytes)),
        ("used", format!("{used}, {alone} of it alone")),
        ("owner", owner),
        ("pool", printable(&volume.pool).into_owned()),
        ("options", options(volume)),
        ("clone of", printable(&volume.parent_snapshot).into_owned()),
        ("operation", printable(&volume.current_operation).into_owned()),
        ("labels", labels),
        ("policies", printable(&volume.policies.join(", ")).into_owned()),
        ("created", moment(volume.create_time)),
        ("was", printable(&volume.original_path).into_owned()),
        ("purged", moment(volume.purge_time)),
        ("snapshots", volume.snapshot_count.to_string()),
        ("open", volume.open_sessions.to_string()),
    ];
    text::lines(&printable(&volume.path), &fields, console)
}

/// `protected, read-only`.
fn options(volume: &pb::Volume) -> String {
    let options = [
        (volume.protected, "protected"),
        (volume.read_only, "read-only"),
        (volume.checksums, "checksums"),
        (volume.stripe_count > 0, "striping asked for"),
    ];
    let options: Vec<_> = options.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    options.join(", ")
}

/// `  @before  10.0 GiB  3h ago  done, protected`.
fn snapshot_line(snapshot: &pb::Snapshot, now: Timestamp) -> String {
    let (name, size) = (text::short_name(snapshot), size::text(snapshot.size_bytes));
    let (when, state) = (text::when(snapshot.create_time, now), text::snapshot_state(snapshot).text);
    let protected = if snapshot.protected { ", protected" } else { "" };
    format!("  @{name}  {size}  {when}  {state}{protected}")
}

/// `  open by alice at 10.0.0.7:4711: 1.0 MiB read, 512 B written, exclusive`.
fn export_line(export: &pb::Export) -> String {
    let mut line = format!("  open by {}", printable(&export.user));
    if !export.peer.is_empty() {
        line = format!("{line} at {}", printable(&export.peer));
    }
    let (read, written) = (size::text(export.read_bytes), size::text(export.written_bytes));
    line = format!("{line}: {read} read, {written} written");
    for (is_so, word) in [(export.read_only, ", read-only"), (export.exclusive, ", exclusive")] {
        line.push_str(if is_so { word } else { "" });
    }
    line
}

async fn show_snapshot(path: &SnapshotPath, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let request = pb::GetSnapshotRequest { user: session.user(), snapshot: Some(path.to_proto()), with_usage: true };
    let answer = session.take(session.snapshots().get_snapshot(request).await)?;
    let snapshot = answer.snapshot.ok_or(NO_SNAPSHOT)?;
    let request = pb::ListChildrenRequest { user: session.user(), snapshot: Some(path.to_proto()), volume: None };
    let clones = session.take(session.snapshots().list_children(request).await)?.volumes;
    if console.format() == Format::Json {
        let clones = clones.into_iter().map(json::Volume::from).collect();
        return console.object(&SnapshotView { snapshot: snapshot.into(), clones });
    }
    let lines = snapshot_lines(&snapshot, console, time::now());
    console.line(lines)?;
    clones.iter().try_for_each(|clone| {
        let (path, state) = (printable(&clone.path), text::volume_state(clone).text);
        console.line(format_args!("  {path}  {}  {state}", text::volume_size(clone)))
    })
}

fn snapshot_lines(snapshot: &pb::Snapshot, console: &Console, now: Timestamp) -> String {
    let moment = |time| time::from_proto(time).map(|time| time::moment(time, now)).unwrap_or_default();
    let protected = if snapshot.protected { "yes".to_owned() } else { String::new() };
    let fields = [
        ("uuid", printable(&snapshot.uuid).into_owned()),
        ("state", text::snapshot_state(snapshot).painted(console)),
        ("size", size::text(snapshot.size_bytes)),
        ("alone", size::text(snapshot.unique_bytes)),
        ("owner", printable(&snapshot.owner).into_owned()),
        ("protected", protected),
        ("locked until", moment(snapshot.locked_until)),
        ("labels", text::label_line(&snapshot.labels)),
        ("group", printable(&snapshot.group).into_owned()),
        ("policy", printable(&snapshot.policy).into_owned()),
        ("created", moment(snapshot.create_time)),
        ("expires", moment(snapshot.expire_time)),
        ("clones", snapshot.child_count.to_string()),
    ];
    text::lines(&text::snapshot_name(snapshot), &fields, console)
}
