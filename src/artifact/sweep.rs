//! Loops that remove what nobody needs any more, a bounded batch at a time.

mod blobs;
mod changes;
mod deleted;
mod image_blobs;
mod tidy;

use std::sync::Arc;

use self::blobs::SweepEngine;
use self::deleted::{EmptyImages, EmptyRepositories};
use self::tidy::TidyEngine;
use super::artifacts::Artifacts;
use super::measure;
use crate::engine::{self, Engine};

impl Artifacts {
    /// Starts the loops.
    pub fn start(&self) {
        measure::describe();
        self.run(SweepEngine::new(self.clone()));
        self.run(EmptyImages(self.clone()));
        self.run(EmptyRepositories(self.clone()));
        self.run(TidyEngine::new(self.clone()));
    }

    fn run(&self, engine: impl Engine) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        self.tasks.spawn(engine::run(engine, store, clock, self.shutdown.clone()));
    }
}

#[cfg(test)]
pub(super) fn sweep_engine(artifacts: &Artifacts) -> impl Engine {
    SweepEngine::new(artifacts.clone())
}

#[cfg(test)]
pub(super) fn tidy_engine(artifacts: &Artifacts) -> impl Engine {
    TidyEngine::new(artifacts.clone())
}

#[cfg(test)]
pub(super) fn empty_images(artifacts: &Artifacts) -> impl Engine {
    EmptyImages(artifacts.clone())
}

#[cfg(test)]
pub(super) fn empty_repositories(artifacts: &Artifacts) -> impl Engine {
    EmptyRepositories(artifacts.clone())
}
