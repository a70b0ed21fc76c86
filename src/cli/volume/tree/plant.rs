//! Which volume stands on which snapshot.

use std::collections::{BTreeMap, HashMap};

use steward_proto::volume::v1 as pb;

/// A volume or snapshot in the tree.
#[derive(Debug)]
pub(super) struct Node {
    /// 0 for what stands on nothing.
    pub(super) depth: usize,
    /// Nothing comes after it below the same parent.
    pub(super) is_last: bool,
    pub(super) thing: Thing,
}

#[derive(Debug)]
pub(super) enum Thing {
    Volume(Box<pb::Volume>),
    Snapshot(Box<pb::Snapshot>),
}

/// The tree line by line: what stands in `directory`, and all that stands on it.
///
/// A clone whose snapshot is not to be seen stands on nothing.
pub(super) fn plant(volumes: Vec<pb::Volume>, snapshots: Vec<pb::Snapshot>, directory: &str) -> Vec<Node> {
    let homes: HashMap<String, u64> =
        snapshots.iter().map(|snapshot| (snapshot.uuid.clone(), snapshot.volume_id)).collect();
    let insiders: HashMap<u64, bool> =
        volumes.iter().map(|volume| (volume.id, is_within(&volume.path, directory))).collect();
    let is_inside = |id: &u64| insiders.get(id).copied().unwrap_or_default();

    let mut roots = Vec::new();
    let mut clones: HashMap<String, Vec<pb::Volume>> = HashMap::new();
    for volume in volumes {
        let home = homes.get(&volume.parent_snapshot).filter(|home| insiders.contains_key(home));
        match home {
            Some(_) if !is_inside(&volume.id) => clones.entry(volume.parent_snapshot.clone()).or_default().push(volume),
            Some(home) if is_inside(home) => clones.entry(volume.parent_snapshot.clone()).or_default().push(volume),
            Some(_) | None if is_inside(&volume.id) => roots.push(volume),
            Some(_) | None => {}
        }
    }
    let mut of_volume: HashMap<u64, BTreeMap<u64, pb::Snapshot>> = HashMap::new();
    for snapshot in snapshots {
        of_volume.entry(snapshot.volume_id).or_default().insert(snapshot.seq, snapshot);
    }
    grow(roots, clones, of_volume)
}

/// A stack instead of calls within calls: a chain of clones may be long.
fn grow(
    mut roots: Vec<pb::Volume>,
    mut clones: HashMap<String, Vec<pb::Volume>>,
    mut of_volume: HashMap<u64, BTreeMap<u64, pb::Snapshot>>,
) -> Vec<Node> {
    by_path(&mut roots);
    let mut todo = level(0, roots.into_iter().map(|root| Thing::Volume(Box::new(root))).collect());
    let mut nodes = Vec::new();
    while let Some(node) = todo.pop() {
        let below: Vec<_> = match &node.thing {
            Thing::Volume(volume) => {
                let snapshots = of_volume.remove(&volume.id).unwrap_or_default();
                snapshots.into_values().map(|snapshot| Thing::Snapshot(Box::new(snapshot))).collect()
            }
            Thing::Snapshot(snapshot) => {
                let mut clones = clones.remove(&snapshot.uuid).unwrap_or_default();
                by_path(&mut clones);
                clones.into_iter().map(|clone| Thing::Volume(Box::new(clone))).collect()
            }
        };
        todo.extend(level(node.depth + 1, below));
        nodes.push(node);
    }
    nodes
}

/// The nodes below one parent, the last in front: they are taken from the end.
fn level(depth: usize, things: Vec<Thing>) -> Vec<Node> {
    let mut is_last = true;
    let node = |thing| Node { depth, is_last: std::mem::take(&mut is_last), thing };
    things.into_iter().rev().map(node).collect()
}

fn by_path(volumes: &mut [pb::Volume]) {
    volumes.sort_by(|one, other| one.path.cmp(&other.path));
}

fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
