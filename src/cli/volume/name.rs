//! How volumes and snapshots are named on the command line: `/vm/disk1`, `/vm/disk1@before`.

use std::fmt;
use std::str::FromStr;

use steward_proto::volume::v1 as pb;

use crate::cli::console::printable;

/// The path of a volume or directory.
// What else is wrong with a path is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VolumePath(pub(super) String);

/// A snapshot, by the path of its volume and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotPath {
    pub(super) volume: VolumePath,
    pub(super) name: String,
}

/// A volume, or one of its snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) volume: VolumePath,
    pub(super) snapshot: Option<String>,
}

/// A volume in the trash: by its path there, the path that it had, or its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathOrId {
    Path(VolumePath),
    Id(u64),
}

impl VolumePath {
    pub(super) fn to_proto(&self) -> pb::VolumeName {
        pb::VolumeName { path: self.0.clone(), id: 0 }
    }
}

impl SnapshotPath {
    pub(super) fn to_proto(&self) -> pb::SnapshotName {
        pb::SnapshotName { uuid: String::new(), volume_path: self.volume.0.clone(), name: self.name.clone() }
    }
}

impl Place {
    /// The snapshot, if one is named.
    pub(super) fn to_snapshot(&self) -> Option<SnapshotPath> {
        let name = self.snapshot.clone()?;
        Some(SnapshotPath { volume: self.volume.clone(), name })
    }
}

impl PathOrId {
    pub(super) fn to_proto(&self) -> pb::VolumeName {
        match self {
            PathOrId::Path(path) => path.to_proto(),
            PathOrId::Id(id) => pb::VolumeName { path: String::new(), id: *id },
        }
    }
}

impl FromStr for VolumePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("a path starts with a slash, as in /vm/disk1".to_owned());
        }
        Ok(VolumePath(text.to_owned()))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('@') {
            // The name of a snapshot has no slash: this `@` belongs to the path.
            Some((_, name)) if name.contains('/') => {}
            Some((_, "")) => return Err("a snapshot has a name, as in /vm/disk1@before".to_owned()),
            Some((volume, name)) => return Ok(Place { volume: volume.parse()?, snapshot: Some(name.to_owned()) }),
            None => {}
        }
        Ok(Place { volume: text.parse()?, snapshot: None })
    }
}

impl FromStr for SnapshotPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place: Place = text.parse()?;
        place.to_snapshot().ok_or_else(|| "write a snapshot as /vm/disk1@before".to_owned())
    }
}

impl FromStr for PathOrId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(PathOrId::Path(text.parse()?));
        }
        let id = text.parse().ok().filter(|id| *id > 0);
        id.map(PathOrId::Id).ok_or_else(|| "neither a path, as in /vm/disk1, nor the number of a volume".to_owned())
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Display for SnapshotPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.volume, printable(&self.name))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.snapshot {
            Some(name) => write!(f, "{}@{}", self.volume, printable(name)),
            None => self.volume.fmt(f),
        }
    }
}

impl fmt::Display for PathOrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathOrId::Path(path) => path.fmt(f),
            PathOrId::Id(id) => write!(f, "volume {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(volume: &str, snapshot: Option<&str>) -> Place {
        Place { volume: VolumePath(volume.to_owned()), snapshot: snapshot.map(str::to_owned) }
    }

    #[test]
    fn the_last_at_divides_the_path_from_the_snapshot() {
        for (text, expected) in [
            ("/vm/disk1", place("/vm/disk1", None)),
            ("/vm/disk1@before", place("/vm/disk1", Some("before"))),
            ("/a@b@c", place("/a@b", Some("c"))),
            ("/a@b/c", place("/a@b/c", None)),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for wrong in ["", "vm/disk1", "vm@before", "@before", "/vm@"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
        assert_eq!("/vm".parse::<SnapshotPath>().unwrap_err(), "write a snapshot as /vm/disk1@before");
    }

    #[test]
    fn a_volume_of_the_trash_has_a_path_or_a_number() {
        assert_eq!("17".parse(), Ok(PathOrId::Id(17)));
        assert_eq!("/17".parse(), Ok(PathOrId::Path(VolumePath("/17".to_owned()))));
        for wrong in ["0", "-1", "disk1", ""] {
            assert!(wrong.parse::<PathOrId>().is_err(), "{wrong:?}");
        }
    }
}
