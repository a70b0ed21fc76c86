//! What can be asked of operations, and said to them.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use steward_proto::store::v1::VolumeOperationRecord;
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::{User, record_of};
use super::operation::{State, Type, has_ended, is_active, kind, state, uuid_of};
use super::progress;
use super::reach::Reach;
use crate::auth::rights::Right;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// The shortest time between two messages of a watch.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// An operation, and how far it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownOperation {
    /// Its record.
    pub record: VolumeOperationRecord,
    /// Bytes that are done.
    pub bytes_done: u64,
    /// Bytes that are to be done.
    pub bytes_total: u64,
    /// How far it is.
    pub percent: u32,
}

/// Which operations a list has.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// Of these types; empty: of all.
    pub types: Vec<Type>,
    /// In these states; empty: in all.
    pub states: Vec<State>,
    /// With this target, as the request named it.
    pub target: Option<String>,
    /// With this source.
    pub source: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// The one of this UUID.
    pub uuid: Option<Uuid>,
    /// Of volumes that the caller may know of.
    pub reach: Reach,
}

impl OperationFilter {
    fn matches(&self, record: &VolumeOperationRecord) -> bool {
        (self.types.is_empty() || self.types.contains(&kind(record)))
            && (self.states.is_empty() || self.states.contains(&state(record)))
            && self.target.as_ref().is_none_or(|target| *target == record.target)
            && self.source.as_ref().is_none_or(|source| *source == record.source)
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.uuid.is_none_or(|uuid| uuid.to_string() == record.uuid)
    }
}

/// Where a page of operations starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStart {
    /// After so many.
    Skip(usize),
    /// Behind this one: when it was made, in microseconds since the epoch, and its UUID.
    After(u64, Uuid),
}

/// A page of operations.
#[derive(Clone, Debug)]
pub struct OperationPage {
    /// The operations, the oldest first.
    pub operations: Vec<ShownOperation>,
    /// How many there are altogether.
    pub total: usize,
    /// Behind which one the next page starts; nothing at the end.
    pub next: Option<(u64, Uuid)>,
}

/// What is said to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Stop, and take back what was done.
    Cancel,
    /// Rest.
    Pause,
    /// Go on.
    Resume,
    /// At most so many bytes a second; 0: as the server is set.
    Speed(u64),
}

impl Catalog {
    /// Reads one.
    pub async fn get_operation(&self, user: &User, uuid: Uuid) -> Result<ShownOperation, Error> {
        let record = self.operation_of(user, uuid).await?;
        self.store.settled().await?;
        self.show_operation(record).await
    }

    async fn operation_of(&self, user: &User, uuid: Uuid) -> Result<VolumeOperationRecord, Error> {
        let record: Option<VolumeOperationRecord> = tx::read(&*self.store, &keys::operation(uuid)).await?;
        let record = record.ok_or_else(|| missing(uuid))?;
        user.check(&record.owner, format_args!("operation {uuid}"))?;
        Ok(record)
    }

    /// The operations that match, the oldest first. Users other than `root` see their own.
    pub async fn list_operations(
        &self,
        user: &User,
        filter: &OperationFilter,
        start: OperationStart,
        limit: usize,
    ) -> Result<OperationPage, Error> {
        let mut page = OperationPage { operations: Vec::new(), total: 0, next: None };
        let mut last = None;
        for (key, _) in
            tx::scan(&*self.store, KeyRange::prefix(&Key::table(Table::VolumeOperationTime)), usize::MAX).await?
        {
            let Some(place) = keys::first_number(&key).zip(keys::timed_uuid(&key)) else { continue };
            let record: Option<VolumeOperationRecord> = tx::read(&*self.store, &keys::operation(place.1)).await?;
            let Some(record) = record.filter(|record| user.may_change(&record.owner) && filter.matches(record)) else {
                continue;
            };
            if !filter.reach.is_everything() && !filter.reach.has(Right::Read, &self.place_of_operation(&record).await?)
            {
                continue;
            }
            let is_before = match start {
                OperationStart::Skip(skip) => page.total < skip,
                OperationStart::After(create_us, uuid) => place <= (create_us, uuid),
            };
            page.total += 1;
            if is_before {
                continue;
            }
            if page.operations.len() < limit {
                page.operations.push(self.show_operation(record).await?);
                last = Some(place);
            } else {
                page.next = last;
            }
        }
        self.store.settled().await?;
        Ok(page)
    }

    /// An operation as it is at this moment.
    pub(super) async fn show_operation(&self, record: VolumeOperationRecord) -> Result<ShownOperation, Error> {
        let worker = self.worker_of(&record).await?;
        let (done, total) = match self.progress.of(&worker) {
            Some(live) => live,
            None => (record.bytes_done, record.bytes_total),
        };
        let percent = match state(&record) {
            State::Succeeded => 100,
            State::Unspecified
            | State::Queued
            | State::Running
            | State::MetaInstalled
            | State::Paused
            | State::Canceling
            | State::Retrying
            | State::Failed
            | State::Cancelled => progress::percent(done, total),
        };
        Ok(ShownOperation { bytes_done: done, bytes_total: total, percent, record })
    }

    /// The UUID of the operation that does the work of one: of a clone that is being flattened, the flatten.
    async fn worker_of(&self, record: &VolumeOperationRecord) -> Result<String, Error> {
        let is_led = kind(record) == Type::Clone && record.into_layer == 0 && state(record) == State::Running;
        let led_by = if is_led { record_of(&*self.store, record.target_id).await? } else { None };
        let led_by = led_by.map(|volume| volume.operation).filter(|operation| !operation.is_empty());
        Ok(led_by.unwrap_or_else(|| record.uuid.clone()))
    }

