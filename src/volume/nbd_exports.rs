//! Volumes and snapshots as what an NBD client can ask for.
//!
//! A client names a volume by its path, with or without the first slash: `/vm/disk1`, `vm/disk1`. `vm/disk1@NAME` is a
//! snapshot, unless there is a volume of just that path. `export:UUID` is what an export was opened for, and
//! `vm/disk1?export=UUID` the same, with a name that can be read. The export of a volume opens its snapshots too:
//! `vm/disk1@NAME?export=UUID`. Whatever it opened ends with it.
//!
//! Where callers are asked who they are, only an export opens something, or a client certificate whose user has the right
//! to: then paths do too.

use async_trait::async_trait;
use steward_proto::auth::v1::{Area, Right};
use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::exports::ExportRecord;
use super::lookup::{Begin, VolumeFilter, WithSpace};
use super::namespace::{ROOT_USER, User, Which};
use super::nbd::{Caller, ExportName, Exports, OpenError, Peer, PeerAddress, Session as NbdSession};
use super::open::Target;
use super::open_volume::{Opener, Wish};
use super::path::VolumePath;
use super::session::Session;
use crate::auth::{Authenticator, Grants, Identity, user_of_certificate};
use crate::config::CertificateName;

/// The most names of a list.
const MAX_LISTED: usize = 1000;

/// How much of the id of an export may be shown: who knows all of it can open the volume.
const SHOWN_ID_CHARS: usize = 8;
/// What is in front of the id of an export.
const ID_MARKS: [&str; 2] = ["export:", "?export="];

/// Who may open volumes over NBD.
#[derive(Clone, Debug)]
pub enum NbdAccess {
    /// Everybody, by path: this server does not ask who anybody is.
    Everybody,
    /// Who names an export: only who has signed in elsewhere can know one. And whoever a client certificate names, by
    /// path, as far as these say.
    Users(NbdUsers),
}

/// Who users are, and what they may open.
#[derive(Clone, Debug)]
pub struct NbdUsers {
    /// Which name of a client certificate names the user.
    pub certificates: CertificateName,
    /// Knows what users may do.
    pub authenticator: Authenticator,
}

/// What somebody may do with the volume of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Nothing, not even know of it.
    Nothing,
    /// Read it.
    Read,
    /// Read and write it.
    Write,
}

impl May {
    /// For a caller who acts as somebody, or as nobody in particular.
    fn of(grants: &Grants, path: &str, acting_as: &str) -> Self {
        let allow = |right| grants.allow_as(Area::Volume, right, path, acting_as);
        // Whoever writes a device reads it, too.
        match (allow(Right::Read), allow(Right::Write)) {
            (true, true) => May::Write,
            (true, false) => May::Read,
            (false, _) => May::Nothing,
        }
    }

    fn wish(self) -> Option<Wish> {
        match self {
            May::Nothing => None,
            May::Read => Some(Wish::Read),
            May::Write => Some(Wish::WriteIfPossible),
        }
    }
}

/// What NBD clients can open.
#[derive(Clone)]
pub struct NbdExports {
    catalog: Catalog,
    access: NbdAccess,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// What was exported.
    Export(Uuid),
    /// A volume or a snapshot by path, perhaps with an export of it.
    Path(String, Option<Uuid>),
}

impl Asked {
    fn parse(name: &str) -> Option<Self> {
        if let Some(uuid) = name.strip_prefix("export:") {
            return Uuid::parse_str(uuid).ok().map(Asked::Export);
        }
        let (path, export) = match name.rsplit_once("?export=") {
            Some((path, uuid)) => (path, Some(Uuid::parse_str(uuid).ok()?)),
            None => (name, None),
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Asked::Path(path, export))
    }
}

impl NbdExports {
    /// What there is in this catalogue.
    pub fn new(catalog: Catalog, access: NbdAccess) -> Self {
        NbdExports { catalog, access }
    }

    async fn open_named(&self, name: &str, peer: &Peer) -> Result<(Session, String), Error> {
        let missing = || Error::NotFound(format!("{name:?}"));
        match Asked::parse(name).ok_or_else(missing)? {
            Asked::Export(uuid) => self.open_exported(self.catalog.open.export(uuid).ok_or_else(missing)?, peer).await,
            Asked::Path(path, Some(uuid)) => {
                let export = self.catalog.open.export(uuid);
                let export = export.ok_or_else(|| Error::NotFound(format!("the export that {path:?} names")))?;
                let grants = self.grants_of(&export).await;
                let may = |path: &VolumePath| May::of(&grants, path.as_str(), &export.user);
                self.open_path(&path, User(export.user.clone()), Some(uuid), peer, may).await
            }
            Asked::Path(path, None) => {
                let grants = self.grants(peer).await;
                let may = |path: &VolumePath| {
                    grants.as_ref().map_or(May::Nothing, |grants| May::of(grants, path.as_str(), ""))
                };
                self.open_path(&path, User(ROOT_USER.to_owned()), None, peer, may).await
            }
        }
    }

