//! Removes old changes, and notes how far their stamps have come.

use std::time::Duration;

use steward_proto::store::v1::ArtifactStampRecord;

use super::super::artifacts::Artifacts;
use super::super::error::Error;
use super::super::keys;
use crate::store::KeyRange;
use crate::store::tx;

/// How many changes one transaction removes.
const AT_A_TIME: usize = 90;

impl Artifacts {
    /// Notes a stamp that none has come past by more than a little: the highest, or the time, if that is higher. So it
    /// is also known after an idle day what the next one would be.
    pub(in crate::artifact) async fn note_stamps(&self) -> Result<(), Error> {
        let highest = self.stamps.highest().max(self.now_us());
        let noted: Option<ArtifactStampRecord> = tx::read(&*self.store, &keys::stamps()).await?;
        if highest <= noted.map_or(0, |noted| noted.highest) {
            return Ok(());
        }
        let noted = self.decide("the stamps", |mut tx| async move {
            tx.put(keys::stamps(), &ArtifactStampRecord { highest });
            Ok(tx.answer(()))
        });
        noted.await.map(|_| ())
    }

    /// Removes old changes of the next repository. Returns where to go on; `None`: that was the last one. And how many
    /// were removed.
    pub(super) async fn expire_changes(&self, range: KeyRange) -> Result<(Option<KeyRange>, u64), Error> {
        let first = tx::scan(&*self.store, range.clone(), 1).await?;
        let Some(repository) = first.first().and_then(|(key, _)| keys::number_of(key)) else { return Ok((None, 0)) };
        let of_repository = KeyRange::prefix(&keys::changes_of(repository));
        let before = self.now_us().saturating_sub(micros(self.settings.change_retention));
        let oldest = tx::scan(&*self.store, of_repository.clone(), AT_A_TIME).await?;
        let oldest = oldest.into_iter().map(|(key, _)| key);
        let old: Vec<_> = oldest.filter(|key| keys::stamp_of(key).is_some_and(|stamp| stamp < before)).collect();
        let count = old.len();
        let removed = self.decide("old changes", |mut tx| {
            for key in &old {
                tx.delete(key.clone());
            }
            async move { Ok(tx.answer(())) }
        });
        removed.await?;
        let next = match of_repository.end {
            _ if count == AT_A_TIME => Some(range),
            Some(end) => Some(KeyRange { start: end, end: range.end }),
            None => None,
        };
        Ok((next, count as u64))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
