//! Runs the operations that give clones the bytes of their parents: flattens, and clones that are full copies.
//!
//! What is to run is in the records, so that it goes on where it was after a restart. An operation that fails is tried
//! again, later each time; one that was told to stop is taken back.

use std::sync::Arc;
use std::time::Duration;

use steward_proto::store::v1::VolumeOperationRecord;
use uuid::Uuid;

use super::busy_layers::Busy;
use super::catalog::Catalog;
use super::driver::{Done, LayerId, LayerSpec};
use super::error::Error;
use super::keys;
use super::layer_tree;
use super::operation::{self, State, state};
use super::pace::Pace;
use crate::clock::Timestamp;
use crate::store::tx::{self, Tx};

/// How often an operation is tried.
const MAX_ATTEMPTS: u32 = 20;
/// How long an operation rests after its first error; twice as long after each one more.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_mins(1);
/// How often it looks though nobody has called it: an operation is never forgotten for longer.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// How often its record is told how far an operation is.
const NOTE_INTERVAL: Duration = Duration::from_secs(3);

/// Starts what is to run.
#[derive(Clone)]
pub struct Runner {
    catalog: Catalog,
}

/// What is to be done about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Nothing.
    Leave,
    /// It is to run.
    Run,
    /// It is to be taken back.
    TakeBack,
    /// It rests until then.
    Rest(Timestamp),
}

fn care(record: &VolumeOperationRecord, rests_until: Option<Timestamp>, now: Timestamp) -> Care {
    match state(record) {
        State::Canceling => Care::TakeBack,
        State::Queued | State::Running | State::Retrying => match rests_until.filter(|until| *until > now) {
            Some(until) => Care::Rest(until),
            None => Care::Run,
        },
        State::Unspecified
        | State::MetaInstalled
        | State::Paused
        | State::Succeeded
        | State::Failed
        | State::Cancelled => Care::Leave,
    }
}

/// How long an operation rests that has failed so many times.
fn rest(attempts: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_REST)
}

