//! What has to be done each minute: uploads that are over, old changes, and the stamps.

use std::time::Duration;

use async_trait::async_trait;

use super::super::artifacts::Artifacts;
use super::super::error::Error;
use super::super::measure;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::{Key, KeyRange, Table};

/// How many uploads an activation looks at.
const AT_A_TIME: usize = 256;
/// How long it rests between rounds.
const REST: Duration = Duration::from_mins(1);

/// Tidies up.
pub(super) struct TidyEngine {
    artifacts: Artifacts,
    due: Timestamp,
    uploads: Option<KeyRange>,
    changes: Option<KeyRange>,
}

impl TidyEngine {
    pub(super) fn new(artifacts: Artifacts) -> Self {
        let due = artifacts.clock.now();
        TidyEngine { artifacts, due, uploads: None, changes: None }
    }
}

#[async_trait]
impl Engine for TidyEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "artifact_tidy"
    }

    fn wakes_on(&self) -> Key {
        // It goes by time. This one seldom changes.
        Key::table(Table::ArtifactProject)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.artifacts.clock.now();
        if let Some(range) = self.uploads.take() {
            let (next, expired) = self.artifacts.expire_uploads(range, AT_A_TIME).await?;
            measure::swept("upload", expired);
            self.uploads = next;
        } else if let Some(range) = self.changes.take() {
            let (next, removed) = self.artifacts.expire_changes(range).await?;
            measure::swept("change", removed);
            self.changes = next;
        } else if now < self.due {
            return Ok(Some(self.due));
        } else {
            self.artifacts.note_stamps().await?;
            self.due = now.plus(REST);
            self.uploads = Some(KeyRange::prefix(&Key::table(Table::ArtifactUpload)));
            self.changes = Some(KeyRange::prefix(&Key::table(Table::ArtifactChange)));
        }
        Ok(Some(now))
    }
}
