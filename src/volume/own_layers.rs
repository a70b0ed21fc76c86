//! Whose a directory of layers is.
//!
//! The store and the directory keep the same UUID, so that a server does not take another server's layers for its own, or
//! believe what a store says that was made anew. Layers that no record knows of are never removed while they hold data:
//! they are put into a directory beside the others, for people to look at.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use steward_proto::store::v1::VolumeLayersRecord;
use uuid::Uuid;

use self::directory::Directory;
use super::error::Error;
use super::keys;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Store, Table, update};

mod directory;

/// Why a directory of layers is not used.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// The store says that its layers are elsewhere.
    #[error(
        "volumes.path {path} is not the directory of this server's volumes: it is {written}, and theirs is {stored}. Set \
         volumes.path to theirs, or bring back the store that belongs to this one; if you are sure that the layers are \
         these, write {stored} into {path}/IDENTITY"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What is written there.
        written: String,
        /// What the store says.
        stored: Uuid,
    },
    /// The store knows of no layers, and there are some.
    #[error(
        "volumes.path {path} has layers with data, and the store knows of no volumes: bring back the store that belongs to \
         them, set volumes.path to another directory, or move them away"
    )]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be read or written.
    #[error("the directory of volumes, {path}: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Makes sure that a directory is the one where the layers are that `store` knows of, and puts aside what it does not
/// know of. The caller keeps others out of the directory.
pub async fn claim_layers(store: &dyn Store, path: &Path) -> Result<(), NotOurs> {
    let failed = |error| NotOurs::Io { path: path.to_owned(), error };
    let known = known(store).await?;
    let record: Option<VolumeLayersRecord> = tx::read(store, &keys::layers()).await.map_err(Error::from)?;
    let stored = record.and_then(|record| Uuid::parse_str(&record.uuid).ok());
    let directory = blocking(path, Directory::read).await.map_err(failed)?;
    let facts =
        Facts { stored, known: !known.is_empty(), has_data: directory.layers.values().any(|has_data| *has_data) };
    let uuid = facts.settle(directory.identity.as_deref(), path)?;
    blocking(path, move |path| directory::write_identity(path, uuid)).await.map_err(failed)?;
    record_identity(store, uuid).await?;
    let unknown = directory.layers.into_iter().filter(|(layer, _)| !known.contains(layer)).collect();
    blocking(path, move |path| directory::put_aside(path, &unknown)).await.map_err(failed)
}

/// The layers that the records know of.
pub(super) async fn known(store: &dyn Store) -> Result<BTreeSet<u64>, Error> {
    let records = tx::scan(store, KeyRange::prefix(&Key::table(Table::VolumeLayer)), usize::MAX).await?;
    Ok(records.iter().filter_map(|(key, _)| keys::first_number(key)).collect())
}

/// What decides whose a directory is.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// The identity that the store keeps.
    stored: Option<Uuid>,
    /// The store knows of layers.
    known: bool,
    /// There are layers with data in the directory.
    has_data: bool,
}

impl Facts {
    /// The identity of both from now on, if they belong together.
    fn settle(self, written: Option<&str>, path: &Path) -> Result<Uuid, NotOurs> {
        let foreign =
            |stored, written: &str| NotOurs::Foreign { path: path.to_owned(), written: written.to_owned(), stored };
        let read = written.and_then(|written| Uuid::parse_str(written).ok());
        match (self.stored, written) {
            (Some(stored), Some(_)) if read == Some(stored) => Ok(stored),
            (Some(stored), Some(written)) => Err(foreign(stored, written)),
            (Some(stored), None) if self.known => Err(foreign(stored, "without an identity")),
            // What a store without layers finds was not made for it.
            (Some(_), None) | (None, _) if self.has_data && !self.known => {
                Err(NotOurs::NoStore { path: path.to_owned() })
            }
            (stored, _) => Ok(stored.or(read).unwrap_or_else(Uuid::new_v4)),
        }
    }
}

async fn record_identity(store: &dyn Store, uuid: Uuid) -> Result<(), Error> {
    let recorded = update(store, "the identity of the layers", || async {
        let mut tx = Tx::new(store);
        let mut record: VolumeLayersRecord = tx.get(&keys::layers()).await?.unwrap_or_default();
        if record.uuid != uuid.to_string() {
            record.uuid = uuid.to_string();
            tx.put(keys::layers(), &record);
        }
        Ok::<_, Error>(tx.answer(()))
    });
    recorded.await.map(|_| ())
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || work(&path)).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use steward_proto::store::v1::LayerRecord;

    use super::*;
    use crate::store::suite::{Harness as _, Memory};

    async fn know(store: &dyn Store, layer: u64) {
        let put = update(store, "a layer", || async {
            let mut tx = Tx::new(store);
            tx.put_layer(&LayerRecord { id: layer, ..LayerRecord::default() });
            Ok::<_, Error>(tx.answer(()))
        });
        put.await.expect("a record");
    }

    fn lay(path: &Path, layer: u64, data: &[u8]) {
        let shard = path.join(format!("{:02x}", layer & 0xff));
        std::fs::create_dir_all(&shard).expect("a directory");
        std::fs::write(shard.join(format!("{layer:016x}.data")), data).expect("a file");
        std::fs::write(shard.join(format!("{layer:016x}.map")), b"map").expect("a file");
    }

    #[tokio::test]
    async fn a_directory_and_a_store_belong_together_from_the_first_start_on() {
        let (directory, mut ours, mut other) =
            (tempfile::tempdir().expect("a directory"), Memory::default(), Memory::default());
        let (path, store, other) = (directory.path(), ours.open(1000), other.open(1000));
        claim_layers(&*store, path).await.expect("the first start");
        know(&*store, 1).await;
        lay(path, 1, &[7; 4096]);
        claim_layers(&*store, path).await.expect("the next start");

        let refused = claim_layers(&*other, path).await.expect_err("a store that knows nothing");
        assert!(matches!(refused, NotOurs::NoStore { .. }), "{refused}");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let refused = claim_layers(&*store, elsewhere.path()).await.expect_err("the disk is not mounted");
        assert!(matches!(refused, NotOurs::Foreign { .. }), "{refused}");
        claim_layers(&*other, elsewhere.path()).await.expect("its first start");
        let refused = claim_layers(&*store, elsewhere.path()).await.expect_err("another's");
        assert!(matches!(refused, NotOurs::Foreign { .. }), "{refused}");
        assert!(path.join("01/0000000000000001.data").exists());
    }

    #[tokio::test]
    async fn layers_that_no_record_knows_are_put_aside_if_they_hold_data() {
        let (directory, mut harness) = (tempfile::tempdir().expect("a directory"), Memory::default());
        let (path, store) = (directory.path(), harness.open(1000));
        claim_layers(&*store, path).await.expect("the first start");
        know(&*store, 1).await;
        for (layer, data) in [(1, &[7; 4096][..]), (2, &[8; 4096]), (3, &[])] {
            lay(path, layer, data);
        }
        claim_layers(&*store, path).await.expect("the next start");
        assert!(path.join("01/0000000000000001.data").exists());
        assert_eq!(std::fs::read(path.join("lost/0000000000000002.data")).expect("it was kept"), [8; 4096]);
        assert!(path.join("lost/0000000000000002.map").exists() && !path.join("02/0000000000000002.map").exists());
        assert!(!path.join("03/0000000000000003.map").exists() && !path.join("lost/0000000000000003.map").exists());
    }
}
