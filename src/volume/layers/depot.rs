//! The layers that are in use and the chains that are open: each of them once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::claims::Claims;
use super::disk::{BlockFile, Disk};
use super::layer::{self, Layer};
use super::view::{self, Members, NewTop, View};
use crate::volume::device::{BLOCK_BYTES, Device};
use crate::volume::driver::{Access, Frozen, LayerId, LayerSpec, View as AnyView};

mod driver;
#[cfg(test)]
mod tests;

/// Keeps layers in files of a disk.
pub struct Depot<D: Disk> {
    disk: Arc<D>,
    handles: Mutex<Handles<D::File>>,
    views: Mutex<Vec<OpenView<D::File>>>,
    claims: Arc<Claims>,
}

/// The layers that somebody uses.
struct Handles<F> {
    open: HashMap<LayerId, Weak<Layer<F>>>,
    /// Those whose files are being removed: nobody gets a handle of them.
    removing: HashSet<LayerId>,
}

/// A chain that is open, and which layers it has now. Who only asks for these does not keep it from being closed.
struct OpenView<F: BlockFile> {
    view: Weak<View<F>>,
    members: Arc<Members>,
}

impl<D: Disk> Depot<D> {
    /// The layers that are on a disk. Nobody else may use it.
    pub fn new(disk: D) -> Self {
        let handles = Handles { open: HashMap::new(), removing: HashSet::new() };
        let (disk, handles) = (Arc::new(disk), Mutex::new(handles));
        Depot { disk, handles, views: Mutex::default(), claims: Arc::default() }
    }

    /// Where it keeps them.
    #[cfg(test)]
    pub(super) fn disk(&self) -> &Arc<D> {
        &self.disk
    }

    /// The one handle of a layer. `ENOENT` if it is being removed.
    fn layer(&self, spec: LayerSpec) -> io::Result<Arc<Layer<D::File>>> {
        let mut handles = self.handles.lock();
        if handles.removing.contains(&spec.id) {
            return Err(Errno::NOENT.into());
        }
        if let Some(layer) = handles.open.get(&spec.id).and_then(Weak::upgrade) {
            layer.grow(spec.size);
            return Ok(layer);
        }
        handles.open.retain(|_, layer| layer.strong_count() > 0);
        let layer = Arc::new(Layer::open(&self.disk, spec));
        handles.open.insert(spec.id, Arc::downgrade(&layer));
        Ok(layer)
    }

    fn layers_of(&self, chain: &[LayerSpec]) -> io::Result<Vec<Arc<Layer<D::File>>>> {
        chain.iter().map(|spec| self.layer(*spec)).collect()
    }

    /// Does something with every open view that has one of these layers. They are held one after the other: a view that
    /// somebody holds is not closed, and its top cannot be opened again.
    fn with_views_of(
        &self,
        ids: &HashSet<LayerId>,
        mut work: impl FnMut(&View<D::File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let concerned: Vec<Weak<View<D::File>>> = {
            let mut views = self.views.lock();
            views.retain(|open| open.view.strong_count() > 0);
            let has_one = |open: &&OpenView<D::File>| !open.members.lock().is_disjoint(ids);
            views.iter().filter(has_one).map(|open| Weak::clone(&open.view)).collect()
        };
        concerned.iter().filter_map(Weak::upgrade).try_for_each(|view| work(&view))
    }

    /// The view behind what somebody holds, if it is one of this depot.
    fn own(&self, view: &Arc<dyn AnyView>) -> Option<Arc<View<D::File>>> {
        let is_it = |open: &&OpenView<D::File>| open.view.as_ptr().cast::<()>() == Arc::as_ptr(view).cast::<()>();
        self.views.lock().iter().find(is_it).and_then(|open| open.view.upgrade())
    }

    /// Makes the stored maps of layers say what is in them, where they take writes.
    fn flush(&self, ids: impl IntoIterator<Item = LayerId>) -> io::Result<()> {
        let ids: HashSet<LayerId> = ids.into_iter().collect();
        self.with_views_of(&ids, |view| if ids.iter().any(|id| view.writes_to(*id)) { view.flush() } else { Ok(()) })
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
        let view = View::open(self.layers_of(chain)?, claim)?;
        self.views.lock().push(OpenView { view: Arc::downgrade(&view), members: Arc::clone(view.members()) });
        Ok(view)
    }

    pub(super) fn freeze_views(&self, tops: &[(Arc<dyn AnyView>, LayerSpec)]) -> io::Result<Box<dyn Frozen>> {
        let mut new_tops = Vec::with_capacity(tops.len());
        for (view, spec) in tops {
            let view = self.own(view).ok_or(Errno::INVAL)?;
            if !spec.size.is_multiple_of(BLOCK_BYTES) {
                return Err(Errno::INVAL.into());
            }
            new_tops.push(NewTop { view, top: self.layer(*spec)?, claim: self.claims.take(spec.id)? });
        }
        view::freeze(new_tops)
    }

    /// Bytes of disk that a layer takes.
    fn used(&self, id: LayerId) -> io::Result<u64> {
        let handle = self.handles.lock().open.get(&id).and_then(Weak::upgrade);
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
        {
            let mut handles = self.handles.lock();
            let is_used = handles.open.get(&id).is_some_and(|layer| layer.strong_count() > 0);
            if is_used || !handles.removing.insert(id) {
                return Err(Errno::BUSY.into());
            }
            handles.open.remove(&id);
        }
        // A file system takes its time for many terabytes: others get their layers meanwhile.
        let removed = layer::remove(&*self.disk, id);
        self.handles.lock().removing.remove(&id);
        removed
    }

    pub(super) fn replace_in_views(&self, from: &[LayerId], to: LayerSpec, under: Option<LayerId>) -> io::Result<()> {
        let to = self.layer(to)?;
        let mut first_error = Ok(());
        self.with_views_of(&from.iter().copied().collect(), |view| {
            let replaced = view.replace(from, &to, under);
            // One that cannot does not keep the others from it.
            first_error = std::mem::replace(&mut first_error, Ok(())).and(replaced);
            Ok(())
        })?;
        first_error
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
