//! Where libraries are, and who may say so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use super::farm::Farm;
use super::library::{overlap, resolve};
use super::reach::Reach;
use crate::auth::rights::Right;
use crate::error::Failure;

impl Farm {
    /// Refuses a caller who may not say that a library is at a path. Whoever says where a library is can read what is
    /// there, so the right for that library alone is enough only where the roots bound it.
    pub(super) async fn require_place(&self, reach: &Reach, name: &str, path: &Path) -> Result<(), Failure> {
        if self.is_at(name, path) || reach.has_all(Right::Admin) {
            return Ok(());
        }
        let refuse = |why| Err(reach.refusal(Right::Admin).because(why));
        if self.settings.library.roots.within.is_empty() {
            return refuse(
                "without transcode.library_roots only who administers it as a whole says where a library is",
            );
        }
        let others = self.libraries_around(name, path).await?;
        if others.iter().any(|other| !reach.has_library(Right::Admin, other)) {
            return refuse("another library is there, above or below, which only who may administer both may do");
        }
        Ok(())
    }

    /// Refuses a directory that cannot be a library's. One that is it already stays until somebody opens it.
    pub(super) async fn check_place(&self, name: &str, path: &Path) -> Result<(), Error> {
        if self.is_at(name, path) {
            return Ok(());
        }
        let (roots, path) = (Arc::clone(&self.settings.library.roots), path.to_owned());
        let checked = on_disk(move || roots.check(&path)).await?;
        checked.map_err(|problem| Error::Invalid { field: "library.path", problem })
    }

    /// Whether a library is at this path already.
    fn is_at(&self, name: &str, path: &Path) -> bool {
        self.index.libraries.read().get(name).is_some_and(|library| Path::new(&library.record.path) == path)
    }

    /// The other libraries that are at a directory, above or below.
    async fn libraries_around(&self, name: &str, path: &Path) -> Result<Vec<String>, Error> {
        let of_all =
            |(name, library): (&str, &super::index::Library)| (name.to_owned(), PathBuf::from(&library.record.path));
        let mut others: Vec<(String, PathBuf)> = self.index.libraries.read().iter().map(of_all).collect();
        others.retain(|(other, _)| other != name);
        let path = path.to_owned();
        on_disk(move || {
            let place = resolve(&path).unwrap_or(path);
            others.retain(|(_, other)| overlap(&place, &resolve(other).unwrap_or_else(|_| other.clone())));
            others.into_iter().map(|(name, _)| name).collect()
        })
        .await
    }
}

async fn on_disk<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|error| Error::Internal(format!("a look at a directory broke off: {error}")))
}
