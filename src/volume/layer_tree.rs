//! Which layer stands on which, and what has a name: the records of layers, and what is to be done about those that
//! nobody needs any more.

use steward_proto::store::v1::LayerRecord;

use super::driver::{LayerId, LayerSpec};
use super::error::Error;
use super::keys;
use crate::store::tx::{self, Tx};
use crate::store::{KeyRange, Store};

/// What a driver has to know of a layer.
pub(super) fn spec(record: &LayerRecord) -> LayerSpec {
    LayerSpec { id: LayerId(record.id), size: record.size_bytes, checksums: record.checksums }
}

/// Whether something is read from a layer by a name of its own, or is about to be.
pub(super) fn has_name(record: &LayerRecord) -> bool {
    record.volume_id != 0 || !record.snapshot.is_empty() || !record.operation.is_empty()
}

/// The chain that ends in a layer, the bottom first.
///
/// Whoever opens it holds the tree's lock for reading from before this until the driver has it open; see
/// [`super::catalog::Catalog`].
pub(super) async fn chain(store: &dyn Store, top: u64) -> Result<Vec<LayerSpec>, Error> {
    let mut layers = Vec::new();
    let mut next = top;
    while next != 0 {
        let record: LayerRecord = tx::read(store, &keys::layer(next)).await?.ok_or_else(|| missing(next))?;
        layers.push(spec(&record));
        next = record.parent;
    }
    layers.reverse();
    Ok(layers)
}

pub(super) fn missing(layer: u64) -> Error {
    Error::Internal(format!("layer {} has no record", LayerId(layer)))
}

/// What is to be done about a layer, as far as its record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// It is needed as it is.
    Keep,
    /// Nothing stands on it and nobody reads it.
    Remove,
    /// One layer stands on it and nobody else reads it: what that one hides can be given back, and if it is frozen, the
    /// two can be one.
    Join(u64),
}

/// What is to be done about a layer. `child` is one of the layers that stand on it.
pub(super) fn care(record: &LayerRecord, child: Option<u64>) -> Care {
    match (has_name(record), record.child_count, child) {
        (false, 0, _) => Care::Remove,
        (false, 1, Some(child)) => Care::Join(child),
        (false | true, _, _) => Care::Keep,
    }
}

/// The layers that stand on one, by number; at most `limit`.
pub(super) async fn children(store: &dyn Store, layer: u64, limit: usize) -> Result<Vec<u64>, Error> {
    let found = tx::scan(store, KeyRange::prefix(&keys::layer_children(layer)), limit).await?;
    Ok(found.iter().filter_map(|(key, _)| keys::second_number(key)).collect())
}

/// How many layers a chain may have; a driver opens twice as many. What is recorded meanwhile may pass it by a few.
pub(super) const MAX_DEPTH: u32 = 4000;

impl Tx<'_> {
    /// Refuses one more layer on a chain, which ends in `layer`, that is as long as chains may be.
    ///
    /// The chain is counted as it is stored, and is no precondition: what else happens to it at the same time makes it
    /// shorter, or adds one.
    pub(super) async fn check_depth(&mut self, layer: u64) -> Result<(), Error> {
        let (mut next, mut depth) = (layer, 0);
        while next != 0 {
            depth += 1;
            if depth >= MAX_DEPTH {
                return Err(Error::ChainLimit { limit: MAX_DEPTH });
            }
            next = self.stored::<LayerRecord>(&keys::layer(next)).await?.map_or(0, |record| record.parent);
        }
        Ok(())
    }

    /// The record of a layer.
    pub(super) async fn layer(&mut self, id: u64) -> Result<LayerRecord, Error> {
        self.get(&keys::layer(id)).await?.ok_or_else(|| missing(id))
    }

    /// Puts the record of a layer whose parent is as it was.
    pub(super) fn put_layer(&mut self, record: &LayerRecord) {
        self.put(keys::layer(record.id), record);
    }

    /// Adds a layer, and counts it at its parent.
    pub(super) async fn add_layer(&mut self, record: &LayerRecord) -> Result<(), Error> {
        self.put_layer(record);
        self.stand_on(record.parent, record.id).await
    }

    /// Puts a layer on another parent, or on none.
    pub(super) async fn move_layer(&mut self, id: u64, parent: u64) -> Result<(), Error> {
        let mut record = self.layer(id).await?;
        self.leave(record.parent, id).await?;
        record.parent = parent;
        self.add_layer(&record).await
    }

    /// Removes the record of a layer on which nothing stands.
    pub(super) async fn remove_layer(&mut self, id: u64) -> Result<(), Error> {
        let record = self.layer(id).await?;
        self.leave(record.parent, id).await?;
        self.delete(keys::layer(id));
        Ok(())
    }

    /// Takes the name of a volume, snapshot or operation from a layer.
    pub(super) async fn unname_layer(&mut self, id: u64) -> Result<(), Error> {
        let mut record = self.layer(id).await?;
        record.volume_id = 0;
        record.snapshot.clear();
        record.operation.clear();
        self.put_layer(&record);
        Ok(())
    }

    async fn stand_on(&mut self, parent: u64, child: u64) -> Result<(), Error> {
        self.count_child(parent, child, 1).await?;
        if parent != 0 {
            self.put_bytes(keys::layer_child(parent, child), Vec::new());
        }
        Ok(())
    }

    async fn leave(&mut self, parent: u64, child: u64) -> Result<(), Error> {
        self.count_child(parent, child, -1).await?;
        if parent != 0 {
            self.delete(keys::layer_child(parent, child));
        }
        Ok(())
    }

    async fn count_child(&mut self, parent: u64, _child: u64, change: i32) -> Result<(), Error> {
        if parent == 0 {
            return Ok(());
        }
        let mut record = self.layer(parent).await?;
        record.child_count = record.child_count.saturating_add_signed(change);
        record.is_trimmed = false;
        self.put_layer(&record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_layer_without_a_name_is_removed_or_joined() {
        let layer = |volume_id, child_count| LayerRecord { id: 5, volume_id, child_count, ..LayerRecord::default() };
        assert_eq!(care(&layer(0, 0), None), Care::Remove);
        assert_eq!(care(&layer(0, 1), Some(6)), Care::Join(6));
        assert_eq!(care(&layer(0, 2), Some(6)), Care::Keep);
        assert_eq!(care(&layer(9, 0), None), Care::Keep);
        assert_eq!(care(&layer(9, 1), Some(6)), Care::Keep);
    }

    #[tokio::test]
    async fn a_chain_has_no_more_layers_than_can_be_opened() {
        let world = crate::volume::testing::World::new().await;
        let limit = u64::from(MAX_DEPTH);
        for part in (1..=limit).collect::<Vec<_>>().chunks(100) {
            let put = world.catalog.decide("layers", |mut tx| {
                for id in part {
                    tx.put_layer(&LayerRecord { id: *id, parent: id - 1, ..LayerRecord::default() });
                }
                async move { Ok::<_, Error>(tx.answer(())) }
            });
            put.await.expect("layers");
        }
        let mut tx = Tx::new(world.store());
        tx.check_depth(limit - 1).await.expect("room for one more");
        assert!(matches!(tx.check_depth(limit).await, Err(Error::ChainLimit { limit: MAX_DEPTH })));
    }
}
