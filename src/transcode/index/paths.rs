//! The order of paths, as numbers that can be compared without reading the paths.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The numbers that a path behind the last one is given have this distance.
const STEP: u64 = 1 << 32;

/// Paths with their ids, and labels that are in the order of the paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    by_path: BTreeMap<Arc<str>, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: i32,
    label: u64,
}

/// What became of the labels when a path was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labelled {
    /// The path has this one, and the others are as they were.
    One(u64),
    /// There was no room between its neighbours, so all paths have new ones.
    All,
}

impl Paths {
    pub(super) fn id(&self, path: &str) -> Option<i32> {
        self.by_path.get(path).map(|entry| entry.id)
    }

    /// Puts a path that is not there, or gives it another id.
    pub(super) fn put(&mut self, path: &Arc<str>, id: i32) -> Labelled {
        if let Some(entry) = self.by_path.get_mut(&**path) {
            entry.id = id;
            return Labelled::One(entry.label);
        }
        let below = self.by_path.range::<str, _>((Bound::Unbounded, Bound::Excluded(&**path))).next_back();
        let above = self.by_path.range::<str, _>((Bound::Excluded(&**path), Bound::Unbounded)).next();
        let low = below.map_or(0, |(_, entry)| entry.label);
        let label = match above {
            None => low.checked_add(STEP),
            Some((_, entry)) => (entry.label - low > 1).then(|| low + (entry.label - low) / 2),
        };
        self.by_path.insert(Arc::clone(path), Entry { id, label: label.unwrap_or(0) });
        match label {
            Some(label) => Labelled::One(label),
            None => {
                self.relabel();
                Labelled::All
            }
        }
    }

    fn relabel(&mut self) {
        for (entry, place) in self.by_path.values_mut().zip(1..) {
            entry.label = place * STEP;
        }
    }

    pub(super) fn remove(&mut self, path: &str, id: i32) {
        if self.id(path) == Some(id) {
            self.by_path.remove(path);
        }
    }

    /// All ids with their labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = (i32, u64)> {
        self.by_path.values().map(|entry| (entry.id, entry.label))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn labels_keep_the_order_of_the_paths(paths in proptest::collection::vec("[a-c]{1,6}", 1..120)) {
            let mut all = Paths::default();
            let mut labels = BTreeMap::new();
            for (path, id) in paths.iter().zip(1..) {
                match all.put(&path.as_str().into(), id) {
                    Labelled::One(label) => {
                        labels.insert(path.clone(), label);
                    }
                    Labelled::All => labels = all.by_path.iter().map(|(p, e)| (p.to_string(), e.label)).collect(),
                }
            }
            prop_assert!(labels.values().is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn paths_that_crowd_at_one_place_are_labelled_anew() {
        let mut paths = Paths::default();
        paths.put(&"a".into(), 1);
        let mut name = "b".to_owned();
        let mut is_relabelled = false;
        for id in 2..100 {
            is_relabelled |= paths.put(&name.as_str().into(), id) == Labelled::All;
            name.insert(0, 'a');
        }
        assert!(is_relabelled);
        assert!(paths.labels().map(|(_, label)| label).is_sorted());
    }
}