    /// Waits until one has ended, or for so long, and answers how it stands then.
    pub async fn wait_operation(&self, user: &User, uuid: Uuid, timeout: Duration) -> Result<ShownOperation, Error> {
        self.operation_of(user, uuid).await?;
        let ended = self.operation_ended(uuid);
        tokio::select! {
            () = self.shutdown.cancelled() => return Err(Error::ShuttingDown),
            ended = tokio::time::timeout(timeout, ended) => ended.unwrap_or(Ok(()))?,
        }
        self.get_operation(user, uuid).await
    }

    async fn operation_ended(&self, uuid: Uuid) -> Result<(), Error> {
        let key = keys::operation(uuid);
        let mut changes = self.store.watch(key.clone(), self.store.revision());
        loop {
            let record: Option<VolumeOperationRecord> = tx::read(&*self.store, &key).await?;
            if record.is_none_or(|record| has_ended(&record)) {
                return Ok(());
            }
            if changes.next().await.transpose()?.is_none() {
                return Err(Error::ShuttingDown);
            }
        }
    }

    /// How one goes on: as it is, then whenever that has changed, at most four times a second, until it has ended.
    pub async fn watch_operation(
        &self,
        user: &User,
        uuid: Uuid,
    ) -> Result<BoxStream<'static, Result<ShownOperation, Error>>, Error> {
        let first = self.get_operation(user, uuid).await?;
        let follow = Follow { catalog: self.clone(), user: user.clone(), uuid, last: first.clone() };
        let rest = stream::unfold(Some(follow), |follow| async move {
            let mut follow = follow?;
            if has_ended(&follow.last.record) {
                return None;
            }
            match follow.next().await {
                Ok(shown) => Some((Ok(shown), Some(follow))),
                // It was forgotten.
                Err(Error::NotFound(_)) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(stream::once(std::future::ready(Ok(first))).chain(rest).boxed())
    }

    /// Says something to an operation that gives a clone its bytes. What one does already may be said again.
    pub async fn tell_operation(&self, user: &User, uuid: Uuid, say: Say) -> Result<ShownOperation, Error> {
        let asked = self.operation_of(user, uuid).await?;
        let worker = uuid_of(&self.worker_of(&asked).await?)?;
        self.decide(uuid, |mut tx| async move {
            let mut record = tx.operation(worker).await?.ok_or_else(|| missing(worker))?;
            let before = record.clone();
            decide_told(&mut record, say)?;
            if record != before {
                tx.put_operation(&record)?;
            }
            Ok(tx.answer(()))
        })
        .await?;
        match (self.paces.of(worker), say) {
            (Some(pace), Say::Cancel | Say::Pause) => pace.stop(),
            (Some(pace), Say::Speed(bytes_per_second)) => pace.set_rate(self.rate(bytes_per_second)),
            (Some(_), Say::Resume) | (None, _) => {}
        }
        self.paces.wake(worker);
        self.operations.notify_one();
        self.get_operation(user, uuid).await
    }

    /// Forgets one that has ended; one that is not there is no error.
    pub async fn delete_operation(&self, user: &User, uuid: Uuid) -> Result<(), Error> {
        self.decide(uuid, |mut tx| async move {
            let Some(record) = tx.operation(uuid).await? else { return Ok(tx.answer(())) };
            user.check(&record.owner, format_args!("operation {uuid}"))?;
            if !has_ended(&record) {
                return Err(Error::TaskUnfinished(record.uuid));
            }
            tx.remove_operation(&record)?;
            Ok(tx.answer(()))
        })
        .await
        .map(|_| ())
    }
}

fn missing(uuid: Uuid) -> Error {
    Error::NotFound(format!("operation {uuid}"))
}

/// What becomes of an operation that is told something.
fn decide_told(record: &mut VolumeOperationRecord, say: Say) -> Result<(), Error> {
    if say == Say::Cancel {
        if !is_active(record) {
            return Err(Error::NotCancellable(format!("operation {}", record.uuid)));
        }
        record.state = State::Canceling.into();
        return Ok(());
    }
    if !is_active(record) || state(record) == State::Canceling {
        return Err(Error::BadState(format!("operation {} has ended, or is not one that copies", record.uuid)));
    }
    match say {
        Say::Pause => record.state = State::Paused.into(),
        Say::Resume if state(record) == State::Paused => record.state = State::Queued.into(),
        Say::Speed(bytes_per_second) => record.bytes_per_second = bytes_per_second,
        Say::Resume | Say::Cancel => {}
    }
    Ok(())
}

/// One watch.
struct Follow {
    catalog: Catalog,
    user: User,
    uuid: Uuid,
    last: ShownOperation,
}

impl Follow {
    /// How it stands as soon as that is not as it was.
    async fn next(&mut self) -> Result<ShownOperation, Error> {
        let key = keys::operation(self.uuid);
        loop {
            tokio::select! {
                () = self.catalog.shutdown.cancelled() => return Err(Error::ShuttingDown),
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            let seen = self.catalog.store.revision();
            let shown = self.catalog.get_operation(&self.user, self.uuid).await?;
            if shown != self.last {
                self.last = shown.clone();
                return Ok(shown);
            }
            // How far one is that runs is in no record.
            if self.catalog.progress.of(&shown.record.uuid).is_some() || state(&shown.record) == State::Running {
                continue;
            }
            let mut changes = self.catalog.store.watch(key.clone(), seen);
            tokio::select! {
                () = self.catalog.shutdown.cancelled() => return Err(Error::ShuttingDown),
                change = changes.next() => {
                    change.transpose()?;
                }
            }
        }
    }
}
