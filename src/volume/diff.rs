//! What differs between two snapshots of a volume.

use super::busy_layers::Busy;
use super::catalog::Catalog;
use super::driver::{DiffExtent, LayerSpec};
use super::error::Error;
use super::layer_tree;
use super::namespace::{User, record_of};
use super::operation::uuid_of;
use super::snapshots::WhichSnapshot;
use crate::store::tx::Tx;

/// The most extents of one batch.
const BATCH: usize = 1000;

/// A comparison that is going on. The layers that it reads stay where they are until it is dropped.
pub struct Diff {
    catalog: Catalog,
    older: Option<Vec<LayerSpec>>,
    newer: Vec<LayerSpec>,
    at: u64,
    busy: Option<Busy>,
    /// How long the newer snapshot is, in bytes.
    pub size: u64,
}

impl Catalog {
    /// Begins to compare a snapshot with an older one of the same volume, named by its UUID or its name, from `offset`
    /// on. Without an older one everything differs that was ever written.
    pub async fn diff(
        &self,
        user: &User,
        newer: &WhichSnapshot,
        base: Option<&str>,
        offset: u64,
    ) -> Result<Diff, Error> {
        let _tree = self.tree.read().await;
        let newer = Tx::new(&*self.store).find_snapshot(newer, user).await?;
        if newer.is_deleting {
            return Err(Error::NotFound(format!("snapshot {}", newer.uuid)));
        }
        let older = match base {
            Some(base) => Some(self.base_of(user, newer.volume_id, base).await?),
            None => None,
        };
        let newer_chain = layer_tree::chain(&*self.store, newer.layer).await?;
        let older_chain = match older {
            Some(layer) => Some(layer_tree::chain(&*self.store, layer).await?),
            None => None,
        };
        let held = newer_chain.iter().chain(older_chain.iter().flatten()).map(|layer| layer.id.0).collect();
        Ok(Diff {
            catalog: self.clone(),
            older: older_chain,
            newer: newer_chain,
            at: offset,
            busy: Some(self.busy_layers.hold(held)),
            size: newer.size_bytes,
        })
    }

    /// The layer of the older snapshot.
    async fn base_of(&self, user: &User, volume: u64, base: &str) -> Result<u64, Error> {
        let which = super::namespace::Which::Id(volume);
        if let Ok(uuid) = uuid_of(base)
            && let Some(other) = Tx::new(&*self.store).snapshot(uuid).await?
            && other.volume_id != volume
        {
            return Err(Error::NameMismatch(format!("snapshot {uuid} is one of another volume")));
        }
        let missing = || Error::NotFound(which.to_string());
        let record = record_of(&*self.store, volume).await?.ok_or_else(missing)?;
        Ok(self.snapshot_of(&record, &which, base, user).await?.layer)
    }
}

impl Diff {
    /// The next extents that differ; none at the end.
    pub async fn next(&mut self) -> Result<Vec<DiffExtent>, Error> {
        if self.at >= self.size {
            return Ok(Vec::new());
        }
        if self.catalog.shutdown.is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let (older, newer, at) = (self.older.clone(), self.newer.clone(), self.at);
        let batch = self.catalog.blocking(move |driver| driver.diff(older.as_deref(), &newer, at, BATCH)).await?;
        self.at = batch.last().map_or(self.size, |last| last.offset.saturating_add(last.length));
        Ok(batch)
    }
}

impl Drop for Diff {
    fn drop(&mut self) {
        self.busy = None;
        self.catalog.tidy.notify_one();
    }
}
