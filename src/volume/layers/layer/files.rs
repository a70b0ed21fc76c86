//! Making layers, and finding them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::Layer;
use crate::volume::driver::{LayerId, LayerSpec};
use crate::volume::layers::disk::{BlockFile, Disk};

/// What the name of the file with the bytes ends in.
pub(super) const DATA: &str = "data";
/// What the name of the file with the map ends in.
pub(super) const MAP: &str = "map";
/// What the name of the file with the checksums ends in.
pub(super) const SUMS: &str = "sum";

/// Makes an empty layer; it survives a power loss when this returns. `EEXIST` if there is one that was written to;
/// [`io::ErrorKind::FileTooLarge`] if the file system has no files that are so long.
pub fn create<D: Disk>(disk: &Arc<D>, spec: LayerSpec) -> io::Result<()> {
    for extension in [DATA, MAP, SUMS] {
        if extension != SUMS || spec.checksums {
            disk.create(&name(spec.id, extension))?.sync_data()?;
        }
    }
    disk.sync_dir()?;
    let layer = Layer::open(disk, spec);
    layer.extend_file(spec.size)?;
    for region in layer.stored(0..u32::MAX)?.into_iter().flatten() {
        if !layer.load_all(region)?.blocks.is_absent() {
            return Err(Errno::EXIST.into());
        }
    }
    Ok(())
}

/// Removes the files of a layer; not an error if there are none.
pub fn remove<D: Disk>(disk: &D, id: LayerId) -> io::Result<()> {
    // The map first: bytes without one are what a new layer has.
    for extension in [MAP, SUMS, DATA] {
        disk.remove(&name(id, extension))?;
    }
    disk.sync_dir()
}

/// Every layer of which there is a file, in order.
pub fn ids<D: Disk>(disk: &D) -> io::Result<Vec<LayerId>> {
    let ids: BTreeSet<LayerId> = disk.list()?.iter().filter_map(|name| id(name)).collect();
    Ok(ids.into_iter().collect())
}

/// The name of a file of a layer.
pub(super) fn name(id: LayerId, extension: &str) -> String {
    format!("{id}.{extension}")
}

fn id(name: &str) -> Option<LayerId> {
    let (id, extension) = name.split_once('.')?;
    let is_ours = [DATA, MAP, SUMS].contains(&extension);
    u64::from_str_radix(id, 16).ok().filter(|_| is_ours).map(LayerId)
}
