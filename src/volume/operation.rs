//! The records of operations: how they stand, and the tables that they are in.

use steward_proto::store::v1::VolumeOperationRecord;
pub(super) use steward_proto::volume::v1::{OperationState as State, OperationType as Type};
use uuid::Uuid;

use super::error::Error;
use super::keys;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Store, Table};

/// How it stands.
pub(super) fn state(record: &VolumeOperationRecord) -> State {
    State::try_from(record.state).unwrap_or(State::Unspecified)
}

/// What it does.
pub(super) fn kind(record: &VolumeOperationRecord) -> Type {
    Type::try_from(record.r#type).unwrap_or(Type::Unspecified)
}

/// Whether nothing more happens to it.
pub(super) fn has_ended(record: &VolumeOperationRecord) -> bool {
    matches!(state(record), State::Succeeded | State::Failed | State::Cancelled)
}

/// Whether it gives a clone the bytes of its parent and has not ended: it waits for its turn, runs, rests or cleans up.
pub(super) fn is_active(record: &VolumeOperationRecord) -> bool {
    matches!(kind(record), Type::Flatten | Type::Clone) && record.into_layer != 0 && !has_ended(record)
}

/// Ends it.
pub(super) fn end(record: &mut VolumeOperationRecord, how: State, now_us: u64) {
    record.state = how.into();
    record.end_us = now_us;
}

/// The UUID that a record has as text.
pub(super) fn uuid_of(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::Internal(format!("{text:?} in a record is no UUID")))
}

/// The operations that have work to do, at most `limit`.
pub(super) async fn active(store: &dyn Store, limit: usize) -> Result<Vec<Uuid>, Error> {
    let range = KeyRange::prefix(&Key::table(Table::VolumeOperationActive));
    let found = tx::scan(store, range, limit).await?;
    Ok(found.iter().filter_map(|(key, _)| keys::active_uuid(key)).collect())
}

impl Tx<'_> {
    /// The record of an operation.
    pub(super) async fn operation(&mut self, uuid: Uuid) -> Result<Option<VolumeOperationRecord>, Error> {
        Ok(self.get(&keys::operation(uuid)).await?)
    }

    /// The record of the operation that another record names; nothing without a name, or when it was forgotten.
    pub(super) async fn named_operation(&mut self, name: &str) -> Result<Option<VolumeOperationRecord>, Error> {
        if name.is_empty() {
            return Ok(None);
        }
        self.operation(uuid_of(name)?).await
    }

    /// Adds an operation. Whoever adds one with work to do asks for [`super::Catalog::room_for_operation`] before, and
    /// wakes the runner afterwards (`operations`).
    pub(super) fn add_operation(&mut self, record: &VolumeOperationRecord) -> Result<(), Error> {
        let uuid = uuid_of(&record.uuid)?;
        self.put_bytes(keys::operation_time(record.create_us, uuid), Vec::new());
        self.put_operation(record)
    }

    /// Puts the record of an operation that is there.
    pub(super) fn put_operation(&mut self, record: &VolumeOperationRecord) -> Result<(), Error> {
        let uuid = uuid_of(&record.uuid)?;
        self.put(keys::operation(uuid), record);
        if is_active(record) {
            self.put_bytes(keys::operation_active(uuid), Vec::new());
        } else {
            self.delete(keys::operation_active(uuid));
        }
        Ok(())
    }

    /// Forgets an operation.
    pub(super) fn remove_operation(&mut self, record: &VolumeOperationRecord) -> Result<(), Error> {
        let uuid = uuid_of(&record.uuid)?;
        self.delete(keys::operation_time(record.create_us, uuid));
        self.delete(keys::operation_active(uuid));
        self.delete(keys::operation(uuid));
        Ok(())
    }
}

impl super::Catalog {
    /// Refuses one more operation with work to do when there are as many as may be. Requests that come at the same
    /// moment may go a little beyond that.
    pub(super) async fn room_for_operation(&self) -> Result<(), Error> {
        let limit = self.settings.max_operations;
        if active(&*self.store, limit).await?.len() < limit { Ok(()) } else { Err(Error::TaskLimit { limit }) }
    }
}
