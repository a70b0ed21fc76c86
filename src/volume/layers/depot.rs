//! The layers that are in use and the chains that are open: each of them once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::claims::Claims;
use super::disk::Disk;
use super::layer::{self, Layer};
use super::view::{self, NewTop, View};
use crate::volume::device::{BLOCK_BYTES, Device};
use crate::volume::driver::{Access, Frozen, LayerId, LayerSpec, View as AnyView};

mod driver;
#[cfg(test)]
mod tests;

/// Keeps layers in files of a disk.
pub struct Depot<D: Disk> {
    disk: Arc<D>,
    layers: Mutex<HashMap<LayerId, Weak<Layer<D::File>>>>,
    views: Mutex<Vec<Weak<View<D::File>>>>,
    claims: Arc<Claims>,
}

impl<D: Disk> Depot<D> {
    /// The layers that are on a disk. Nobody else may use it.
    pub fn new(disk: D) -> Self {
        Depot { disk: Arc::new(disk), layers: Mutex::default(), views: Mutex::default(), claims: Arc::default() }
    }

    /// Where it keeps them.
    #[cfg(test)]
    pub(super) fn disk(&self) -> &Arc<D> {
        &self.disk
    }

    /// The one handle of a layer.
    fn layer(&self, spec: LayerSpec) -> Arc<Layer<D::File>> {
        let mut layers = self.layers.lock();
        if let Some(layer) = layers.get(&spec.id).and_then(Weak::upgrade) {
            layer.grow(spec.size);
            return layer;
        }
        layers.retain(|_, layer| layer.strong_count() > 0);
        let layer = Arc::new(Layer::open(&self.disk, spec));
        layers.insert(spec.id, Arc::downgrade(&layer));
        layer
    }

    fn layers_of(&self, chain: &[LayerSpec]) -> Vec<Arc<Layer<D::File>>> {
        chain.iter().map(|spec| self.layer(*spec)).collect()
    }

    /// The views that are open.
    fn open_views(&self) -> Vec<Arc<View<D::File>>> {
        let mut views = self.views.lock();
        views.retain(|view| view.strong_count() > 0);
        views.iter().filter_map(Weak::upgrade).collect()
    }

    /// Makes the stored maps of layers say what is in them, where they take writes.
    fn flush(&self, ids: impl IntoIterator<Item = LayerId>) -> io::Result<()> {
        let ids: HashSet<LayerId> = ids.into_iter().collect();
        for view in self.open_views() {
            if ids.iter().any(|id| view.writes_to(*id)) {
                view.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn open_view(&self, chain: &[LayerSpec], access: Access) -> io::Result<Arc<View<D::File>>> {
        let top = check_chain(chain)?;
        let below = chain.iter().map(|spec| spec.id).filter(|id| *id != top.id);
        let claim = match access {
            Access::ReadWrite => {
                // First, so that a last flush that fails is known.
                let claim = self.claims.take(top.id)?;
                self.claims.check_sound(chain.iter().map(|spec| spec.id))?;
                Some(claim)
            }
            Access::ReadOnly => {
                self.claims.check_free([top.id].into_iter())?;
                None
            }
        };
        // What takes writes has a map that is behind.
        self.claims.check_free(below)?;
        let view = View::open(self.layers_of(chain), claim)?;
        self.views.lock().push(Arc::downgrade(&view));
        Ok(view)
    }

    pub(super) fn freeze_views(&self, tops: &[(Arc<dyn AnyView>, LayerSpec)]) -> io::Result<Box<dyn Frozen>> {
        let open = self.open_views();
        let mut new_tops = Vec::with_capacity(tops.len());
        for (view, spec) in tops {
            let is_it = |own: &&Arc<View<D::File>>| Arc::as_ptr(own).cast::<()>() == Arc::as_ptr(view).cast::<()>();
            let view = Arc::clone(open.iter().find(is_it).ok_or(Errno::INVAL)?);
            if !spec.size.is_multiple_of(BLOCK_BYTES) {
                return Err(Errno::INVAL.into());
            }
            new_tops.push(NewTop { view, top: self.layer(*spec), claim: self.claims.take(spec.id)? });
        }
        view::freeze(new_tops)
    }

    /// Bytes of disk that a layer takes.
    fn used(&self, id: LayerId) -> io::Result<u64> {
        let handle = self.layers.lock().get(&id).and_then(Weak::upgrade);
        if let Some(layer) = handle {
            return layer.used_bytes();
        }
        // Handles that nobody else gets, since it is not known which files it has.
        let used = |checksums| Layer::open(&self.disk, LayerSpec { id, size: 0, checksums }).used_bytes();
        match used(true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => used(false),
            used => used,
        }
    }

    fn remove(&self, id: LayerId) -> io::Result<()> {
        self.claims.check_free([id].into_iter())?;
        // Nobody gets a handle of it meanwhile.
        let mut layers = self.layers.lock();
        if layers.get(&id).is_some_and(|layer| layer.strong_count() > 0) {
            return Err(Errno::BUSY.into());
        }
        layers.remove(&id);
        layer::remove(&*self.disk, id)
    }

    pub(super) fn replace_in_views(&self, from: &[LayerId], to: LayerSpec, under: Option<LayerId>) -> io::Result<()> {
        let to = self.layer(to);
        for view in self.open_views() {
            view.replace(from, &to, under)?;
        }
        Ok(())
    }
}

/// Fails with `EINVAL` for what cannot be a chain. Returns its top.
fn check_chain(chain: &[LayerSpec]) -> io::Result<LayerSpec> {
    let top = chain.last().ok_or(Errno::INVAL)?;
    let ids: HashSet<LayerId> = chain.iter().map(|spec| spec.id).collect();
    let is_growing = chain.is_sorted_by_key(|spec| spec.size);
    let is_whole = chain.iter().all(|spec| spec.size.is_multiple_of(BLOCK_BYTES));
    if ids.len() < chain.len() || !is_growing || !is_whole {
        return Err(Errno::INVAL.into());
    }
    Ok(*top)
}
