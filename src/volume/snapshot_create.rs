//! Makes snapshots: of one volume or of several, at one moment, under their writers.
//!
//! The top of each volume is frozen and a new one put on it; the records follow in one commit. Flushes wait in between,
//! so that nothing is promised of a top that no record knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use steward_proto::store::v1::{LayerRecord, VolumeRecord, VolumeSnapshotRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::{Frozen, LayerId, LayerSpec, View};
use super::error::Error;
use super::keys;
use super::namespace::{User, Which};
use super::snapshots::ShownSnapshot;
use super::users::Charge;
use crate::store::tx::Tx;

/// What to make.
#[derive(Clone, Debug, Default)]
pub struct CreateSnapshot {
    /// Its name.
    pub name: String,
    /// What to write on it.
    pub labels: HashMap<String, String>,
    /// When it is deleted by itself, counted from now.
    pub ttl: Option<Duration>,
    /// It cannot be deleted until that is taken back.
    pub protected: bool,
    /// The policy that makes it; empty: none.
    pub policy: String,
    /// It is made for something else, and nobody sees it.
    pub hidden: bool,
}

/// Snapshots that were made, or were there.
#[derive(Clone, Debug)]
pub struct MadeSnapshots {
    /// They, in the order of the volumes.
    pub snapshots: Vec<ShownSnapshot>,
    /// The group; empty for a single one.
    pub group: String,
    /// They were not there before.
    pub created: bool,
    /// For how long writes waited.
    pub pause: Duration,
}

/// The most volumes of a group: what one transaction can change.
pub const MAX_GROUP: usize = 10;

/// A volume of which a snapshot is made, and the layer that becomes its top.
#[derive(Clone, Copy, Debug)]
struct Member {
    volume: u64,
    old_top: LayerId,
    new_top: LayerSpec,
    uuid: Uuid,
}

impl Catalog {
    /// Makes a snapshot of a volume. One of that name is answered as it is.
    pub async fn create_snapshot(
        &self,
        user: &User,
        volume: Which,
        what: CreateSnapshot,
    ) -> Result<MadeSnapshots, Error> {
        let (catalog, user) = (self.clone(), user.clone());
        self.to_the_end(async move { catalog.snapshot(&user, &[volume], &what, String::new()).await }).await
    }

    /// Makes snapshots of several volumes at one moment: all of them or none.
    pub async fn create_group_snapshot(
        &self,
        user: &User,
        volumes: Vec<Which>,
        what: CreateSnapshot,
    ) -> Result<MadeSnapshots, Error> {
        let (catalog, user) = (self.clone(), user.clone());
        let group = Uuid::new_v4().to_string();
        self.to_the_end(async move { catalog.snapshot(&user, &volumes, &what, group).await }).await
    }

    async fn snapshot(
        &self,
        user: &User,
        volumes: &[Which],
        what: &CreateSnapshot,
        group: String,
    ) -> Result<MadeSnapshots, Error> {
        let ids = self.ids_of(user, volumes).await?;
        let _locks = self.volume_locks.all(ids.iter().copied()).await;
        let volumes: Vec<(u64, &Which)> = ids.into_iter().zip(volumes).collect();
        self.snapshot_locked(user, &volumes, what, group).await
    }

    /// Makes the snapshots; the locks of the volumes are held.
    pub(super) async fn snapshot_locked(
        &self,
        user: &User,
        volumes: &[(u64, &Which)],
        what: &CreateSnapshot,
        group: String,
    ) -> Result<MadeSnapshots, Error> {
        let mut members = Vec::new();
        for (id, which) in volumes {
            match self.check_member(user, *id, which, what).await? {
                Checked::Exists(record) if group.is_empty() => {
                    let snapshots = vec![self.show_snapshot(record).await?];
                    return Ok(MadeSnapshots { snapshots, group, created: false, pause: Duration::ZERO });
                }
                Checked::Exists(_) => return Err(Error::AlreadyExists(format!("{which}@{}", what.name))),
                Checked::New(member) => members.push(member),
            }
        }
        let tops: Vec<LayerSpec> = members.iter().map(|member| member.new_top).collect();
        let made = self.blocking(move |driver| tops.into_iter().try_for_each(|top| driver.create_layer(top))).await;
        self.or_without(&members, made).await?;
        let (records, pause) = self.freeze_and_record(user, &members, what, &group).await?;
        let mut snapshots = Vec::new();
        for record in records {
            snapshots.push(self.show_snapshot(record).await?);
        }
        Ok(MadeSnapshots { snapshots, group, created: true, pause })
    }

