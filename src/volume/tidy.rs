//! Takes care of layers that nobody reads by a name any more: removes them, gives back what others hide of them, and
//! makes one of two that belong together.
//!
//! It looks at all layers anew each time, so it needs to remember nothing: what a crash has interrupted is found again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steward_proto::store::v1::{LayerRecord, VolumeRecord};

use super::catalog::Catalog;
use super::driver::{Control, Done, LayerId, MergeCost, MergeInto, Proceed};
use super::error::Error;
use super::keys;
use super::layer_tree::{Care, care, children, spec};
use super::progress::Meter;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How often it looks though nobody has called it.
const INTERVAL: Duration = Duration::from_mins(10);
/// How long it rests after something went wrong.
const REST_AFTER_ERROR: Duration = Duration::from_secs(5);
/// A layer on which more than so many stand is not replaced by the one below it: one transaction moves them all.
const MAX_MOVED: u32 = 25;

impl Catalog {
    /// Takes care of layers until shutdown.
    pub async fn run_tidy(self) {
        loop {
            let wait = match self.tidy_all().await {
                Ok(()) => INTERVAL,
                Err(error) => {
                    metrics::counter!("steward_engine_errors_total", "engine" => "volume_tidy").increment(1);
                    tracing::warn!(%error, "the layers of volumes could not be taken care of; it will be tried again");
                    REST_AFTER_ERROR
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.tidy.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes care of every layer that wants it. Also ends when that can go no further at shutdown. One that cannot be
    /// helped is not in the way of the others; the first error is told in the end.
    pub(super) async fn tidy_all(&self) -> Result<(), Error> {
        self.remove_leftovers().await;
        let mut troubles = BTreeMap::new();
        loop {
            let mut has_changed = false;
            for record in self.unnamed_layers().await? {
                if self.shutdown.is_cancelled() {
                    return Ok(());
                }
                if troubles.contains_key(&record.id) {
                    continue;
                }
                match self.take_care(record.id).await {
                    Ok(is_changed) => has_changed |= is_changed,
                    Err(error) => {
                        tracing::warn!(layer = %LayerId(record.id), %error, "a layer cannot be taken care of yet");
                        troubles.insert(record.id, error);
                    }
                }
            }
            if !has_changed {
                return troubles.into_values().next().map_or(Ok(()), Err);
            }
        }
    }

    /// Removes the bytes of layers whose records are gone. Somebody may be about to close one: it is tried again.
    async fn remove_bytes(&self, layer: LayerId) {
        self.leftovers.lock().insert(layer);
        self.remove_leftovers().await;
    }

    async fn remove_leftovers(&self) {
        let leftovers: Vec<LayerId> = self.leftovers.lock().iter().copied().collect();
        for layer in leftovers {
            match self.blocking(move |driver| driver.remove_layer(layer)).await {
                Ok(()) => drop(self.leftovers.lock().remove(&layer)),
                Err(error) => tracing::debug!(%layer, %error, "a layer cannot be removed yet"),
            }
        }
    }

    async fn unnamed_layers(&self) -> Result<Vec<LayerRecord>, Error> {
        let range = KeyRange::prefix(&Key::table(Table::VolumeLayer));
        let mut unnamed = Vec::new();
        for (key, value) in tx::scan(&*self.store, range, usize::MAX).await? {
            let record: LayerRecord = tx::decode(&key, &value)?;
            let is_loose = !super::layer_tree::has_name(&record);
            if is_loose && (record.child_count < 2 || !record.deleted_snapshot.is_empty()) {
                unnamed.push(record);
            }
        }
        // What can be removed comes first: on a full disk that makes room for the rest.
        unnamed.sort_by_key(|record| record.child_count != 0);
        Ok(unnamed)
    }

    /// Takes care of one layer. Returns whether another look may find more to do.
    async fn take_care(&self, id: u64) -> Result<bool, Error> {
        // An earlier step may have changed it, or removed it.
        let Some(record) = tx::read::<LayerRecord>(&*self.store, &keys::layer(id)).await? else { return Ok(false) };
        if self.busy_layers.contains(id) {
            return Ok(false);
        }
        let child = children(&*self.store, id, 1).await?.first().copied();
        match care(&record, child) {
            Care::Remove => self.remove_unneeded(&record).await,
            Care::Join(child) => {
                let child: LayerRecord = tx::read(&*self.store, &keys::layer(child))
                    .await?
                    .ok_or_else(|| super::layer_tree::missing(child))?;
                self.join(&record, &child).await
            }
            Care::Keep => self.let_stand(&record).await,
        }
    }

    /// Nothing can be given back of a layer: its snapshot is gone all the same.
    async fn let_stand(&self, record: &LayerRecord) -> Result<bool, Error> {
        if !record.deleted_snapshot.is_empty() && !super::layer_tree::has_name(record) {
            self.end_deletion(record.id).await?;
        }
        Ok(false)
    }

    async fn remove_unneeded(&self, record: &LayerRecord) -> Result<bool, Error> {
        let id = record.id;
        let decided = self.decide("a layer", |mut tx| async move {
            let record = tx.layer(id).await?;
            if care(&record, None) != Care::Remove {
                return Ok(tx.answer(false));
            }
            if !record.deleted_snapshot.is_empty() {
                self.forget_snapshot(&mut tx, &record.deleted_snapshot).await?;
            }
            tx.remove_layer(id).await?;
            Ok::<_, Error>(tx.answer(true))
        });
        let (is_removed, _) = decided.await?;
        if is_removed {
            self.remove_bytes(LayerId(id)).await;
        }
        Ok(is_removed)
    }

    /// Brings a layer and the only one on it together, as far as that is possible now.
    async fn join(&self, lower: &LayerRecord, upper: &LayerRecord) -> Result<bool, Error> {
        if self.busy_layers.contains(upper.id) || !upper.operation.is_empty() {
            return Ok(false);
        }
        if lower.checksums != upper.checksums {
            return self.give_back_hidden(lower, upper).await;
        }
        if upper.volume_id != 0 {
            return self.give_back_hidden(lower, upper).await;
        }
        self.merge(lower, upper).await
    }

    /// The upper layer takes writes: what it hides of the lower one is given back, and the two stay.
    async fn give_back_hidden(&self, lower: &LayerRecord, upper: &LayerRecord) -> Result<bool, Error> {
        if lower.is_trimmed {
            return Ok(false);
        }
        let (below, above) = (spec(lower), spec(upper));
        let operation = self.deletion_of(lower).await?;
        let control = Arc::new(TidyControl { catalog: self.clone(), meter: self.progress.start(&operation) });
        // No lock is held, however long it takes: what a layer has, it has for good, so what is hidden stays hidden.
        let discarded = self.blocking(move |driver| driver.discard_hidden(below, above, &*control)).await;
        self.progress.end(&operation);
        let (done, freed) = discarded?;
        metrics::counter!("steward_volume_freed_bytes_total").increment(freed);
        if done == Done::Stopped {
            return Ok(false);
        }
        self.end_deletion(lower.id).await?;
        Ok(true)
    }

    /// Notes that nothing more can be given back of a layer, and that its snapshot is gone.
    async fn end_deletion(&self, id: u64) -> Result<(), Error> {
        let decided = self.decide("a layer", |mut tx| async move {
            let mut record = tx.layer(id).await?;
            if !record.deleted_snapshot.is_empty() {
                self.forget_snapshot(&mut tx, &record.deleted_snapshot).await?;
                record.deleted_snapshot.clear();
            }
            record.is_trimmed = true;
            tx.put_layer(&record);
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        Ok(())
    }

    async fn merge(&self, lower: &LayerRecord, upper: &LayerRecord) -> Result<bool, Error> {
        let (below, above) = (spec(lower), spec(upper));
        let cost = self.blocking(move |driver| driver.merge_cost(below, above)).await?;
        let into = choose(cost, upper);
        let operation = self.deletion_of(lower).await?;
        let control = Arc::new(TidyControl { catalog: self.clone(), meter: self.progress.start(&operation) });
        let merged = {
            let control = Arc::clone(&control);
            self.blocking(move |driver| driver.merge(below, above, into, &*control)).await
        };
        let done = match merged {
            Ok(Done::All) => self.replace_merged(lower.id, upper.id, into).await,
            Ok(Done::Stopped) => Ok(false),
            Err(error) => Err(error),
        };
        self.progress.end(&operation);
        done
    }

    /// The operation that a merge is part of; empty if nobody asked for it.
    async fn deletion_of(&self, lower: &LayerRecord) -> Result<String, Error> {
        if lower.deleted_snapshot.is_empty() {
            return Ok(String::new());
        }
        let uuid = super::operation::uuid_of(&lower.deleted_snapshot)?;
        let snapshot = Tx::new(&*self.store).snapshot(uuid).await?;
        Ok(snapshot.map(|snapshot| snapshot.operation).unwrap_or_default())
    }

    async fn replace_merged(&self, lower: u64, upper: u64, into: MergeInto) -> Result<bool, Error> {
        let _tree = self.tree.write().await;
        if self.busy_layers.contains(lower) || self.busy_layers.contains(upper) {
            // Somebody has begun to read them. What was merged is not lost: whoever reads them calls again at the end.
            return Ok(false);
        }
        let decided = self.decide("merged layers", |mut tx| async move {
            let kept = self.record_merge(&mut tx, lower, upper, into).await?;
            Ok::<_, Error>(tx.answer(kept))
        });
        let (kept, _) = decided.await?;
        let gone = match into {
            MergeInto::Lower => LayerId(upper),
            MergeInto::Upper => LayerId(lower),
        };
        let kept = spec(&kept);
        self.blocking(move |driver| driver.replace(&[LayerId(lower), LayerId(upper)], kept, None)).await?;
        self.remove_bytes(gone).await;
        Ok(true)
    }

    /// Removes one of two layers that show the same together, and puts what stood on it on the other.
    async fn record_merge(
        &self,
        tx: &mut Tx<'_>,
        lower: u64,
        upper: u64,
        into: MergeInto,
    ) -> Result<LayerRecord, Error> {
        let below = tx.layer(lower).await?;
        let above = tx.layer(upper).await?;
        if !below.deleted_snapshot.is_empty() {
            self.forget_snapshot(tx, &below.deleted_snapshot).await?;
        }
        match into {
            MergeInto::Upper => {
                tx.move_layer(upper, below.parent).await?;
                tx.remove_layer(lower).await?;
                let mut kept = tx.layer(upper).await?;
                if below.base_of != 0 && kept.base_of == 0 {
                    tx.move_base(below.base_of, lower, upper).await?;
                    kept.base_of = below.base_of;
                }
                kept.is_trimmed = false;
                tx.put_layer(&kept);
                Ok(kept)
            }
            MergeInto::Lower => {
                for child in children(&*self.store, upper, usize::MAX).await? {
                    tx.move_layer(child, lower).await?;
                }
                tx.remove_layer(upper).await?;
                let mut kept = tx.layer(lower).await?;
                kept.size_bytes = above.size_bytes;
                kept.snapshot.clone_from(&above.snapshot);
                kept.deleted_snapshot.clone_from(&above.deleted_snapshot);
                kept.is_trimmed = false;
                if above.base_of != 0 {
                    tx.move_base(above.base_of, upper, lower).await?;
                    kept.base_of = above.base_of;
                }
                tx.put_layer(&kept);
                tx.move_snapshot(&above.snapshot, lower).await?;
                tx.move_snapshot(&above.deleted_snapshot, lower).await?;
                Ok(kept)
            }
        }
    }
}

impl Tx<'_> {
    /// Says which layer is the lowest of its own of a clone, if it is still `from`.
    async fn move_base(&mut self, volume: u64, from: u64, to: u64) -> Result<(), Error> {
        if let Some(mut record) = self.volume(volume).await?
            && record.base_layer == from
        {
            record.base_layer = to;
            let record: VolumeRecord = record;
            self.put_volume(&record);
        }
        Ok(())
    }

    /// Says which layer a snapshot is read from.
    async fn move_snapshot(&mut self, snapshot: &str, layer: u64) -> Result<(), Error> {
        if snapshot.is_empty() {
            return Ok(());
        }
        if let Some(mut record) = self.snapshot(super::operation::uuid_of(snapshot)?).await? {
            record.layer = layer;
            self.put_snapshot(&record)?;
        }
        Ok(())
    }
}

/// Moves as little as possible; but what stands on the upper layer has to fit in one transaction.
fn choose(cost: MergeCost, upper: &LayerRecord) -> MergeInto {
    if upper.child_count > MAX_MOVED || cost.into_upper <= cost.into_lower {
        MergeInto::Upper
    } else {
        MergeInto::Lower
    }
}

/// Lets work on layers go on until shutdown, and tells how far they are.
struct TidyControl {
    catalog: Catalog,
    meter: Arc<Meter>,
}

impl Control for TidyControl {
    fn total(&self, bytes: u64) {
        self.meter.set_total(bytes);
    }

    fn proceed(&self, bytes: u64) -> Proceed {
        self.meter.add(bytes);
        if self.catalog.shutdown.is_cancelled() { Proceed::Stop } else { Proceed::Go }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_goes_where_less_has_to_be_moved_unless_too_much_stands_on_the_upper_layer() {
        let cost = |into_lower, into_upper| MergeCost { into_lower, into_upper };
        let upper = |child_count| LayerRecord { child_count, ..LayerRecord::default() };
        assert_eq!(choose(cost(10, 20), &upper(1)), MergeInto::Lower);
        assert_eq!(choose(cost(20, 10), &upper(1)), MergeInto::Upper);
        assert_eq!(choose(cost(10, 20), &upper(31)), MergeInto::Upper);
    }
}