    /// What a client may do that names no export; `None`: it is nobody known.
    async fn grants(&self, peer: &Peer) -> Option<Grants> {
        match &self.access {
            NbdAccess::Everybody => Some(Grants::everything()),
            NbdAccess::Users(users) => users.grants(peer).await,
        }
    }

    /// What whoever opened an export may do by now: it is asked at each session, and not only when it is opened.
    async fn grants_of(&self, export: &ExportRecord) -> Grants {
        match &self.access {
            NbdAccess::Everybody => Grants::everything(),
            NbdAccess::Users(users) => users.authenticator.grants(export.caller.clone()).await,
        }
    }

    /// The export that a name names, if there is one.
    fn exported(&self, name: &str) -> Option<ExportRecord> {
        let (Asked::Export(uuid) | Asked::Path(_, Some(uuid))) = Asked::parse(name)? else { return None };
        self.catalog.open.export(uuid)
    }

    async fn open_exported(&self, export: ExportRecord, peer: &Peer) -> Result<(Session, String), Error> {
        let which = Which::Id(export.volume);
        let place = self.catalog.place_of_id(export.volume).await?;
        let denied = || Error::InvalidUser { what: "the volume".to_owned(), user: export.user.clone() };
        let may = May::of(&self.grants_of(&export).await, &place, &export.user).wish().ok_or_else(denied)?;
        let wish = if export.is_read_only { Wish::Read } else { may };
        let opener =
            Opener { user: User(export.user), peer: peer.address.to_string(), wish, export: Some(export.uuid) };
        let session = match export.target {
            Target::Volume(_) => self.catalog.open_volume(&which, opener).await?,
            Target::Snapshot(uuid) => self.catalog.open_snapshot(&which, &uuid.to_string(), opener).await?,
        };
        Ok((session, super::exports::export_name(export.uuid)))
    }

    /// A volume that has the path wins over a snapshot.
    async fn open_path(
        &self,
        path: &str,
        user: User,
        export: Option<Uuid>,
        peer: &Peer,
        may: impl Fn(&VolumePath) -> May,
    ) -> Result<(Session, String), Error> {
        // Whether there is such a volume, those who may not open it are not told.
        let denied = || Error::InvalidUser { what: format!("{path:?}"), user: "this client".to_owned() };
        let opener = |wish| Opener { user: user.clone(), peer: peer.address.to_string(), wish, export };
        let volume = VolumePath::parse("name", path)?;
        let refused = match may(&volume).wish() {
            None => denied(),
            Some(wish) => match self.catalog.open_volume(&Which::Path(volume), opener(wish)).await {
                Ok(session) => return Ok((session, path.to_owned())),
                Err(error @ (Error::NotFound(_) | Error::NotADirectory(_))) => error,
                Err(error) => return Err(error),
            },
        };
        let Some((volume, snapshot)) = path.rsplit_once('@') else { return Err(refused) };
        let volume = VolumePath::parse("name", volume)?;
        if may(&volume) == May::Nothing {
            return Err(denied());
        }
        let session = self.catalog.open_snapshot(&Which::Path(volume), snapshot, opener(Wish::Read)).await?;
        Ok((session, path.to_owned()))
    }
}

impl NbdUsers {
    /// The user whom a client's certificate names.
    fn named(&self, peer: &Peer) -> Option<String> {
        user_of_certificate(peer.certificate.as_ref()?, self.certificates).ok()
    }

    /// What the user may do whom a client's certificate names, if there is one.
    async fn grants(&self, peer: &Peer) -> Option<Grants> {
        let named = user_of_certificate(peer.certificate.as_ref()?, self.certificates);
        let user = named.inspect_err(|problem| tracing::warn!(problem, "a client certificate names no user")).ok()?;
        let address = match peer.address {
            PeerAddress::Unix => None,
            PeerAddress::Tcp(address) => Some(address.ip().to_canonical()),
        };
        Some(self.authenticator.grants(Identity { user: Some(user), address, ..Identity::default() }).await)
    }
}

