//! Volumes, snapshots and operations in words, for people.

use std::collections::HashMap;

use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use super::{json, labels};
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::{size, time};

/// A word and the colour that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    tone: WordTone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WordTone {
    Good,
    Waiting,
    Bad,
}

impl Word {
    fn new(text: impl Into<String>, tone: WordTone) -> Self {
        Word { text: text.into(), tone }
    }

    pub(super) fn painted(self, console: &Console) -> String {
        let tone = match self.tone {
            WordTone::Good => Tone::Good,
            WordTone::Waiting => Tone::Waiting,
            WordTone::Bad => Tone::Bad,
        };
        console.paint(tone, self.text).to_string()
    }
}

/// `ready`, `flattening 42%`.
pub(super) fn volume_state(volume: &pb::Volume) -> Word {
    let percent = volume.progress_percent;
    match volume.state() {
        pb::VolumeState::Unspecified => Word::new("?", WordTone::Bad),
        pb::VolumeState::Ready => Word::new("ready", WordTone::Good),
        pb::VolumeState::Unflattened => Word::new("unflattened", WordTone::Good),
        pb::VolumeState::Flattening => Word::new(format!("flattening {percent}%"), WordTone::Waiting),
        pb::VolumeState::Trashed => Word::new("trashed", WordTone::Bad),
    }
}

/// `done`, `deleting 42%`.
pub(super) fn snapshot_state(snapshot: &pb::Snapshot) -> Word {
    let percent = snapshot.progress_percent;
    match snapshot.state() {
        pb::SnapshotState::Unspecified => Word::new("?", WordTone::Bad),
        pb::SnapshotState::Pending => Word::new("pending", WordTone::Waiting),
        pb::SnapshotState::Done => Word::new("done", WordTone::Good),
        pb::SnapshotState::Deleting => Word::new(format!("deleting {percent}%"), WordTone::Waiting),
        pb::SnapshotState::ErrorDeleting => Word::new("not deleted", WordTone::Bad),
        pb::SnapshotState::Canceling => Word::new("canceling", WordTone::Waiting),
        pb::SnapshotState::Error => Word::new("failed", WordTone::Bad),
    }
}

/// `running 42%`, `succeeded`.
pub(super) fn operation_state(operation: &pb::Operation) -> Word {
    let with_percent = |word| Word::new(format!("{word} {}%", operation.progress_percent), WordTone::Waiting);
    match operation.state() {
        pb::OperationState::Unspecified => Word::new("?", WordTone::Bad),
        pb::OperationState::Queued => Word::new("queued", WordTone::Waiting),
        pb::OperationState::Running => with_percent("running"),
        pb::OperationState::MetaInstalled => Word::new("usable", WordTone::Good),
        pb::OperationState::Paused => with_percent("paused"),
        pb::OperationState::Canceling => Word::new("canceling", WordTone::Waiting),
        pb::OperationState::Retrying => with_percent("retrying"),
        pb::OperationState::Succeeded => Word::new("succeeded", WordTone::Good),
        pb::OperationState::Failed => Word::new("failed", WordTone::Bad),
        pb::OperationState::Cancelled => Word::new("cancelled", WordTone::Bad),
    }
}

/// What an operation does.
pub(super) fn operation_type(operation: &pb::Operation) -> &'static str {
    match operation.r#type() {
        pb::OperationType::Unspecified => "?",
        pb::OperationType::Clone => "clone",
        pb::OperationType::Rollback => "rollback",
        pb::OperationType::Flatten => "flatten",
        pb::OperationType::DeleteSnapshot => "delete snapshot",
    }
}

/// The size of a volume; nothing of a directory.
pub(super) fn volume_size(volume: &pb::Volume) -> String {
    match volume.kind() {
        pb::VolumeKind::Directory => String::new(),
        pb::VolumeKind::Unspecified | pb::VolumeKind::Volume => size::text(volume.size_bytes),
    }
}

/// `/vm/disk1@before`; of a snapshot that nobody named, its UUID.
pub(super) fn snapshot_name(snapshot: &pb::Snapshot) -> String {
    format!("{}@{}", printable(&snapshot.volume_path), short_name(snapshot))
}

/// The same without its volume.
pub(super) fn short_name(snapshot: &pb::Snapshot) -> String {
    if snapshot.hidden || snapshot.name.is_empty() {
        return format!("({})", printable(&snapshot.uuid));
    }
    printable(&snapshot.name).into_owned()
}

