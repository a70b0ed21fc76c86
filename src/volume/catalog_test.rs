//! The commands on volumes, on a store in memory and a driver without bytes.

mod change;
mod create;
mod lookup;
mod trash;
mod usage;

use std::collections::HashMap;

use steward_proto::store::v1::VolumeRecord;

use super::create::CreateVolume;
use super::error::Error;
use super::snapshot_create::CreateSnapshot;
use super::testing::{GIB, World, at, path, user};
use super::{CloneVolume, Source, WhichSnapshot};

fn volume_of(text: &str, size_bytes: u64) -> CreateVolume {
    CreateVolume {
        path: path(text),
        size_bytes,
        stripe_unit: 0,
        stripe_count: 0,
        pool: String::new(),
        labels: HashMap::new(),
        checksums: false,
    }
}

impl World {
    async fn try_create(&self, name: &str, text: &str, size_bytes: u64) -> Result<(VolumeRecord, bool), Error> {
        let (shown, created) = self.catalog.create_volume(&user(name), volume_of(text, size_bytes)).await?;
        Ok((shown.record, created))
    }

    /// A volume of a GiB.
    async fn create(&self, name: &str, text: &str) -> VolumeRecord {
        self.try_create(name, text, GIB).await.expect("a volume").0
    }

    async fn directory(&self, name: &str, text: &str) -> VolumeRecord {
        self.catalog.make_directory(&user(name), &path(text), None).await.expect("a directory").0.record
    }

    async fn snapshot(&self, name: &str, text: &str, snapshot: &str) -> String {
        let what = CreateSnapshot { name: snapshot.to_owned(), ..CreateSnapshot::default() };
        let made = self.catalog.create_snapshot(&user(name), at(text), what).await.expect("a snapshot");
        made.snapshots[0].record.uuid.clone()
    }

    async fn clone_of(&self, name: &str, source: Source, to: &str) -> VolumeRecord {
        let what = CloneVolume {
            destination: path(to),
            read_only: false,
            full_copy: false,
            pool: String::new(),
            labels: HashMap::new(),
            size_bytes: 0,
        };
        self.catalog.clone_volume(&user(name), source, what).await.expect("a clone").volume
    }

    async fn clone_of_snapshot(&self, name: &str, text: &str, snapshot: &str, to: &str) -> VolumeRecord {
        let source = Source::Snapshot(WhichSnapshot::Named(path(text), snapshot.to_owned()));
        self.clone_of(name, source, to).await
    }

    async fn delete(&self, name: &str, text: &str) -> Result<(), Error> {
        self.catalog.delete_volume(&user(name), &at(text)).await.map(|_| ())
    }

    /// Where a volume is.
    async fn path_of(&self, id: u64) -> String {
        self.catalog.show_volume(id).await.expect("a volume").path.to_string()
    }
}
