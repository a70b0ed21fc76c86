//! Layers that an operation reads while it holds no lock: nobody joins, replaces or removes them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Counts = Mutex<HashMap<u64, u32>>;

/// The layers that operations read at this moment, and how many operations read each.
#[derive(Debug, Default)]
pub(super) struct BusyLayers(Arc<Counts>);

impl BusyLayers {
    /// Says that layers are read from now on, until the answer is dropped. Whoever calls this holds the tree's lock, so
    /// that they are still where the records say.
    pub(super) fn hold(&self, layers: Vec<u64>) -> Busy {
        let mut counts = self.0.lock();
        for layer in &layers {
            *counts.entry(*layer).or_default() += 1;
        }
        Busy { layers, counts: Arc::clone(&self.0) }
    }

    /// Whether somebody reads a layer. Whoever is about to take it away asks while it holds the tree's lock for writing.
    pub(super) fn contains(&self, layer: u64) -> bool {
        self.0.lock().contains_key(&layer)
    }
}

/// Layers that are being read.
#[derive(Debug)]
pub(super) struct Busy {
    layers: Vec<u64>,
    counts: Arc<Counts>,
}

impl Busy {
    /// Keeps them where they are until the server stops: something that is open may still read them.
    pub(super) fn for_ever(mut self) {
        self.layers.clear();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        for layer in &self.layers {
            if let Some(count) = counts.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(layer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_busy_until_the_last_who_reads_it_is_done() {
        let busy = BusyLayers::default();
        let (first, second) = (busy.hold(vec![1, 2]), busy.hold(vec![2, 3]));
        drop(first);
        assert!(!busy.contains(1) && busy.contains(2) && busy.contains(3));
        drop(second);
        assert!(!busy.contains(2));
        busy.hold(vec![4]).for_ever();
        assert!(busy.contains(4));
    }
}
