//! Flattening: gives a clone the bytes that it reads from its parent, under its writers.
//!
//! The bytes go into a new layer, which then takes the place of all layers of the parent. Until it does, nothing that
//! anybody can see changes, so a flatten can be stopped, continued and taken back at any moment.

use steward_proto::store::v1::{LayerRecord, VolumeOperationRecord, VolumeRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::LayerId;
use super::error::Error;
use super::namespace::{Found, User, Which};
use super::operation::{State, Type, has_ended, kind, state};
use super::operations::ShownOperation;
use crate::store::tx::Tx;

/// What a flatten was answered with.
#[derive(Clone, Debug)]
pub struct Flattened {
    /// The operation; nothing if nothing is to be done.
    pub operation: Option<ShownOperation>,
    /// The volume.
    pub volume: VolumeRecord,
}

impl Catalog {
    /// Begins to flatten a clone, at most at so many bytes a second (0: as the server is set). A volume that needs
    /// nothing of a parent is answered without an operation, one that is at it with the operation that is.
    pub async fn flatten(&self, user: &User, which: &Which, bytes_per_second: u64) -> Result<Flattened, Error> {
        let (catalog, user, which) = (self.clone(), user.clone(), which.clone());
        // Once it is recorded, the runner has to hear of it.
        self.to_the_end(async move { catalog.begin_to_flatten(&user, &user, &which, bytes_per_second).await }).await
    }

    /// The same, where one is asked whether it may and the operation belongs to another. Not to be left halfway.
    pub(super) async fn begin_to_flatten(
        &self,
        user: &User,
        owner: &User,
        which: &Which,
        bytes_per_second: u64,
    ) -> Result<Flattened, Error> {
        let plan =
            Plan { uuid: Uuid::new_v4(), into: self.next_layer(), now_us: self.now_us(), owner, bytes_per_second };
        let ((operation, volume), _) = self
            .decide(which, |mut tx| {
                let plan = &plan;
                async move {
                    let found = tx.find(which, user).await?;
                    found.check(user)?;
                    let found = found.volume()?;
                    if found.is_trashed() {
                        return Err(Error::BadState(format!("{} is in the trash", found.path)));
                    }
                    if found.record.parent_snapshot.is_empty() {
                        return Ok(tx.answer((None, found.record)));
                    }
                    if let Some(running) = tx.running_flatten(&found).await? {
                        return Ok(tx.answer((Some(running), found.record)));
                    }
                    self.room_for_operation().await?;
                    let answer = tx.begin_flatten(found, plan).await?;
                    Ok(tx.answer(answer))
                }
            })
            .await?;
        self.operations.notify_one();
        let operation = match operation {
            Some(record) => Some(self.show_operation(record).await?),
            None => None,
        };
        Ok(Flattened { operation, volume })
    }
}

/// What a new flatten is to be.
struct Plan<'a> {
    uuid: Uuid,
    into: LayerId,
    now_us: u64,
    owner: &'a User,
    bytes_per_second: u64,
}

