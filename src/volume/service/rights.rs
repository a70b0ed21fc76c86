//! Who asks, and whether it may.

use tonic::Request;
use uuid::Uuid;

use super::{VolumeServer, fields};
use crate::auth::Grants;
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::volume::error::Error;
use crate::volume::namespace::{ROOT_USER, User, Which};
use crate::volume::path::VolumePath;
use crate::volume::reach::Reach;
use crate::volume::settings::RootAccess;
use crate::volume::snapshots::WhichSnapshot;

/// On whose behalf a request is made, and what may be done then.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) user: User,
    pub(super) reach: Reach,
}

/// What the caller of a request may do.
pub(super) fn grants<T>(request: &Request<T>) -> Result<Grants, Failure> {
    Grants::of(request).map_err(|status| Failure::new(Category::Internal, "INTERNAL", status.message()))
}

impl VolumeServer {
    /// On whose behalf a request is made that names `user`, or nobody.
    pub(super) fn asker<T>(&self, request: &Request<T>, user: &str) -> Result<Asker, Failure> {
        self.acting(grants(request)?, user)
    }

    /// On whose behalf somebody acts who names `user`, or nobody. Who has not signed in and names nobody is `root`, and
    /// needs rights as that.
    pub(super) fn acting(&self, grants: Grants, user: &str) -> Result<Asker, Failure> {
        let signed_in = grants.caller().user.clone();
        let has_signed_in = signed_in.is_some();
        let named = (!user.is_empty()).then(|| user.to_owned());
        let user = User(named.or(signed_in).unwrap_or_else(|| ROOT_USER.to_owned()));
        fields::user_name("user", &user.0)?;
        let may_be_root = match self.catalog.settings.root {
            RootAccess::Trusted => true,
            RootAccess::Token => has_signed_in,
            RootAccess::Deny => false,
        };
        if user.is_root() && !may_be_root {
            return Err(Error::InvalidUser { what: "this server".to_owned(), user: user.0 }.into());
        }
        let reach = Reach::new(grants, user.0.clone());
        Ok(Asker { user, reach })
    }

    /// Refuses what may not be done with a volume or directory.
    pub(super) async fn require(&self, asker: &Asker, right: Right, which: &Which) -> Result<(), Failure> {
        if asker.reach.is_everything() {
            return Ok(());
        }
        asker.check(right, self.catalog.place_of(which).await, path_in(which), Error::NotFound(which.to_string()))
    }

    /// The same for a volume in the trash.
    pub(super) async fn require_trashed(&self, asker: &Asker, right: Right, which: &Which) -> Result<(), Failure> {
        if asker.reach.is_everything() {
            return Ok(());
        }
        let missing = Error::NotFound(format!("{which} in the trash"));
        asker.check(right, self.catalog.place_of_trashed(which).await, path_in(which), missing)
    }

    /// The same for a snapshot.
    pub(super) async fn require_snapshot(
        &self,
        asker: &Asker,
        right: Right,
        which: &WhichSnapshot,
    ) -> Result<(), Failure> {
        if asker.reach.is_everything() {
            return Ok(());
        }
        let (path, missing) = match which {
            WhichSnapshot::Named(path, _) => (Some(path), path.to_string()),
            WhichSnapshot::Uuid(_) | WhichSnapshot::UuidOf(..) => (None, which.to_string()),
        };
        asker.check(right, self.catalog.place_of_snapshot(which).await, path, Error::NotFound(missing))
    }

    /// The same for an operation. One that is not there is refused to nobody.
    pub(super) async fn require_operation(&self, asker: &Asker, right: Right, uuid: Uuid) -> Result<(), Failure> {
        if asker.reach.is_everything() {
            return Ok(());
        }
        let Some(record) = self.catalog.any_operation(uuid).await? else { return Ok(()) };
        let missing = Error::NotFound(format!("operation {uuid}"));
        asker.reach.check(right, &self.catalog.place_of_operation(&record).await?, missing)
    }

    /// The same for an export, which needs the same rights as opening it.
    pub(super) async fn require_export(&self, asker: &Asker, uuid: Uuid) -> Result<(), Failure> {
        if asker.reach.is_everything() {
            return Ok(());
        }
        let Some((place, is_read_only)) = self.catalog.place_of_export(uuid).await? else { return Ok(()) };
        for right in rights_to_open(is_read_only) {
            asker.reach.check(*right, &place, Error::NotFound(format!("export {uuid}")))?;
        }
        Ok(())
    }
}

impl Asker {
    /// Refuses what may not be done at a path, whether something is there or not.
    pub(super) fn require_at(&self, right: Right, path: &VolumePath) -> Result<(), Failure> {
        if self.reach.has(right, path.as_str()) { Ok(()) } else { Err(self.reach.refusal(right, path.as_str())) }
    }

    /// Refuses what may not be done with all volumes.
    pub(super) fn require_all(&self, right: Right) -> Result<(), Failure> {
        if self.reach.has(right, "") { Ok(()) } else { Err(self.reach.refusal(right, "")) }
    }

    /// Refuses what may not be done at the place that was found. Why none was found is told to those who may see what is
    /// at the path that they named.
    fn check(
        &self,
        right: Right,
        place: Result<String, Error>,
        named: Option<&VolumePath>,
        missing: Error,
    ) -> Result<(), Failure> {
        match place {
            Ok(place) => self.reach.check(right, &place, missing),
            Err(error @ Error::Store(_)) => Err(error.into()),
            Err(error) => match named {
                Some(path) if !self.reach.has(right, path.as_str()) && !self.reach.has(Right::Read, path.as_str()) => {
                    Err(missing.into())
                }
                Some(_) | None => Err(error.into()),
            },
        }
    }
}

/// What opening something needs: who writes to a device reads it, too.
pub(super) fn rights_to_open(is_read_only: bool) -> &'static [Right] {
    if is_read_only { &[Right::Read] } else { &[Right::Read, Right::Write] }
}

fn path_in(which: &Which) -> Option<&VolumePath> {
    match which {
        Which::Path(path) | Which::Both(_, path) => Some(path),
        Which::Id(_) => None,
    }
}
