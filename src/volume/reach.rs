//! What of the volumes a caller may do something with.

use steward_proto::store::v1::{VolumeOperationRecord, VolumeRecord};
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::keys;
use super::namespace::{ROOT_USER, User, Which, path_of, record_of};
use super::path::VolumePath;
use super::snapshots::WhichSnapshot;
use crate::auth::rights::{Area, Right};
use crate::auth::{Grants, Identity};
use crate::store::tx::{self, Tx};

/// What a caller may do as whom it acts. By default: everything, for the server itself.
#[derive(Clone, Debug)]
pub struct Reach {
    grants: Grants,
    name: String,
}

impl Default for Reach {
    fn default() -> Self {
        Reach { grants: Grants::everything(), name: String::new() }
    }
}

impl Reach {
    /// That of a caller who acts as `name`.
    pub fn new(grants: Grants, name: String) -> Self {
        Reach { grants, name }
    }

    /// Who the caller is.
    pub fn caller(&self) -> &Identity {
        self.grants.caller()
    }

    /// Whether nothing has to be asked.
    pub fn is_everything(&self) -> bool {
        self.grants.are_everything()
    }

    /// Whether something may be done with what has this path; without a path, with all volumes.
    pub fn has(&self, right: Right, path: &str) -> bool {
        self.grants.allow_as(Area::Volume, right, path, &self.name)
    }

    /// Whether the caller has a right for what belongs to the one as whom it acts, wherever that is.
    pub fn is_owner(&self, right: Right) -> bool {
        self.grants.allow_owner(Area::Volume, right, &self.name)
    }

    /// Whether a volume or directory may be known of.
    pub fn sees(&self, record: &VolumeRecord, path: &VolumePath) -> bool {
        self.is_everything() || self.has(Right::Read, place(record, path))
    }

    /// Refuses what may not be done. What may not even be seen is `missing`, as if it were not there.
    pub fn check(&self, right: Right, path: &str, missing: Error) -> Result<(), crate::error::Failure> {
        if self.has(right, path) {
            return Ok(());
        }
        if self.has(Right::Read, path) { Err(self.refusal(right, path)) } else { Err(missing.into()) }
    }

    /// Says that something may not be done.
    pub fn refusal(&self, right: Right, path: &str) -> crate::error::Failure {
        self.grants.refusal(Area::Volume, right, path.trim_start_matches('/'), &self.name)
    }
}

/// The path that rights for a volume are given for: of one in the trash, that from which it was deleted.
pub(super) fn place<'a>(record: &'a VolumeRecord, path: &'a VolumePath) -> &'a str {
    record.trash.as_ref().map_or(path.as_str(), |trash| &trash.original_path)
}

/// The owners of things are asked for elsewhere.
fn anybody() -> User {
    User(ROOT_USER.to_owned())
}

impl Catalog {
    /// For which path rights for a volume or directory are given.
    pub(super) async fn place_of(&self, which: &Which) -> Result<String, Error> {
        let found = Tx::new(&*self.store).find(which, &anybody()).await?;
        Ok(place(&found.record, &found.path).to_owned())
    }

    /// The same of a volume in the trash.
    pub(super) async fn place_of_trashed(&self, which: &Which) -> Result<String, Error> {
        let record = self.find_trashed(&anybody(), which).await?;
        Ok(record.trash.map(|trash| trash.original_path).unwrap_or_default())
    }

    /// The same of a volume by its id; empty if it is gone.
    pub(super) async fn place_of_id(&self, id: u64) -> Result<String, Error> {
        let Some(record) = record_of(&*self.store, id).await? else { return Ok(String::new()) };
        let path = path_of(&*self.store, &record).await?;
        Ok(place(&record, &path).to_owned())
    }

    /// The same of the volume of a snapshot. Whether that is where the caller thinks is asked later.
    pub(super) async fn place_of_snapshot(&self, which: &WhichSnapshot) -> Result<String, Error> {
        let bare = match which {
            WhichSnapshot::Uuid(uuid) | WhichSnapshot::UuidOf(uuid, _) => WhichSnapshot::Uuid(*uuid),
            WhichSnapshot::Named(..) => which.clone(),
        };
        let record = Tx::new(&*self.store).find_snapshot(&bare, &anybody()).await?;
        self.place_of_id(record.volume_id).await
    }

    /// The same of the volume that an operation works on; of one that is gone, where it was at that time.
    pub(super) async fn place_of_operation(&self, record: &VolumeOperationRecord) -> Result<String, Error> {
        let now = self.place_of_id(record.target_id).await?;
        let then = if record.target.starts_with('/') { record.target.as_str() } else { "" };
        Ok(if now.is_empty() { then.to_owned() } else { now })
    }

    /// The record of an operation, whoever owns it.
    pub(super) async fn any_operation(&self, uuid: Uuid) -> Result<Option<VolumeOperationRecord>, Error> {
        Ok(tx::read(&*self.store, &keys::operation(uuid)).await?)
    }

    /// The volume of an export and whether it is only read, whoever opened it.
    pub(super) async fn place_of_export(&self, uuid: Uuid) -> Result<Option<(String, bool)>, Error> {
        let Some(record) = self.open.export(uuid) else { return Ok(None) };
        Ok(Some((self.place_of_id(record.volume).await?, record.is_read_only)))
    }
}
