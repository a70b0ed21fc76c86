//! Opening and closing volumes and snapshots.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use steward_proto::store::v1::{VolumeRecord, VolumeSnapshotRecord};
use tokio::sync::RwLockReadGuard;
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::{Access, View};
use super::error::Error;
use super::exports::ExportRecord;
use super::layer_tree;
use super::namespace::{User, Which};
use super::open::Target;
use super::session::{Session, SessionInfo};
use crate::store::tx::Tx;

/// Who opens something, and how.
#[derive(Clone, Debug)]
pub struct Opener {
    /// On whose behalf: what does not belong to it is refused.
    pub user: User,
    /// Where the client is; for people.
    pub peer: String,
    /// What it wants.
    pub wish: Wish,
    /// The export that it names.
    pub export: Option<Uuid>,
}

/// How something is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To read.
    Read,
    /// To write, or only to read where writing is not possible.
    WriteIfPossible,
    /// To write, and nobody else has it open.
    WriteAlone,
}

/// What keeps the layers of a chain where they are while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layers {
    /// The volume whose chain it is: it stays while it is open.
    Named,
    /// Only that it is open: a snapshot can be let go meanwhile.
    Pinned,
}

impl Catalog {
    /// Opens a volume. All sessions of a volume share one view of it. What is in the trash is not found.
    pub async fn open_volume(&self, which: &Which, opener: Opener) -> Result<Session, Error> {
        let (catalog, which) = (self.clone(), which.clone());
        self.to_the_end(async move {
            let id = catalog.usable_volume(&which, &opener.user).await?.id;
            let _lock = catalog.volume_locks.one(id).await;
            // It may have been deleted or put elsewhere before the lock was there.
            let volume = catalog.usable_volume(&which, &opener.user).await?;
            if volume.id != id {
                return Err(Error::NotFound(which.to_string()));
            }
            catalog.open_locked(&volume, &which, opener).await
        })
        .await
    }

    /// Opens a snapshot of a volume, named by its UUID or its name, to read.
    pub async fn open_snapshot(&self, which: &Which, snapshot: &str, opener: Opener) -> Result<Session, Error> {
        let (catalog, which, snapshot) = (self.clone(), which.clone(), snapshot.to_owned());
        self.to_the_end(async move {
            let id = catalog.volume_of(&which, &opener.user).await?.id;
            let _lock = catalog.volume_locks.one(id).await;
            let volume = catalog.volume_of(&which, &opener.user).await?;
            let record = catalog.snapshot_of(&volume, &which, &snapshot, &opener.user).await?;
            let target = Target::Snapshot(super::operation::uuid_of(&record.uuid)?);
            // Who was given a volume may also see what it was.
            catalog.export_named(&opener, &which, &[target, Target::Volume(volume.id)])?;
            catalog.open_snapshot_locked(&record, &opener).await
        })
        .await
    }

    /// Opens a snapshot that was made for this, and that nobody else sees.
    pub(super) async fn open_hidden(&self, hidden: &VolumeSnapshotRecord, peer: &str) -> Result<Session, Error> {
        let (catalog, record) = (self.clone(), hidden.clone());
        let opener = Opener::server(Wish::Read, peer);
        self.to_the_end(async move {
            let _lock = catalog.volume_locks.one(record.volume_id).await;
            catalog.open_snapshot_locked(&record, &opener).await
        })
        .await
    }

    /// Opens a snapshot; its volume's lock is held.
    async fn open_snapshot_locked(&self, record: &VolumeSnapshotRecord, opener: &Opener) -> Result<Session, Error> {
        let uuid = super::operation::uuid_of(&record.uuid)?;
        let session = Arc::new(self.session(Target::Snapshot(uuid), record.volume_id, opener, true));
        if let Some(view) = self.open.join(&session) {
            return Ok(Session::new(self.clone(), session, view));
        }
        let tree = self.tree.read().await;
        // Only with the lock of the tree it is certain which layer the snapshot is read from.
        let record = Tx::new(&*self.store).snapshot(uuid).await?.filter(|record| !record.is_deleting);
        let record = record.ok_or_else(|| Error::NotFound(format!("snapshot {uuid}")))?;
        let view = self.open_chain(record.layer, Access::ReadOnly, Layers::Pinned, &session, &tree).await?;
        Ok(Session::new(self.clone(), session, view))
    }

    /// A volume that can be opened by a user.
    pub(super) async fn usable_volume(&self, which: &Which, user: &User) -> Result<VolumeRecord, Error> {
        let record = self.volume_of(which, user).await?;
        if record.trash.is_some() { Err(Error::NotFound(which.to_string())) } else { Ok(record) }
    }

    async fn volume_of(&self, which: &Which, user: &User) -> Result<VolumeRecord, Error> {
        let found = Tx::new(&*self.store).find(which, user).await?.volume()?;
        found.check(user)?;
        Ok(found.record)
    }

