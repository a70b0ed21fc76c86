//! The tree with its lines.

use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use super::plant::{Node, Thing};
use crate::cli::console::{Console, Tone, printable};
use crate::cli::size;
use crate::cli::volume::text;

/// Draws nodes in their order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// For each depth above: whether something comes below the one that was drawn last there.
    is_open: Vec<bool>,
}

impl Lines {
    /// `│  └─ /vm/clone  10.0 GiB  unflattened`.
    pub(super) fn line(&mut self, node: &Node, console: &Console, now: Timestamp) -> String {
        self.is_open.truncate(node.depth);
        // What stands on nothing has no lines in front.
        let above = self.is_open.iter().skip(1);
        let mut branches: String = above.map(|is_open| if *is_open { "│  " } else { "   " }).collect();
        if node.depth > 0 {
            branches.push_str(if node.is_last { "└─ " } else { "├─ " });
        }
        self.is_open.push(!node.is_last);
        let thing = match &node.thing {
            Thing::Volume(volume) => volume_words(volume, console),
            Thing::Snapshot(snapshot) => snapshot_words(snapshot, console, now),
        };
        format!("{}{thing}", console.paint(Tone::Quiet, branches))
    }
}

fn volume_words(volume: &pb::Volume, console: &Console) -> String {
    let path = console.paint(Tone::Heading, printable(&volume.path));
    let state = text::volume_state(volume).painted(console);
    let mut words = format!("{path}  {}  {state}", text::volume_size(volume));
    for (is_so, word) in
        [(volume.read_only, ", read-only"), (volume.protected, ", protected"), (volume.open_sessions > 0, ", open")]
    {
        words.push_str(if is_so { word } else { "" });
    }
    words
}

fn snapshot_words(snapshot: &pb::Snapshot, console: &Console, now: Timestamp) -> String {
    let mut words = format!("@{}  {}", text::short_name(snapshot), size::text(snapshot.size_bytes));
    let when = text::when(snapshot.create_time, now);
    if !when.is_empty() {
        words = format!("{words}  {when}");
    }
    if snapshot.state() != pb::SnapshotState::Done {
        words = format!("{words}  {}", text::snapshot_state(snapshot).painted(console));
    }
    if snapshot.protected { format!("{words}, protected") } else { words }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::plant::plant;
    use super::*;
    use crate::cli::console::Format;

    fn volume(id: u64, path: &str, parent_snapshot: &str) -> pb::Volume {
        let state = if parent_snapshot.is_empty() { pb::VolumeState::Ready } else { pb::VolumeState::Unflattened };
        pb::Volume {
            id,
            path: path.to_owned(),
            parent_snapshot: parent_snapshot.to_owned(),
            size_bytes: 1 << 30,
            state: state.into(),
            ..pb::Volume::default()
        }
    }

    fn snapshot(volume_id: u64, seq: u64, uuid: &str) -> pb::Snapshot {
        pb::Snapshot {
            volume_id,
            seq,
            uuid: uuid.to_owned(),
            name: uuid.to_owned(),
            size_bytes: 1 << 30,
            state: pb::SnapshotState::Done.into(),
            ..pb::Snapshot::default()
        }
    }

    fn drawn(volumes: Vec<pb::Volume>, snapshots: Vec<pb::Snapshot>, directory: &str) -> String {
        let console = Console::plain(Box::new(io::sink()), Format::Text);
        let mut lines = Lines::default();
        let nodes = plant(volumes, snapshots, directory);
        nodes.iter().map(|node| lines.line(node, &console, Timestamp::UNIX_EPOCH) + "\n").collect()
    }

    fn family() -> (Vec<pb::Volume>, Vec<pb::Snapshot>) {
        let volumes = vec![
            volume(5, "/x/other", ""),
            volume(2, "/vm/a", ""),
            volume(4, "/x/deep", "s3"),
            volume(3, "/vm/b", "s1"),
            volume(6, "/vm/orphan", "of somebody else"),
        ];
        (volumes, vec![snapshot(2, 2, "s2"), snapshot(2, 1, "s1"), snapshot(3, 1, "s3")])
    }

    #[test]
    fn clones_stand_under_the_snapshots_that_they_come_from() {
        let (volumes, snapshots) = family();
        let expected = "\
/vm/a  1.0 GiB  ready
├─ @s1  1.0 GiB
│  └─ /vm/b  1.0 GiB  unflattened
│     └─ @s3  1.0 GiB
│        └─ /x/deep  1.0 GiB  unflattened
└─ @s2  1.0 GiB
/vm/orphan  1.0 GiB  unflattened
/x/other  1.0 GiB  ready
";
        assert_eq!(drawn(volumes, snapshots, ""), expected);
    }

    #[test]
    fn a_directory_has_its_volumes_and_their_clones_elsewhere() {
        let (volumes, snapshots) = family();
        assert_eq!(drawn(volumes, snapshots, "/x"), "/x/deep  1.0 GiB  unflattened\n/x/other  1.0 GiB  ready\n");
        let (volumes, snapshots) = family();
        let below = drawn(volumes, snapshots, "/vm/");
        assert!(below.contains("└─ /x/deep") && !below.contains("/x/other"), "{below}");
    }

    #[test]
    fn volumes_that_stand_on_each_other_do_not_hold_it_up() {
        let volumes = vec![volume(2, "/a", "s3"), volume(3, "/b", "s2")];
        assert_eq!(drawn(volumes, vec![snapshot(2, 1, "s2"), snapshot(3, 1, "s3")], ""), "");
    }
}