impl Runner {
    /// For this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        Runner { catalog }
    }

    /// Runs until shutdown. What it has started stops then too, and is continued after the next start.
    pub async fn run(self) {
        let Runner { catalog } = &self;
        loop {
            let next = match self.activate().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "operations on volumes could not be looked at");
                    Some(catalog.clock.now().plus(FIRST_REST))
                }
            };
            let again = catalog.clock.now().plus(LOOK_AGAIN);
            tokio::select! {
                () = catalog.shutdown.cancelled() => return,
                () = catalog.operations.notified() => {}
                () = catalog.clock.sleep_until(next.map_or(again, |next| next.min(again))) => {}
            }
        }
    }

    /// Starts what can be started, and says when there may be more.
    pub(super) async fn activate(&self) -> Result<Option<Timestamp>, Error> {
        let catalog = &self.catalog;
        let now = catalog.clock.now();
        let mut next: Option<Timestamp> = None;
        for (uuid, record) in catalog.active_operations().await? {
            if catalog.paces.of(uuid).is_some() {
                continue;
            }
            match care(&record, catalog.paces.rests_until(uuid), now) {
                Care::Rest(until) => next = Some(next.map_or(until, |next| next.min(until))),
                Care::TakeBack => self.start(uuid, &record),
                Care::Run if catalog.paces.running() < catalog.settings.running_operations => self.start(uuid, &record),
                // Of those that have to wait, each one that ends wakes the runner.
                Care::Run | Care::Leave => {}
            }
        }
        metrics::gauge!("steward_volume_operations_running").set(count(catalog.paces.running()));
        Ok(next)
    }

    fn start(&self, uuid: Uuid, record: &VolumeOperationRecord) {
        let catalog = self.catalog.clone();
        let meter = catalog.progress.start(&record.uuid);
        let rate = catalog.rate(record.bytes_per_second);
        meter.set_total(record.bytes_total);
        let pace = Arc::new(Pace::new(rate, meter, record.bytes_done, catalog.shutdown.clone()));
        catalog.paces.start(uuid, Arc::clone(&pace));
        let is_cancelled = state(record) == State::Canceling;
        self.catalog.tasks.spawn(async move {
            let result = if is_cancelled {
                catalog.take_back(uuid, State::Cancelled, "").await
            } else {
                catalog.work_on(uuid, &pace).await
            };
            if let Err(error) = result {
                catalog.note_failure(uuid, &error).await;
            }
            catalog.paces.end(uuid);
            catalog.progress.end(&uuid.to_string());
            catalog.operations.notify_one();
            // The layers that it has read are free for others.
            catalog.tidy.notify_one();
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; a number of operations is exact in it")]
fn count(number: usize) -> f64 {
    number as f64
}

/// What a flatten works with.
struct Work {
    source: Vec<LayerSpec>,
    above: LayerSpec,
    into: LayerSpec,
    /// Keeps the layers of the source where they are.
    busy: Busy,
}

impl Catalog {
    /// Bytes a second for an operation that wants so many.
    pub(super) fn rate(&self, wanted: u64) -> u64 {
        if wanted == 0 { self.settings.copy_bytes_per_second } else { wanted }
    }

    /// The operations with work to do, the oldest first.
    async fn active_operations(&self) -> Result<Vec<(Uuid, VolumeOperationRecord)>, Error> {
        let mut found: Vec<(Uuid, VolumeOperationRecord)> = Vec::new();
        for uuid in operation::active(&*self.store, usize::MAX).await? {
            let record = tx::read(&*self.store, &keys::operation(uuid)).await?;
            found.extend(record.map(|record| (uuid, record)));
        }
        found.sort_by_key(|(uuid, record)| (record.create_us, *uuid));
        Ok(found)
    }

    async fn work_on(&self, uuid: Uuid, pace: &Arc<Pace>) -> Result<(), Error> {
        let Some(work) = self.begin_work(uuid).await? else { return Ok(()) };
        let (into, above, source) = (work.into, work.above, work.source.clone());
        self.blocking(move |driver| driver.create_layer(into)).await?;
        let control = Arc::clone(pace);
        let copy = self.blocking(move |driver| {
            if source.is_empty() { Ok(Done::All) } else { driver.flatten(&source, above, into, &*control) }
        });
        let done = self.noting(uuid, pace, copy).await?;
        self.note_progress(uuid, pace).await?;
        match done {
            Done::Stopped => Ok(()),
            Done::All => self.finish(uuid, work).await,
        }
    }

    /// Says that an operation runs, and finds out what it works with. Nothing if it is not to run.
    async fn begin_work(&self, uuid: Uuid) -> Result<Option<Work>, Error> {
        let _tree = self.tree.read().await;
        let (begun, _) = self.decide(uuid, |tx| begin(tx, uuid)).await?;
        let Some((base, into)) = begun else {
            self.operations.notify_one();
            return Ok(None);
        };
        let mut source = layer_tree::chain(&*self.store, base).await?;
        let above = source.pop().ok_or_else(|| layer_tree::missing(base))?;
        let into = Tx::new(&*self.store).layer(into).await?;
        let held = source.iter().map(|layer| layer.id.0).chain([base]).collect();
        Ok(Some(Work { source, above, into: layer_tree::spec(&into), busy: self.busy_layers.hold(held) }))
    }

    /// Waits for work on bytes, and has the record told every now and then how far it is.
    async fn noting<T>(
        &self,
        uuid: Uuid,
        pace: &Pace,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                () = tokio::time::sleep(NOTE_INTERVAL) => {
                    if let Err(error) = self.note_progress(uuid, pace).await {
                        tracing::warn!(operation = %uuid, %error, "how far an operation is could not be recorded");
                    }
                }
            }
        }
    }

    async fn note_progress(&self, uuid: Uuid, pace: &Pace) -> Result<(), Error> {
        let (done, total) = pace.progress();
        self.decide(uuid, |mut tx| async move {
            if let Some(mut record) = tx.operation(uuid).await?
                && (record.bytes_done, record.bytes_total) != (done, total)
            {
                (record.bytes_done, record.bytes_total) = (done, total);
                tx.put_operation(&record)?;
            }
            Ok(tx.answer(()))
        })
        .await
        .map(|_| ())
    }

    /// Puts the new layer into the place of the parent's, in the records and in what is open.
    async fn finish(&self, uuid: Uuid, work: Work) -> Result<(), Error> {
        let now_us = self.now_us();
        let Work { above, into, busy, .. } = work;
        {
            let _tree = self.tree.write().await;
            // Others may have changed the layers of the parent: those that are there now are replaced.
            let mut foreign = layer_tree::chain(&*self.store, above.id.0).await?;
            foreign.pop();
            let install = self.decide(uuid, |mut tx| async move {
                let installed = tx.install_flat(uuid, now_us).await?;
                Ok(tx.answer(installed))
            });
            let (installed, _) = install.await?;
            let Some(base) = installed else { return Ok(()) };
            let foreign: Vec<LayerId> = foreign.iter().map(|layer| layer.id).collect();
            let replaced = self.blocking(move |driver| driver.replace(&foreign, into, Some(LayerId(base)))).await;
            if let Err(error) = replaced {
                tracing::error!(operation = %uuid, %error, "what is open still reads the layers of the parent");
                busy.for_ever();
            }
        }
        metrics::counter!("steward_volume_operations_total", "result" => "succeeded").increment(1);
        tracing::info!(operation = %uuid, "a clone needs its parent no more");
        Ok(())
    }

    /// Takes back what an operation has done so far.
    async fn take_back(&self, uuid: Uuid, how: State, message: &str) -> Result<(), Error> {
        let now_us = self.now_us();
        let take_back = self.decide(uuid, |mut tx| async move {
            let layer = tx.take_back(uuid, how, message, now_us).await?;
            Ok(tx.answer(layer))
        });
        let (layer, _) = take_back.await?;
        let Some(layer) = layer else { return Ok(()) };
        let result = if how == State::Failed { "failed" } else { "cancelled" };
        metrics::counter!("steward_volume_operations_total", "result" => result).increment(1);
        let removed = self.blocking(move |driver| driver.remove_layer(LayerId(layer))).await;
        if let Err(error) = removed {
            tracing::warn!(operation = %uuid, %error, "a layer is left over until the next start");
        }
        Ok(())
    }

    /// Lets an operation that has failed try again later, or gives it up.
    async fn note_failure(&self, uuid: Uuid, error: &Error) {
        tracing::warn!(operation = %uuid, %error, "an operation on a volume failed");
        let message = error.to_string();
        let retry = self.decide(uuid, |mut tx| async {
            let Some(mut record) = tx.operation(uuid).await? else { return Ok(tx.answer(None)) };
            if operation::has_ended(&record) {
                return Ok(tx.answer(None));
            }
            record.attempts = record.attempts.saturating_add(1);
            record.error_message.clone_from(&message);
            if state(&record) == State::Running {
                record.state = State::Retrying.into();
            }
            tx.put_operation(&record)?;
            Ok(tx.answer(Some(record.attempts)))
        });
        let attempts = match retry.await {
            Ok((Some(attempts), _)) => attempts,
            Ok((None, _)) => return,
            Err(error) => {
                tracing::warn!(operation = %uuid, %error, "the failure of an operation could not be recorded");
                1
            }
        };
        self.paces.rest(uuid, self.clock.now().plus(rest(attempts)));
        if attempts >= MAX_ATTEMPTS
            && let Err(error) = self.take_back(uuid, State::Failed, &message).await
        {
            tracing::warn!(operation = %uuid, %error, "what an operation has done could not be taken back");
        }
    }
}

/// Decides whether an operation runs: the layer that is to stand on the new one, and the new one.
async fn begin(mut tx: Tx<'_>, uuid: Uuid) -> Result<crate::store::Step<Option<(u64, u64)>>, Error> {
    let Some(mut record) = tx.operation(uuid).await? else { return Ok(tx.answer(None)) };
    if !matches!(state(&record), State::Queued | State::Running | State::Retrying) {
        return Ok(tx.answer(None));
    }
    let volume = tx.volume(record.target_id).await?;
    let volume = volume.filter(|volume| volume.operation == record.uuid && volume.trash.is_none());
    let begun = volume.map(|volume| (volume.base_layer, record.into_layer));
    // A volume that was deleted in between needs nothing any more.
    record.state = if begun.is_some() { State::Running.into() } else { State::Canceling.into() };
    tx.put_operation(&record)?;
    Ok(tx.answer(begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: State) -> VolumeOperationRecord {
        VolumeOperationRecord { state: state.into(), ..VolumeOperationRecord::default() }
    }

    #[test]
    fn what_rests_or_was_paused_does_not_run_and_what_was_cancelled_is_taken_back_at_once() {
        let now = Timestamp::from_nanos(1_000);
        let later = now.plus(Duration::from_secs(1));
        for waiting in [State::Queued, State::Running, State::Retrying] {
            assert_eq!(care(&record(waiting), None, now), Care::Run);
            assert_eq!(care(&record(waiting), Some(later), now), Care::Rest(later));
            assert_eq!(care(&record(waiting), Some(now), now), Care::Run);
        }
        assert_eq!(care(&record(State::Paused), None, now), Care::Leave);
        assert_eq!(care(&record(State::Canceling), Some(later), now), Care::TakeBack);
    }

    #[test]
    fn each_rest_is_twice_as_long_as_the_one_before_up_to_a_limit() {
        assert_eq!([1, 2, 3, 7, 40].map(|attempts| rest(attempts).as_secs()), [1, 2, 4, 60, 60]);
    }
}
