//! What a run finds done.

use steward_proto::replication::v1::ArtifactOutcome;
use steward_proto::store::v1::{ArtifactResultRecord, ExecutionRecord};

use super::super::error::Error;
use super::super::keys;
use super::super::parts::Replication;
use super::super::placed::Names;
use super::super::plan::Extent;
use super::super::run_log::outcome;
use crate::store::KeyRange;
use crate::store::tx;

/// How many runs that resume each other are followed.
const MAX_RESUMED: usize = 100;

impl Replication {
    /// What a run need not do: what it has done before a crash, and what the runs have done that it resumes. And which
    /// changes it is for.
    pub(super) async fn resume_point(&self, record: &ExecutionRecord) -> Result<(Names, Extent), Error> {
        let mut done = Names::default();
        self.gather_done(&record.id, &mut done, |_| true).await?;
        let mut first = record.clone();
        for _ in 0..MAX_RESUMED {
            if first.resume_of.is_empty() {
                break;
            }
            let Some(earlier) = tx::read::<ExecutionRecord>(&*self.store, &keys::execution(&first.resume_of)).await?
            else {
                break;
            };
            self.gather_done(&earlier.id, &mut done, |result| outcome(result) != ArtifactOutcome::Failed).await?;
            first = earlier;
        }
        let extent = match first.to_stamp {
            0 => Extent::Full,
            to_stamp => Extent::Changes { from_stamp: first.from_stamp, to_stamp },
        };
        Ok((done, extent))
    }

    async fn gather_done(
        &self,
        id: &str,
        done: &mut Names,
        counts: impl Fn(&ArtifactResultRecord) -> bool,
    ) -> Result<(), Error> {
        let mut range = KeyRange::prefix(&keys::results_of(id));
        loop {
            let page = self.store.scan(range.clone(), 512).await?;
            for (key, record) in &page.records {
                let result: ArtifactResultRecord = tx::decode(key, &record.value)?;
                if counts(&result) {
                    done.insert(&result.artifact, &result.version);
                }
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { return Ok(()) };
            range = range.after(&last);
        }
    }
}
