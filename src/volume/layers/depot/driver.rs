//! What the catalogue sees of a depot.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use super::Depot;
use crate::volume::driver::{
    Access, Control, DiffExtent, Done, Driver, Frozen, LayerId, LayerSpec, MergeCost, MergeInto, Repair, ScrubReport,
    View,
};
use crate::volume::layers::disk::Disk;
use crate::volume::layers::{diff, discard, flatten, layer, merge, scrub};

impl<D: Disk> Driver for Depot<D> {
    fn create_layer(&self, layer: LayerSpec) -> io::Result<()> {
        layer::create(&self.disk, layer)
    }

    fn remove_layer(&self, id: LayerId) -> io::Result<()> {
        self.remove(id)
    }

    fn layers(&self) -> io::Result<Vec<LayerId>> {
        layer::ids(&*self.disk)
    }

    fn used_bytes(&self, id: LayerId) -> io::Result<u64> {
        self.used(id)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn open(&self, chain: &[LayerSpec], access: Access) -> io::Result<Arc<dyn View>> {
        let view = self.open_view(chain, access)?;
        Ok(view)
    }

    fn freeze(&self, tops: Vec<(Arc<dyn View>, LayerSpec)>) -> io::Result<Box<dyn Frozen>> {
        self.freeze_views(&tops)
    }

    fn flatten(
        &self,
        source: &[LayerSpec],
        above: LayerSpec,
        into: LayerSpec,
        control: &dyn Control,
    ) -> io::Result<Done> {
        self.flush([above.id])?;
        let (above, into) = (self.layer(above)?, self.layer(into)?);
        flatten::flatten(&self.layers_of(source)?, &above, &into, control)
    }

    fn merge(&self, lower: LayerSpec, upper: LayerSpec, into: MergeInto, control: &dyn Control) -> io::Result<Done> {
        self.claims.check_free([lower.id, upper.id].into_iter())?;
        let (lower, upper) = (self.layer(lower)?, self.layer(upper)?);
        merge::merge(&lower, &upper, into, control)
    }

    fn merge_cost(&self, lower: LayerSpec, upper: LayerSpec) -> io::Result<MergeCost> {
        let (lower, upper) = (self.layer(lower)?, self.layer(upper)?);
        merge::cost(&lower, &upper)
    }

    fn discard_hidden(&self, lower: LayerSpec, upper: LayerSpec, control: &dyn Control) -> io::Result<(Done, u64)> {
        self.claims.check_free([lower.id].into_iter())?;
        self.flush([upper.id])?;
        let (lower, upper) = (self.layer(lower)?, self.layer(upper)?);
        let ids = HashSet::from([lower.id()]);
        self.with_views_of(&ids, |view| view.learn_of(upper.id(), &[lower.id()]))?;
        let let_reads_pass = || {
            self.with_views_of(&ids, |view| {
                view.pass_barrier();
                Ok(())
            })
        };
        discard::discard_hidden(&lower, &upper, control, &let_reads_pass)
    }

    fn replace(&self, from: &[LayerId], to: LayerSpec, under: Option<LayerId>) -> io::Result<()> {
        self.replace_in_views(from, to, under)
    }

    fn diff(
        &self,
        older: Option<&[LayerSpec]>,
        newer: &[LayerSpec],
        offset: u64,
        limit: usize,
    ) -> io::Result<Vec<DiffExtent>> {
        self.flush(older.unwrap_or_default().iter().chain(newer).map(|spec| spec.id))?;
        let older = older.map(|older| self.layers_of(older)).transpose()?;
        diff::diff(older.as_deref(), &self.layers_of(newer)?, offset, limit)
    }

    fn scrub(&self, layer: LayerSpec, repair: Repair, control: &dyn Control) -> io::Result<ScrubReport> {
        self.flush([layer.id])?;
        scrub::scrub(&*self.layer(layer)?, repair, control)
    }
}
