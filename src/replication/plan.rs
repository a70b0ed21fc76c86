//! What a run is to do, one thing after the other. Nothing of it is kept: it can be found out again.

mod changes;
mod packages;
mod paths;

use std::collections::HashMap;

use steward_proto::artifact::v1::{File, RepositoryType};
use tokio::sync::mpsc;

use super::select::Selection;
use super::source::{Source, SourceError};

/// How many files are one item.
const FILES_AT_ONCE: usize = 100;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A version of a package.
    Version(VersionItem),
    /// Some files.
    Files(Vec<File>),
    /// Something that is asked for and is not there.
    Missing { artifact: String, version: String, reason: String },
    /// Something that was deleted here.
    Gone(GoneItem),
}

/// A version of a package.
#[derive(Clone, Debug)]
pub(super) struct VersionItem {
    /// The key of the package.
    pub(super) key: String,
    pub(super) image: String,
    pub(super) tag: String,
    /// What it is to be called at the target.
    pub(super) tags: Vec<String>,
    pub(super) metadata: HashMap<String, String>,
}

/// A tag or file that was deleted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GoneItem {
    /// The key of the package, or the path.
    pub(super) artifact: String,
    /// The tag; empty: it is a file.
    pub(super) version: String,
    /// What it is called at the target.
    pub(super) tags: Vec<String>,
    /// The digests that it had here, the latest first.
    pub(super) digests: Vec<String>,
}

/// Which changes a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Full,
    /// Those behind one stamp and up to another.
    Changes { from_stamp: u64, to_stamp: u64 },
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum PlanError {
    /// Nobody wants to know any more.
    Unwanted,
    /// The repository cannot be read.
    Source(SourceError),
}

impl From<SourceError> for PlanError {
    fn from(error: SourceError) -> Self {
        PlanError::Source(error)
    }
}

/// Finds out what a run is to do.
pub(super) struct Planner<'a> {
    pub(super) source: &'a Source,
    pub(super) selection: &'a Selection,
    pub(super) items: mpsc::Sender<Item>,
}

/// The name of the image of a package.
pub(super) fn image_of(key: &str) -> &str {
    key.split_once("://").map_or(key, |(_, image)| image)
}

/// Whether a repository holds images.
pub(super) fn holds_images(kind: RepositoryType) -> bool {
    matches!(kind, RepositoryType::Docker | RepositoryType::Oci | RepositoryType::Helm)
}

impl Planner<'_> {
    /// Sends what is to be done.
    pub(super) async fn plan(&self, extent: Extent) -> Result<(), PlanError> {
        let kind = self.source.repository().await?.r#type();
        match extent {
            Extent::Full => self.full(kind).await,
            Extent::Changes { from_stamp, to_stamp } => match self.changes(kind, from_stamp, to_stamp).await {
                // Nobody knows what has changed, so all of it may have.
                Err(PlanError::Source(SourceError::Compacted)) => self.full(kind).await,
                result => result,
            },
        }
    }

    async fn send(&self, item: Item) -> Result<(), PlanError> {
        self.items.send(item).await.map_err(|_| PlanError::Unwanted)
    }

    async fn missing(&self, artifact: &str, version: &str, reason: String) -> Result<(), PlanError> {
        let (artifact, version) = (artifact.to_owned(), version.to_owned());
        self.send(Item::Missing { artifact, version, reason }).await
    }

    async fn full(&self, kind: RepositoryType) -> Result<(), PlanError> {
        match self.selection {
            Selection::Whole if holds_images(kind) => self.all_packages(&[]).await,
            Selection::Whole => self.files_below(&[], None).await.map(|_| ()),
            Selection::Parts { packages, paths } => {
                self.packages(packages).await?;
                self.paths(paths).await
            }
        }
    }
}
