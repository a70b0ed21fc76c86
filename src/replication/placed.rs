//! What a run knows of the blobs at its target: which images have them, and which are on their way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

/// How many blobs it remembers.
const MAX_BLOBS: usize = 100_000;
/// How many images of one blob it remembers: a hint is enough.
const MAX_IMAGES: usize = 4;

/// Blobs at a target.
#[derive(Debug, Default)]
pub(super) struct Placed {
    images: Mutex<HashMap<String, Vec<Arc<str>>>>,
    under_way: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Placed {
    /// An image has a blob.
    pub(super) fn note(&self, digest: &str, image: &str) {
        let mut images = self.images.lock();
        if images.len() >= MAX_BLOBS && !images.contains_key(digest) {
            return;
        }
        let known = images.entry(digest.to_owned()).or_default();
        if known.len() < MAX_IMAGES && !known.iter().any(|known| **known == *image) {
            known.push(Arc::from(image));
        }
    }

    /// Whether an image is known to have a blob.
    pub(super) fn has(&self, digest: &str, image: &str) -> bool {
        self.images.lock().get(digest).is_some_and(|images| images.iter().any(|known| **known == *image))
    }

    /// Other images that have it.
    pub(super) fn others(&self, digest: &str, image: &str) -> Vec<String> {
        let images = self.images.lock();
        let others = images.get(digest).into_iter().flatten().filter(|known| ***known != *image);
        others.map(ToString::to_string).collect()
    }

    /// Waits until nobody else brings this blob to the target: then it need not be sent twice.
    pub(super) async fn alone(&self, digest: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut under_way = self.under_way.lock();
            // Those that nobody holds are done with.
            if under_way.len() > 256 {
                under_way.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(under_way.entry(digest.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

/// Names of artifacts as short as they can be kept.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<[u8; 16]>);

impl Names {
    pub(super) fn insert(&mut self, artifact: &str, version: &str) -> bool {
        self.0.insert(name(artifact, version))
    }

    pub(super) fn contains(&self, artifact: &str, version: &str) -> bool {
        self.0.contains(&name(artifact, version))
    }
}

fn name(artifact: &str, version: &str) -> [u8; 16] {
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        crate::store::key::digest(&[artifact.as_bytes(), version.as_bytes()]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_have_a_blob_are_hints_for_others_and_not_for_themselves() {
        let placed = Placed::default();
        placed.note("sha256:1", "a");
        placed.note("sha256:1", "b");
        assert!(placed.has("sha256:1", "a") && !placed.has("sha256:1", "c") && !placed.has("sha256:2", "a"));
        assert_eq!(placed.others("sha256:1", "a"), ["b"]);
    }

    #[test]
    fn names_are_told_apart() {
        let mut names = Names::default();
        assert!(names.insert("a", "bc") && !names.insert("a", "bc"));
        assert!(names.contains("a", "bc") && !names.contains("ab", "c"));
    }
}
