//! Which layer stands on which: what a catalogue would keep.

use std::collections::BTreeMap;

use crate::volume::driver::{LayerId, LayerSpec};

/// The layers that are known, and what each stands on.
#[derive(Debug, Default)]
pub(super) struct Records {
    layers: BTreeMap<LayerId, (LayerSpec, Option<LayerId>)>,
    last: u64,
}

impl Records {
    /// A layer with a number of its own that nobody knows of yet.
    pub(super) fn new_layer(&mut self, size: u64, checksums: bool) -> LayerSpec {
        self.last += 1;
        LayerSpec { id: LayerId(self.last), size, checksums }
    }

    pub(super) fn put(&mut self, layer: LayerSpec, on: Option<LayerId>) {
        self.layers.insert(layer.id, (layer, on));
    }

    pub(super) fn remove(&mut self, id: LayerId) {
        self.layers.remove(&id);
    }

    pub(super) fn spec(&self, id: LayerId) -> LayerSpec {
        self.layers[&id].0
    }

    pub(super) fn below(&self, id: LayerId) -> Option<LayerId> {
        self.layers[&id].1
    }

    pub(super) fn ids(&self) -> Vec<LayerId> {
        self.layers.keys().copied().collect()
    }

    /// What stands on a layer.
    pub(super) fn above(&self, id: LayerId) -> Vec<LayerId> {
        let stand_on_it = self.layers.iter().filter(|(_, (_, on))| *on == Some(id));
        stand_on_it.map(|(above, _)| *above).collect()
    }

    /// Everything below a layer and itself, the bottom first.
    pub(super) fn chain(&self, top: LayerId) -> Vec<LayerSpec> {
        let below = std::iter::successors(Some(top), |id| self.below(*id));
        let mut chain: Vec<LayerSpec> = below.map(|id| self.spec(id)).collect();
        chain.reverse();
        chain
    }

    /// Puts `to` in the place of `from` under all that stands on that.
    pub(super) fn move_above(&mut self, from: LayerId, to: LayerId) {
        for (_, on) in self.layers.values_mut().filter(|(_, on)| *on == Some(from)) {
            *on = Some(to);
        }
    }
}