    /// The snapshot of a volume that is named by its UUID or its name.
    pub(super) async fn snapshot_of(
        &self,
        volume: &VolumeRecord,
        which: &Which,
        name: &str,
        user: &User,
    ) -> Result<VolumeSnapshotRecord, Error> {
        let mut tx = Tx::new(&*self.store);
        let named = tx.snapshot_named(volume.id, name).await?;
        let found = match (named, Uuid::parse_str(name)) {
            (Some(named), _) => Some(named),
            (None, Ok(uuid)) => tx.snapshot(uuid).await?,
            (None, Err(_)) => None,
        };
        let found = found.filter(|record| record.volume_id == volume.id && !record.is_deleting && !record.hidden);
        let record = found.ok_or_else(|| Error::NotFound(format!("{which}@{name}")))?;
        user.check(&record.owner, format_args!("snapshot {}", record.uuid))?;
        Ok(record)
    }

    async fn open_locked(&self, volume: &VolumeRecord, which: &Which, opener: Opener) -> Result<Session, Error> {
        let target = Target::Volume(volume.id);
        let is_read_only = self.is_read_only_for(volume, which, &opener)?;
        let session = Arc::new(self.session(target, volume.id, &opener, is_read_only));
        if let Some(view) = self.open.join(&session) {
            return Ok(Session::new(self.clone(), session, view));
        }
        let access = if volume.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let tree = self.tree.read().await;
        let view = self.open_chain(volume.top_layer, access, Layers::Named, &session, &tree).await?;
        Ok(Session::new(self.clone(), session, view))
    }

    /// Whether a session may only read. Refuses one that wants more than it can have.
    fn is_read_only_for(&self, volume: &VolumeRecord, which: &Which, opener: &Opener) -> Result<bool, Error> {
        let target = Target::Volume(volume.id);
        let export = self.export_named(opener, which, &[target])?;
        match opener.wish {
            Wish::WriteAlone if volume.read_only => Err(Error::BadState(format!("{which} is read-only"))),
            Wish::WriteAlone if self.open.is_used(volume.id) => {
                Err(Error::VolumeInUse(format!("{which} is open, or exported")))
            }
            Wish::WriteAlone => Ok(false),
            Wish::Read => Ok(true),
            Wish::WriteIfPossible => {
                let is_kept_out = self.open.exclusive(target).is_some_and(|other| Some(other.uuid) != opener.export)
                    || self.open.is_taken(target);
                Ok(volume.read_only || is_kept_out || export.is_some_and(|export| export.is_read_only))
            }
        }
    }

    /// The export that is named, if one is. It has to be one of these.
    fn export_named(&self, opener: &Opener, which: &Which, of: &[Target]) -> Result<Option<ExportRecord>, Error> {
        let Some(uuid) = opener.export else { return Ok(None) };
        let export = self.open.export(uuid).filter(|export| of.contains(&export.target));
        export.map(Some).ok_or_else(|| Error::NotFound(format!("export {uuid} of {which}")))
    }

    fn session(&self, target: Target, volume: u64, opener: &Opener, is_read_only: bool) -> SessionInfo {
        SessionInfo {
            uuid: Uuid::new_v4(),
            target,
            volume,
            is_read_only,
            is_alone: opener.wish == Wish::WriteAlone,
            user: opener.user.0.clone(),
            peer: opener.peer.clone(),
            export: opener.export,
            created: self.clock.now(),
            read_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            stop: self.shutdown.child_token(),
        }
    }

    /// Opens the chain that ends in a layer, for its first session. The locks of the volume and of the tree are held.
    async fn open_chain(
        &self,
        top: u64,
        access: Access,
        layers: Layers,
        session: &Arc<SessionInfo>,
        _tree: &RwLockReadGuard<'_, ()>,
    ) -> Result<Arc<dyn View>, Error> {
        let chain = layer_tree::chain(&*self.store, top).await?;
        let busy = match layers {
            Layers::Named => None,
            Layers::Pinned => Some(self.busy_layers.hold(chain.iter().map(|layer| layer.id.0).collect())),
        };
        let view = self.blocking(move |driver| driver.open(&chain, access)).await?;
        // Within the lock: who replaces layers afterwards finds it among what is open.
        self.open.add(Arc::clone(&view), busy, session);
        Ok(view)
    }

    /// Closes what nobody uses, after everything that was written survives a power loss.
    pub(super) async fn close_idle(&self, target: Target, volume: u64) {
        let _lock = self.volume_locks.one(volume).await;
        self.close_idle_locked(target, volume).await;
    }

    /// The same, by who holds the volume's lock: what its last client has just left is not taken for open then.
    pub(super) async fn close_idle_locked(&self, target: Target, volume: u64) {
        if !self.open.is_idle(target) {
            return;
        }
        if let Some(view) = self.open.view_of(target) {
            let flushed = self.blocking(move |_| if view.is_read_only() { Ok(()) } else { view.flush() }).await;
            if let Err(error) = flushed {
                tracing::error!(volume, %error, "what was written last to a volume may be lost");
            }
        }
        let closing = self.open.take_idle(target);
        if self
            .blocking(move |_| {
                drop(closing);
                Ok(())
            })
            .await
            .is_err()
        {
            tracing::warn!(volume, "a volume was not closed in order");
        }
        self.tidy.notify_one();
    }
}

impl Opener {
    /// Somebody to whom everything is open, who reads or writes.
    pub fn server(wish: Wish, peer: &str) -> Self {
        Opener { user: User(super::namespace::ROOT_USER.to_owned()), peer: peer.to_owned(), wish, export: None }
    }
}
