//! Runs as a whole, between artifacts and a target in memory.

mod changes;
mod constraints;
mod failures;
mod files;
mod images;
mod stops;

use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::ArtifactOutcome::{Copied, Deleted, Failed, SkippedConflict, Unchanged};

use super::*;
use crate::replication::queue::{Cause, TaskId};
use crate::replication::testing::{Fault, World, config, is_success, package, path, with};

fn named(artifact: &str, version: &str, outcome: api::ArtifactOutcome) -> (String, String, api::ArtifactOutcome) {
    (artifact.to_owned(), version.to_owned(), outcome)
}

/// Runs a task until that has ended, by a server of its own.
async fn run_once(world: &World, config: api::Config) -> ExecutionRecord {
    run_for(world, config, Cause::Manual).await
}

async fn run_for(world: &World, config: api::Config, cause: Cause) -> ExecutionRecord {
    let before = world.store.get(&keys::task("p", "r", "task")).await.unwrap();
    let task = match before {
        None => world.task(config).await,
        Some(_) => TaskId { project: config.project, repository: config.repository, name: config.name },
    };
    let server = world.server().start();
    let id = server.queue(&task, cause).await;
    let ended = world.wait_for_end(&id).await;
    server.stop().await;
    ended
}

fn all_images(world: &World) -> (String, String) {
    let artifacts = &world.artifacts;
    let amd = artifacts.image("app", &[b"base layer", b"amd layer"]);
    let arm = artifacts.image("app", &[b"base layer", b"arm layer"]);
    let index = artifacts.index("app", &[&amd, &arm]);
    artifacts.tag("app", "1.0", &index);
    let signature = artifacts.referrer("app", &arm, b"a signature");
    (index, signature)
}
