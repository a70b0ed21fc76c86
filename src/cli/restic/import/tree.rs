//! What a directory of restic or of rest-server has.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};

use steward_proto::restic::v1 as pb;

use super::digest::Digest;
use super::report::{Note, Outcome};

/// The types in a safe order: a reader that finds an object finds all that it points to. The config makes a repository
/// of it, so it comes at the very end. Locks are somebody's who is at work on the old tree.
const ORDER: [(pb::ObjectType, &str); 4] = [
    (pb::ObjectType::Key, "keys"),
    (pb::ObjectType::Data, "data"),
    (pb::ObjectType::Index, "index"),
    (pb::ObjectType::Snapshot, "snapshots"),
];
const CONFIG: &str = "config";
const DATA: &str = "data";
const LOCKS: &str = "locks";

/// All repositories of a tree, and what else was found there.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) repositories: Vec<Repository>,
    pub(super) notes: Vec<Note>,
}

/// A repository in a directory of this machine.
#[derive(Debug)]
pub(super) struct Repository {
    /// Its path on the server.
    pub(super) path: String,
    pub(super) directory: PathBuf,
    /// In the order in which they are to be imported, without the config.
    pub(super) kinds: Vec<(pb::ObjectType, Vec<Found>)>,
    pub(super) config_size: u64,
}

/// A file that is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: Digest,
    pub(super) size: u64,
}

impl Repository {
    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        self.kinds.iter().flat_map(|(_, objects)| objects).map(|object| object.size).sum::<u64>() + self.config_size
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// The file of an object.
    pub(super) fn file(&self, kind: pb::ObjectType, name: Digest) -> PathBuf {
        let folder = ORDER.iter().find(|(ordered, _)| *ordered == kind).map_or(DATA, |(_, folder)| folder);
        let name = name.to_string();
        match kind {
            pb::ObjectType::Data => self.directory.join(folder).join(&name[..2]).join(name),
            _ => self.directory.join(folder).join(name),
        }
    }
}

/// Walks `directory`. The repositories get their paths relative to it, below `base`.
pub(super) fn walk(directory: &Path, base: &str) -> io::Result<Tree> {
    let mut tree = Tree::default();
    // A directory that is not there is an error; one below that cannot be read is a note.
    fs::read_dir(directory)?;
    tree.descend(directory, base);
    tree.repositories.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tree)
}

impl Tree {
    fn descend(&mut self, directory: &Path, path: &str) {
        let is_repository = directory.join(CONFIG).is_file() && directory.join(DATA).is_dir();
        if is_repository {
            self.adopt(directory, path);
        }
        for (entry, kind) in self.entries(directory, path) {
            let name = entry.file_name();
            if is_repository && is_folder_of_repository(&name) {
                continue;
            }
            let Some(name) = name.to_str() else {
                self.note(Outcome::Skipped, &shown(&entry), path, "its name is not UTF-8");
                continue;
            };
            if kind.is_symlink() {
                // Followed, it could lead around in a circle.
                self.note(Outcome::Skipped, name, path, "a symbolic link; import its target by itself, with --as");
            } else if kind.is_dir() {
                self.descend(&entry.path(), &joined(path, name));
            }
        }
    }

    fn adopt(&mut self, directory: &Path, path: &str) {
        let kinds = ORDER.map(|(kind, folder)| (kind, self.objects(&directory.join(folder), path, folder, kind)));
        let config_size = fs::metadata(directory.join(CONFIG)).map_or(0, |metadata| metadata.len());
        self.repositories.push(Repository {
            path: path.to_owned(),
            directory: directory.to_owned(),
            kinds: kinds.into(),
            config_size,
        });
    }

    /// The objects in the folder of a type. Packs are one level deeper, by the first two digits of their names.
    fn objects(&mut self, directory: &Path, path: &str, folder: &str, kind: pb::ObjectType) -> Vec<Found> {
        let mut objects = Vec::new();
        if !directory.exists() {
            return objects;
        }
        for (entry, _) in self.entries(directory, path) {
            let name = entry.file_name();
            // Packs may have been moved to another disk, so links are followed here.
            let is_fan_out = kind == pb::ObjectType::Data && name.len() == 2 && entry.path().is_dir();
            if let Some(digits) = name.to_str().filter(|_| is_fan_out) {
                let folder = format!("{folder}/{digits}");
                for (entry, _) in self.entries(&entry.path(), path) {
                    objects.extend(self.object(&entry, path, &folder, digits));
                }
            } else if kind == pb::ObjectType::Data {
                self.note(Outcome::Skipped, &format!("{folder}/{}", shown(&entry)), path, "not a folder of objects");
            } else {
                objects.extend(self.object(&entry, path, folder, ""));
            }
        }
        objects.sort_by_key(|object| object.name);
        objects
    }

    fn object(&mut self, entry: &DirEntry, path: &str, folder: &str, first_digits: &str) -> Option<Found> {
        let file = format!("{folder}/{}", shown(entry));
        let name = entry.file_name();
        let name = name.to_str().filter(|name| name.starts_with(first_digits)).and_then(Digest::parse);
        let (outcome, reason) = match (name, fs::metadata(entry.path())) {
            (Some(name), Ok(metadata)) if metadata.is_file() => return Some(Found { name, size: metadata.len() }),
            (Some(_), Err(error)) => (Outcome::Unreadable, error.to_string()),
            (Some(_) | None, _) => (Outcome::Skipped, "not an object".to_owned()),
        };
        self.note(outcome, &file, path, &reason);
        None
    }

    /// What is in a directory, without what the servers of such trees keep for themselves.
    fn entries(&mut self, directory: &Path, path: &str) -> Vec<(DirEntry, FileType)> {
        let entries = fs::read_dir(directory).and_then(|entries| {
            let with_type = |entry: io::Result<DirEntry>| entry.and_then(|entry| Ok((entry.file_type()?, entry)));
            entries.map(with_type).collect::<io::Result<Vec<_>>>()
        });
        match entries {
            Ok(entries) => {
                let visible = entries.into_iter().filter(|(kind, entry)| !is_private(&entry.file_name(), *kind));
                visible.map(|(kind, entry)| (entry, kind)).collect()
            }
            Err(error) => {
                self.note(Outcome::Unreadable, &directory.to_string_lossy(), path, &error.to_string());
                Vec::new()
            }
        }
    }

    fn note(&mut self, outcome: Outcome, file: &str, repository: &str, reason: &str) {
        self.notes.push(Note {
            outcome,
            repository: repository.to_owned(),
            file: file.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// Directories that begin with a dot may be users' or repositories' like any other; files are nobody's objects.
fn is_private(name: &OsStr, kind: FileType) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(".steward") || name.contains(".rest-server-temp") || name.starts_with('.') && kind.is_file()
}

fn is_folder_of_repository(name: &OsStr) -> bool {
    name == LOCKS || ORDER.iter().any(|(_, folder)| name == *folder)
}

fn shown(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
