//! Paths and their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Paths with their ids.
///
/// The order is told as numbers that can be compared without reading the paths. They are made when a list asks for them
/// and kept until a path comes: who puts many paths pays nothing for them.
#[derive(Debug, Default)]
pub(super) struct Paths {
    by_path: BTreeMap<Arc<str>, i32>,
    ranks: Mutex<Option<Arc<Ranks>>>,
}

/// The places of paths in their order, by id.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    by_id: Vec<u32>,
}

impl Ranks {
    /// The place of the path of an id; the last, when it has none.
    pub(super) fn of(&self, id: i32) -> u64 {
        let place = usize::try_from(id).ok().and_then(|id| self.by_id.get(id));
        place.map_or(u64::MAX, |rank| u64::from(*rank))
    }
}

impl Paths {
    pub(super) fn id(&self, path: &str) -> Option<i32> {
        self.by_path.get(path).copied()
    }

    /// Puts a path, or gives it another id.
    pub(super) fn put(&mut self, path: &Arc<str>, id: i32) {
        if let Some(holder) = self.by_path.get_mut(&**path) {
            if *holder == id {
                return;
            }
            *holder = id;
        } else {
            self.by_path.insert(Arc::clone(path), id);
        }
        *self.ranks.get_mut() = None;
    }

    /// Forgets a path that an id has. The others keep their order, and so their places.
    pub(super) fn remove(&mut self, path: &str, id: i32) {
        if self.id(path) == Some(id) {
            self.by_path.remove(path);
        }
    }

    /// The order as it is. Who comes while it is made waits for it, so that it is made once.
    pub(super) fn ranks(&self) -> Arc<Ranks> {
        let mut ranks = self.ranks.lock();
        Arc::clone(ranks.get_or_insert_with(|| Arc::new(self.order())))
    }

    fn order(&self) -> Ranks {
        let mut by_id = Vec::new();
        for (id, rank) in self.by_path.values().zip(0..) {
            let Ok(place) = usize::try_from(*id) else { continue };
            if by_id.len() <= place {
                by_id.resize(place + 1, u32::MAX);
            }
            by_id[place] = rank;
        }
        Ranks { by_id }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_in_the_order_of_the_paths_whatever_came_in_between(
            steps in prop::collection::vec(("[a-c]{1,3}", 1..9i32, any::<bool>()), 1..120),
        ) {
            let (mut paths, mut model) = (Paths::default(), BTreeMap::new());
            for (path, id, is_put) in steps {
                if is_put {
                    paths.put(&path.as_str().into(), id);
                    model.retain(|_, holder| *holder != id);
                    model.insert(path, id);
                    // As the index does, which knows where a video was.
                    let others: Vec<Arc<str>> = paths.by_path.keys().cloned().collect();
                    others.iter().filter(|other| !model.contains_key(&***other)).for_each(|other| paths.remove(other, id));
                } else {
                    model.retain(|other, holder| *other != path || *holder != id);
                    paths.remove(&path, id);
                }
                let ranks = paths.ranks();
                let places: Vec<u64> = model.values().map(|id| ranks.of(*id)).collect();
                prop_assert!(places.is_sorted_by(|a, b| a < b), "{:?} {:?}", model, places);
                prop_assert!(!places.contains(&u64::MAX));
            }
        }
    }

    #[test]
    fn the_order_is_made_again_when_a_path_comes_and_only_then() {
        let mut paths = Paths::default();
        for (path, id) in [("a", 1), ("b", 2), ("c", 3)] {
            paths.put(&path.into(), id);
        }
        let first = paths.ranks();
        paths.put(&"b".into(), 2);
        paths.remove("a", 1);
        assert!(Arc::ptr_eq(&first, &paths.ranks()));
        paths.put(&"aa".into(), 4);
        assert_eq!([4, 2, 3].map(|id| paths.ranks().of(id)), [0, 1, 2]);
    }
}