    async fn ids_of(&self, user: &User, volumes: &[Which]) -> Result<Vec<u64>, Error> {
        let mut ids = Vec::new();
        for which in volumes {
            let id = Tx::new(&*self.store).find(which, user).await?.volume()?.record.id;
            if ids.contains(&id) {
                return Err(Error::Invalid { field: "volumes", problem: format!("{which} is named twice") });
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Whether a snapshot can be made, before anything is frozen.
    async fn check_member(&self, user: &User, id: u64, which: &Which, what: &CreateSnapshot) -> Result<Checked, Error> {
        let mut tx = Tx::new(&*self.store);
        let volume = match self.snapshot_allowed(&mut tx, user, id, which, what).await? {
            Allowed::Exists(record) => return Ok(Checked::Exists(record)),
            Allowed::Volume(volume) => volume,
        };
        let new_top = LayerSpec { id: self.next_layer(), size: volume.size_bytes, checksums: volume.checksums };
        let old_top = LayerId(volume.top_layer);
        Ok(Checked::New(Member { volume: id, old_top, new_top, uuid: Uuid::new_v4() }))
    }

    /// The rules, on records as they are.
    async fn snapshot_allowed(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        id: u64,
        which: &Which,
        what: &CreateSnapshot,
    ) -> Result<Allowed, Error> {
        let found = tx.find(which, user).await?.volume()?;
        if found.record.id != id {
            return Err(Error::BadState(format!("{which} was replaced by another volume in the meantime")));
        }
        if !what.hidden {
            found.check(user)?;
        }
        if found.is_trashed() {
            return Err(Error::BadState(format!("{which} is in the trash")));
        }
        if let Some(existing) = tx.snapshot_named(id, &what.name).await? {
            if existing.is_deleting {
                return Err(Error::AlreadyExists(format!("{which}@{}, which is being deleted,", what.name)));
            }
            return Ok(Allowed::Exists(existing));
        }
        let volume = found.record;
        if !volume.operation.is_empty() {
            return Err(Error::BadState(format!("{which} is being flattened")));
        }
        if volume.read_only && self.open.view(id).is_some() {
            // What its readers have open cannot be told of a new top.
            return Err(Error::BadState(format!(
                "{which} is read-only and open; it can be snapshotted when it is closed"
            )));
        }
        if volume.snapshot_count >= self.settings.max_snapshots {
            return Err(Error::SnapshotLimit { volume: which.to_string(), limit: self.settings.max_snapshots });
        }
        tx.check_depth(volume.top_layer).await?;
        if !what.hidden {
            tx.charge(&volume.owner, Charge { snapshots: 1, ..Charge::default() }).await?;
        }
        Ok(Allowed::Volume(volume))
    }

    async fn freeze_and_record(
        &self,
        user: &User,
        members: &[Member],
        what: &CreateSnapshot,
        group: &str,
    ) -> Result<(Vec<VolumeSnapshotRecord>, Duration), Error> {
        let _tree = self.tree.read().await;
        let mut tops: Vec<(Arc<dyn View>, LayerSpec)> = Vec::new();
        for member in members {
            tops.extend(self.open.view(member.volume).map(|view| (view, member.new_top)));
        }
        if tops.is_empty() {
            let recorded = self.record_snapshots(user, members, what, group).await;
            return Ok((self.or_without(members, recorded).await?, Duration::ZERO));
        }
        let frozen = self.blocking(move |driver| driver.freeze(tops)).await;
        let frozen = self.or_without(members, frozen).await?;
        let pause = frozen.pause();
        metrics::histogram!("steward_volume_snapshot_pause_seconds").record(pause);
        let (frozen, settled) = settle(frozen).await?;
        let recorded = match settled {
            Ok(()) => self.record_snapshots(user, members, what, group).await,
            Err(error) => Err(error.into()),
        };
        let error = match recorded {
            Ok(records) => return Ok((records, pause)),
            Err(error) => error,
        };
        // The tops are there all the same: the records have to know them before a flush may promise anything.
        if let Err(worse) = self.record_tops(members).await {
            tracing::error!(error = %worse, "a volume goes on in a layer that cannot be recorded; its flushes wait for ever");
            // What is in the new tops is lost at the next start, so no flush may ever end well.
            std::mem::forget(frozen);
        }
        Err(error)
    }

    /// Removes the new tops if what they were made for was refused.
    async fn or_without<T>(&self, members: &[Member], result: Result<T, Error>) -> Result<T, Error> {
        let tops: Vec<LayerId> = members.iter().map(|member| member.new_top.id).collect();
        self.or_without_layers(&tops, result).await
    }

    async fn record_snapshots(
        &self,
        user: &User,
        members: &[Member],
        what: &CreateSnapshot,
        group: &str,
    ) -> Result<Vec<VolumeSnapshotRecord>, Error> {
        let decided = self.decide("a snapshot", |mut tx| async move {
            let mut records = Vec::new();
            for member in members {
                let which = Which::Id(member.volume);
                let volume = match self.snapshot_allowed(&mut tx, user, member.volume, &which, what).await? {
                    Allowed::Volume(volume) => volume,
                    Allowed::Exists(_) => return Err(Error::AlreadyExists(format!("{which}@{}", what.name))),
                };
                records.push(self.record_snapshot(&mut tx, volume, *member, what, group).await?);
            }
            Ok(tx.answer(records))
        });
        Ok(decided.await?.0)
    }

    async fn record_snapshot(
        &self,
        tx: &mut Tx<'_>,
        mut volume: VolumeRecord,
        member: Member,
        what: &CreateSnapshot,
        group: &str,
    ) -> Result<VolumeSnapshotRecord, Error> {
        let now = self.now_us();
        let micros = |ttl: Duration| u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let record = VolumeSnapshotRecord {
            uuid: member.uuid.to_string(),
            volume_id: volume.id,
            name: what.name.clone(),
            owner: volume.owner.clone(),
            seq: volume.seq,
            size_bytes: volume.size_bytes,
            layer: volume.top_layer,
            create_us: now,
            expire_us: what.ttl.map_or(0, |ttl| now.saturating_add(micros(ttl))),
            labels: what.labels.clone(),
            group: group.to_owned(),
            policy: what.policy.clone(),
            protected: what.protected,
            hidden: what.hidden,
            ..VolumeSnapshotRecord::default()
        };
        tx.put_snapshot(&record)?;
        let uuid = member.uuid.as_bytes().to_vec();
        tx.put_bytes(keys::snapshot_seq(volume.id, record.seq), uuid.clone());
        tx.put_bytes(keys::snapshot_name(volume.id, &record.name), uuid);
        if record.expire_us != 0 {
            tx.put_bytes(keys::expiry(record.expire_us, member.uuid), Vec::new());
        }
        volume.seq += 1;
        volume.snapshot_count += 1;
        tx.push_top(&mut volume, member.old_top, member.new_top, &record.uuid).await?;
        Ok(record)
    }

    /// Records the new tops of open volumes without a snapshot of them.
    async fn record_tops(&self, members: &[Member]) -> Result<(), Error> {
        let decided = self.decide("the top of a volume", |mut tx| async move {
            for member in members {
                if self.open.view(member.volume).is_none() {
                    continue;
                }
                let volume = tx.volume(member.volume).await?;
                let mut volume = volume
                    .ok_or_else(|| Error::Internal(format!("volume {} is open and has no record", member.volume)))?;
                tx.push_top(&mut volume, member.old_top, member.new_top, "").await?;
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        self.tidy.notify_one();
        Ok(())
    }
}

impl Tx<'_> {
    /// Puts a new top on a volume. What was the top is read by `snapshot` from then on, or has no name.
    async fn push_top(
        &mut self,
        volume: &mut VolumeRecord,
        old_top: LayerId,
        new_top: LayerSpec,
        snapshot: &str,
    ) -> Result<(), Error> {
        if volume.top_layer != old_top.0 {
            // The lock of the volume is held, so nobody can have done this.
            return Err(Error::Internal(format!("volume {} has another top than it was frozen with", volume.id)));
        }
        let mut below = self.layer(old_top.0).await?;
        below.volume_id = 0;
        snapshot.clone_into(&mut below.snapshot);
        self.put_layer(&below);
        let top = LayerRecord {
            id: new_top.id.0,
            parent: old_top.0,
            size_bytes: new_top.size,
            checksums: new_top.checksums,
            volume_id: volume.id,
            ..LayerRecord::default()
        };
        self.add_layer(&top).await?;
        volume.top_layer = top.id;
        self.put_volume(volume);
        Ok(())
    }
}

enum Checked {
    Exists(VolumeSnapshotRecord),
    New(Member),
}

enum Allowed {
    Exists(VolumeSnapshotRecord),
    Volume(VolumeRecord),
}

/// Waits on a thread of its own until what is frozen is durable.
async fn settle(frozen: Box<dyn Frozen>) -> Result<(Box<dyn Frozen>, std::io::Result<()>), Error> {
    let ended = tokio::task::spawn_blocking(move || {
        let settled = frozen.settle();
        (frozen, settled)
    });
    ended.await.map_err(|error| Error::Internal(format!("freezing broke off: {error}")))
}

/// A name for a snapshot that nobody sees.
pub(super) fn hidden_name(purpose: &str) -> String {
    format!(".{purpose}-{}", Uuid::new_v4())
}