impl Tx<'_> {
    /// The operation that flattens a volume already. Refuses a volume that another one works on.
    async fn running_flatten(&mut self, found: &Found) -> Result<Option<VolumeOperationRecord>, Error> {
        let Some(record) = self.named_operation(&found.record.operation).await? else { return Ok(None) };
        if has_ended(&record) {
            return Ok(None);
        }
        if record.into_layer == 0 || state(&record) == State::Canceling {
            return Err(Error::BadState(format!("operation {} works on {}", record.uuid, found.path)));
        }
        Ok(Some(record))
    }

    async fn begin_flatten(
        &mut self,
        found: Found,
        plan: &Plan<'_>,
    ) -> Result<(Option<VolumeOperationRecord>, VolumeRecord), Error> {
        let Found { record: mut volume, path, .. } = found;
        let mut operation = VolumeOperationRecord {
            uuid: plan.uuid.to_string(),
            r#type: Type::Flatten.into(),
            state: State::Queued.into(),
            owner: plan.owner.0.clone(),
            source: volume.parent_snapshot.clone(),
            snapshot: volume.parent_snapshot.clone(),
            target: path.to_string(),
            target_id: volume.id,
            into_layer: plan.into.0,
            bytes_per_second: plan.bytes_per_second,
            create_us: plan.now_us,
            ..VolumeOperationRecord::default()
        };
        self.add_flat_layer(&volume, &operation).await?;
        if let Some(mut clone) = self.named_operation(&volume.clone_operation).await?
            && state(&clone) == State::MetaInstalled
        {
            clone.state = State::Running.into();
            self.put_operation(&clone)?;
            operation.clone_operation = clone.uuid;
        }
        self.add_operation(&operation)?;
        volume.operation.clone_from(&operation.uuid);
        self.put_volume(&volume);
        Ok((Some(operation), volume))
    }

    /// Adds the layer that is to take the place of the parent's under a clone, for the operation that fills it.
    pub(super) async fn add_flat_layer(
        &mut self,
        volume: &VolumeRecord,
        operation: &VolumeOperationRecord,
    ) -> Result<(), Error> {
        let base = self.layer(volume.base_layer).await?;
        // What the clone grew beyond its parent is its own.
        let size_bytes = if base.parent == 0 { base.size_bytes } else { self.layer(base.parent).await?.size_bytes };
        let flat = LayerRecord {
            id: operation.into_layer,
            size_bytes,
            checksums: volume.checksums,
            operation: operation.uuid.clone(),
            ..LayerRecord::default()
        };
        self.add_layer(&flat).await
    }

    /// Puts the flat layer into the place of the parent's layers, in the records: the volume needs no parent any more.
    /// Returns the number of the layer that stands on it now. Nothing if the operation does not run any more.
    pub(super) async fn install_flat(&mut self, uuid: Uuid, now_us: u64) -> Result<Option<u64>, Error> {
        let Some(mut operation) = self.operation(uuid).await? else { return Ok(None) };
        let volume = self.volume(operation.target_id).await?;
        let Some(mut volume) = volume.filter(|volume| volume.operation == operation.uuid) else { return Ok(None) };
        if state(&operation) != State::Running {
            return Ok(None);
        }
        let base = volume.base_layer;
        self.name_flat(operation.into_layer).await?;
        self.move_layer(base, operation.into_layer).await?;
        self.leave_base(base).await?;
        self.leave_parent(&volume).await?;
        volume.parent_snapshot.clear();
        volume.base_layer = 0;
        volume.operation.clear();
        self.put_volume(&volume);
        self.end_operation(&mut operation, State::Succeeded, now_us).await?;
        Ok(Some(base))
    }

    async fn name_flat(&mut self, into: u64) -> Result<(), Error> {
        let mut layer = self.layer(into).await?;
        layer.operation.clear();
        self.put_layer(&layer);
        Ok(())
    }

    async fn leave_base(&mut self, base: u64) -> Result<(), Error> {
        let mut layer = self.layer(base).await?;
        layer.base_of = 0;
        self.put_layer(&layer);
        Ok(())
    }

    /// Takes back, in the records, what an operation has done so far. Returns the layer to remove; nothing if it has
    /// ended already.
    pub(super) async fn take_back(
        &mut self,
        uuid: Uuid,
        how: State,
        message: &str,
        now_us: u64,
    ) -> Result<Option<u64>, Error> {
        let Some(mut operation) = self.operation(uuid).await? else { return Ok(None) };
        if has_ended(&operation) {
            return Ok(None);
        }
        if let Some(mut volume) = self.volume(operation.target_id).await?
            && volume.operation == operation.uuid
        {
            volume.operation.clear();
            self.put_volume(&volume);
        }
        message.clone_into(&mut operation.error_message);
        let into = operation.into_layer;
        if self.get::<LayerRecord>(&super::keys::layer(into)).await?.is_some() {
            self.remove_layer(into).await?;
        }
        self.end_operation(&mut operation, how, now_us).await?;
        Ok(Some(into))
    }

    /// Ends an operation, and with it the one that made the clone, if that waits for it.
    async fn end_operation(
        &mut self,
        operation: &mut VolumeOperationRecord,
        how: State,
        now_us: u64,
    ) -> Result<(), Error> {
        if let Some(mut clone) = self.named_operation(&operation.clone_operation).await?
            && kind(&clone) == Type::Clone
            && state(&clone) == State::Running
        {
            if how == State::Succeeded {
                super::operation::end(&mut clone, how, now_us);
            } else {
                clone.state = State::MetaInstalled.into();
            }
            self.put_operation(&clone)?;
        }
        super::operation::end(operation, how, now_us);
        self.put_operation(operation)
    }
}