#[async_trait]
impl Exports for NbdExports {
    async fn open(&self, name: &str, peer: &Peer) -> Result<NbdSession, OpenError> {
        let (session, name) = self.open_named(name, peer).await.map_err(refusal)?;
        // Who closed the export while it was being opened has not seen this session.
        if session.export().is_some_and(|export| self.catalog.open.export(export).is_none()) {
            return Err(OpenError::Unknown("the export was closed".to_owned()));
        }
        let device = session.device().ok_or_else(|| OpenError::Shutdown("the server is shutting down".to_owned()))?;
        let description = format!("{} bytes{}", device.size(), if session.is_read_only() { ", read-only" } else { "" });
        let disk = session.number();
        let (shown_name, stop) = (shown_name(&name), session.stop().clone());
        Ok(NbdSession { device, disk, name, shown_name, description, stop, guard: Box::new(session) })
    }

    /// A certificate tells who somebody is; an export, who has made it for them.
    fn caller(&self, name: &str, peer: &Peer) -> Caller {
        let named = match &self.access {
            NbdAccess::Everybody => None,
            NbdAccess::Users(users) => users.named(peer),
        };
        let named = named.map(|user| Caller { user, proof: "certificate" });
        let exported = || self.exported(name).map(|export| Caller { user: export.user, proof: "export" });
        named.or_else(exported).unwrap_or_default()
    }

    async fn list(&self, peer: &Peer) -> Vec<ExportName> {
        let Some(grants) = self.grants(peer).await else { return Vec::new() };
        let filter = VolumeFilter { recursive: true, ..VolumeFilter::default() };
        let (root, everything) = (User(ROOT_USER.to_owned()), VolumePath::root());
        let listed =
            self.catalog.list_volumes(&root, &everything, &filter, Begin::Skip(0), MAX_LISTED, WithSpace::No).await;
        let page = match listed {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "volumes could not be listed over NBD");
                return Vec::new();
            }
        };
        let volumes =
            page.volumes.into_iter().filter(|volume| May::of(&grants, volume.path.as_str(), "") != May::Nothing);
        let named = volumes.map(|volume| ExportName {
            name: volume.path.to_string(),
            description: format!("{} bytes, of {}", volume.record.size_bytes, volume.record.owner),
        });
        named.collect()
    }
}

/// The name of an export as it may be seen by others than its client.
pub fn shown_name(name: &str) -> String {
    let Some(start) = ID_MARKS.into_iter().find_map(|mark| Some(name.rfind(mark)? + mark.len())) else {
        return name.to_owned();
    };
    let shown = name[start..].chars().take(SHOWN_ID_CHARS).filter(char::is_ascii_alphanumeric);
    format!("{}{}…", &name[..start], shown.collect::<String>())
}

/// What a client is told.
fn refusal(error: Error) -> OpenError {
    let message = error.to_string();
    match error {
        Error::NotFound(_)
        | Error::IsDirectory(_)
        | Error::NotADirectory(_)
        | Error::Invalid { .. }
        | Error::InvalidPath { .. } => OpenError::Unknown(message),
        Error::InvalidUser { .. } => OpenError::Denied(message),
        Error::VolumeInUse(_) | Error::SnapshotInUse(_) | Error::BadState(_) => OpenError::Busy(message),
        Error::ShuttingDown => OpenError::Shutdown(message),
        error => {
            tracing::error!(%error, "a volume could not be opened over NBD");
            OpenError::Internal("it cannot be opened".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_open_a_volume_by_what_is_shown() {
        let id = "0a1b2c3d-0000-4000-8000-0123456789ab";
        for (name, shown) in [
            (format!("export:{id}"), "export:0a1b2c3d…"),
            (format!("/vm/disk?export={id}"), "/vm/disk?export=0a1b2c3d…"),
            ("/vm/disk1@a".to_owned(), "/vm/disk1@a"),
        ] {
            assert_eq!(shown_name(&name), shown);
        }
    }

    #[test]
    fn a_name_is_a_path_or_an_export() {
        let uuid = Uuid::from_u128(7);
        let path = |path: &str, export| Some(Asked::Path(path.to_owned(), export));
        assert_eq!(Asked::parse("vm/disk1"), path("/vm/disk1", None));
        assert_eq!(Asked::parse("/vm/disk1@a"), path("/vm/disk1@a", None));
        assert_eq!(Asked::parse(&format!("vm/disk1?export={uuid}")), path("/vm/disk1", Some(uuid)));
        assert_eq!(Asked::parse(&format!("export:{uuid}")), Some(Asked::Export(uuid)));
        assert_eq!(Asked::parse("export:x"), None);
        assert_eq!(Asked::parse("a?export=x"), None);
    }
}
