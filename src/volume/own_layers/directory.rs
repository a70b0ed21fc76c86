//! The files of a directory of layers, as far as it takes to know whose they are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::volume::driver::LayerId;

/// The file with the identity.
const IDENTITY: &str = "IDENTITY";
/// Where layers go that no record knows of.
const LOST: &str = "lost";

/// What is in a directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// The identity that is written there.
    pub(super) identity: Option<String>,
    /// The layers, and whether they hold data.
    pub(super) layers: BTreeMap<u64, bool>,
}

impl Directory {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let identity = match fs::read_to_string(path.join(IDENTITY)) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut layers = BTreeMap::new();
        for (layer, file) in files(path)? {
            let has_data = file.extension().is_some_and(|kind| kind == "data") && file.metadata()?.blocks() > 0;
            *layers.entry(layer).or_default() |= has_data;
        }
        Ok(Directory { identity, layers })
    }
}

/// The files of layers, which are spread over directories.
fn files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().len() != 2 || !entry.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            let file = file?.path();
            files.extend(layer_of(&file).map(|layer| (layer, file)));
        }
    }
    Ok(files)
}

fn layer_of(file: &Path) -> Option<u64> {
    let name = file.file_stem()?.to_str().filter(|name| name.len() == 16)?;
    u64::from_str_radix(name, 16).ok()
}

/// Writes the identity where it is not written yet. It survives a power loss.
pub(super) fn write_identity(path: &Path, uuid: Uuid) -> io::Result<()> {
    let file = path.join(IDENTITY);
    if fs::read_to_string(&file).is_ok_and(|text| Uuid::parse_str(text.trim()) == Ok(uuid)) {
        return Ok(());
    }
    let unfinished = path.join("IDENTITY.new");
    let mut new = File::create(&unfinished)?;
    writeln!(new, "{uuid}")?;
    new.sync_all()?;
    fs::rename(unfinished, file)?;
    File::open(path)?.sync_all()
}

/// Puts layers aside that hold data, and removes the others.
pub(super) fn put_aside(path: &Path, layers: BTreeMap<u64, bool>) -> io::Result<()> {
    if layers.is_empty() {
        return Ok(());
    }
    let lost = path.join(LOST);
    fs::create_dir_all(&lost)?;
    for (layer, file) in files(path)? {
        match layers.get(&layer) {
            None => {}
            Some(true) => set_aside(&file, &lost, LayerId(layer))?,
            Some(false) => {
                tracing::info!(layer = %LayerId(layer), "an empty layer that no record knows of is removed");
                fs::remove_file(&file)?;
            }
        }
    }
    File::open(&lost)?.sync_all()?;
    File::open(path)?.sync_all()
}

fn set_aside(file: &Path, lost: &Path, layer: LayerId) -> io::Result<()> {
    let Some(name) = file.file_name() else { return Ok(()) };
    let to = lost.join(name);
    if to.exists() {
        tracing::warn!(%layer, to = %to.display(), "a layer that no record knows of stays: one of its name is there already");
        return Ok(());
    }
    tracing::warn!(%layer, to = %to.display(), "a layer with data that no record knows of is put aside");
    fs::rename(file, to)
}