/// `3h ago`; nothing without a time.
pub(super) fn when(moment: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    time::from_proto(moment).map(|moment| time::relative(moment, now)).unwrap_or_default()
}

/// `a=b c=d`.
pub(super) fn label_line(labels: &HashMap<String, String>) -> String {
    let labels: Vec<_> = labels::sorted(labels.clone()).iter().map(|(key, value)| format!("{key}={value}")).collect();
    printable(&labels.join(" ")).into_owned()
}

/// Tells of a volume in one line, or as JSON.
pub(super) fn say_volume(
    volume: pb::Volume,
    line: impl FnOnce(&str) -> String,
    console: &mut Console,
) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Volume::from(volume)),
        Format::Text => console.line(line(&printable(&volume.path))),
    }
}

/// Tells of a snapshot in one line, or as JSON.
pub(super) fn say_snapshot(
    snapshot: pb::Snapshot,
    line: impl FnOnce(&str) -> String,
    console: &mut Console,
) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Snapshot::from(snapshot)),
        Format::Text => console.line(line(&snapshot_name(&snapshot))),
    }
}

/// An operation over several lines, or as JSON.
pub(super) fn show_operation(operation: pb::Operation, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Operation::from(operation)),
        Format::Text => console.line(operation_lines(&operation, console, time::now())),
    }
}

fn operation_lines(operation: &pb::Operation, console: &Console, now: Timestamp) -> String {
    let bytes = format!("{} of {}", size::text(operation.bytes_done), size::text(operation.bytes_total));
    let speed = match operation.bytes_per_second {
        0 => "as the server is set".to_owned(),
        bytes => format!("{}/s", size::text(bytes)),
    };
    let moment = |time| time::from_proto(time).map(|time| time::moment(time, now)).unwrap_or_default();
    let fields = [
        ("does", operation_type(operation).to_owned()),
        ("state", operation_state(operation).painted(console)),
        ("owner", printable(&operation.owner).into_owned()),
        ("source", printable(&operation.source).into_owned()),
        ("target", printable(&operation.target).into_owned()),
        ("bytes", bytes),
        ("speed", speed),
        ("error", printable(&operation.error_message).into_owned()),
        ("began", moment(operation.create_time)),
        ("ended", moment(operation.end_time)),
    ];
    lines(&printable(&operation.uuid), &fields, console)
}

/// A heading, and those of the fields that say something.
pub(super) fn lines(heading: &str, fields: &[(&str, String)], console: &Console) -> String {
    let mut lines = vec![console.paint(Tone::Heading, heading).to_string()];
    lines.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| field(name, value)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_goes_on_has_its_percents() {
        let volume =
            |state: pb::VolumeState| pb::Volume { state: state.into(), progress_percent: 42, ..Default::default() };
        assert_eq!(volume_state(&volume(pb::VolumeState::Flattening)).text, "flattening 42%");
        assert_eq!(volume_state(&volume(pb::VolumeState::Unflattened)).text, "unflattened");
        let operation =
            pb::Operation { state: pb::OperationState::Paused.into(), progress_percent: 7, ..Default::default() };
        assert_eq!(operation_state(&operation).text, "paused 7%");
    }

    #[test]
    fn a_snapshot_without_a_name_is_told_by_its_number() {
        let mut snapshot =
            pb::Snapshot { uuid: "u-1".to_owned(), volume_path: "/a\x1b".to_owned(), ..Default::default() };
        assert_eq!(snapshot_name(&snapshot), "/a\\u{1b}@(u-1)");
        snapshot.name = "before".to_owned();
        assert_eq!(snapshot_name(&snapshot), "/a\\u{1b}@before");
    }

    #[test]
    fn an_operation_is_told_over_several_lines() {
        let operation = pb::Operation {
            uuid: "u-1".to_owned(),
            r#type: pb::OperationType::Flatten.into(),
            state: pb::OperationState::Running.into(),
            target: "/vm/b".to_owned(),
            bytes_done: 1 << 20,
            bytes_total: 1 << 30,
            create_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..pb::Operation::default()
        };
        let console = Console::plain(Box::new(io::sink()), Format::Text);
        let expected = "\
u-1
  does           flatten
  state          running 0%
  target         /vm/b
  bytes          1.0 MiB of 1.0 GiB
  speed          as the server is set
  began          2023-11-14T22:13:20Z (1m ago)";
        assert_eq!(operation_lines(&operation, &console, Timestamp::new(1_700_000_060, 0).unwrap()), expected);
    }
}
