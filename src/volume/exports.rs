//! Exports: promises that something can be opened for a while, and what is open now.
//!
//! While an export of a volume lives, nobody deletes the volume or rolls it back. They are in memory: a client whose
//! export is gone after a restart of the server opens another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uuid::Uuid;

use super::catalog::Catalog;
use super::error::Error;
use super::namespace::{User, Which, path_of, record_of};
use super::nbd_exports::shown_name;
use super::open::Target;
use super::session::SessionInfo;
use crate::auth::Identity;
use crate::clock::Timestamp;
use crate::places::Place;

/// An export.
#[derive(Clone, Debug)]
pub(super) struct ExportRecord {
    pub(super) uuid: Uuid,
    pub(super) target: Target,
    /// The volume, also of a snapshot.
    pub(super) volume: u64,
    pub(super) is_read_only: bool,
    /// Other writers are kept out.
    pub(super) is_exclusive: bool,
    pub(super) user: String,
    /// Who asked for it: what that may do now is what can be done with the export.
    pub(super) caller: Identity,
    pub(super) ttl: Duration,
    pub(super) expires: Timestamp,
    pub(super) created: Timestamp,
    pub(super) _place: Arc<Place>,
}

impl ExportRecord {
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// What to open.
#[derive(Clone, Debug)]
pub struct OpenExport {
    /// The volume.
    pub volume: Which,
    /// The UUID or name of one of its snapshots; nothing: the volume.
    pub snapshot: Option<String>,
    /// Refuse writes.
    pub read_only: bool,
    /// Keep other writers out.
    pub exclusive: bool,
    /// How long it lives without a word.
    pub ttl: Duration,
    /// Who asks for it.
    pub caller: Identity,
}

/// An export or a session, as it is told.
#[derive(Clone, Debug)]
pub struct ShownExport {
    /// Its UUID.
    pub uuid: Uuid,
    /// The volume.
    pub volume: u64,
    /// Its path now; empty if it is gone.
    pub path: String,
    /// The snapshot.
    pub snapshot: Option<Uuid>,
    /// Writes are refused.
    pub is_read_only: bool,
    /// Other writers are kept out.
    pub is_exclusive: bool,
    /// On whose behalf.
    pub user: String,
    /// Where to connect.
    pub uris: Vec<String>,
    /// When it ends by itself; nothing for a session.
    pub expires: Option<Timestamp>,
    /// The address of the client, for a session.
    pub peer: String,
    /// When it was opened.
    pub created: Timestamp,
    /// Bytes that were read over the session.
    pub read_bytes: u64,
    /// Bytes that were written over the session.
    pub written_bytes: u64,
}

/// Where the server can be reached over NBD.
#[derive(Clone, Debug, Default)]
pub struct NbdAddresses {
    /// Addresses, and whether TLS is spoken there.
    pub tcp: Vec<(SocketAddr, bool)>,
    /// Unix sockets.
    pub unix: Vec<PathBuf>,
}

impl NbdAddresses {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.unix.is_empty()
    }

    /// The URIs of what is called `name` there.
    pub fn uris(&self, name: &str) -> Vec<String> {
        let name = escaped(name);
        let tcp = self.tcp.iter().map(|(address, is_tls)| {
            let scheme = if *is_tls { "nbds" } else { "nbd" };
            format!("{scheme}://{address}/{name}")
        });
        let unix = self.unix.iter().map(|path| {
            let socket = escaped(&path.to_string_lossy());
            format!("nbd+unix:///{name}?socket={socket}")
        });
        tcp.chain(unix).collect()
    }
}

/// A name as a URI has it.
fn escaped(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(digit(byte >> 4));
            uri.push(digit(byte & 15));
        }
    }
    uri
}

fn digit(value: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(value & 15)])
}

/// What a client calls an export, so that it is opened as what it is.
pub(super) fn export_name(uuid: Uuid) -> String {
    format!("export:{uuid}")
}

impl Catalog {
    /// Opens an export.
    pub async fn open_export(&self, user: &User, what: OpenExport) -> Result<ShownExport, Error> {
        if self.nbd_addresses().is_empty() {
            return Err(Error::NotSupported("this server has no NBD port".to_owned()));
        }
        let id = self.usable_volume(&what.volume, user).await?.id;
        let _lock = self.volume_locks.one(id).await;
        let volume = self.usable_volume(&what.volume, user).await?;
        let target = match &what.snapshot {
            None => Target::Volume(volume.id),
            Some(name) => {
                let snapshot = self.snapshot_of(&volume, &what.volume, name, user).await?;
                Target::Snapshot(super::operation::uuid_of(&snapshot.uuid)?)
            }
        };
        self.exclusive_allowed(&what, target)?;
        let place = self.open.place_of_export(&what.caller)?;
        let now = self.clock.now();
        let record = ExportRecord {
            uuid: Uuid::new_v4(),
            target,
            volume: volume.id,
            is_read_only: what.read_only || volume.read_only || target != Target::Volume(volume.id),
            is_exclusive: what.exclusive,
            user: user.0.clone(),
            caller: what.caller,
            ttl: what.ttl,
            expires: now.plus(what.ttl),
            created: now,
            _place: Arc::new(place),
        };
        self.open.add_export(record.clone());
        self.exports_changed.notify_one();
        self.show_export(&record).await
    }

    fn exclusive_allowed(&self, what: &OpenExport, target: Target) -> Result<(), Error> {
        let in_use = |problem: &str| Err(Error::VolumeInUse(format!("{} {problem}", what.volume)));
        if !what.exclusive {
            return Ok(());
        }
        if self.open.exclusive(target).is_some() {
            return in_use("has an exclusive export already");
        }
        if self.open.writers(target) > 0 {
            return in_use("is open for writing");
        }
        if self.open.exports().iter().any(|other| other.target == target && !other.is_read_only) {
            return in_use("is exported for writing");
        }
        Ok(())
    }

    /// Lets an export live for another while.
    pub async fn keep_export_alive(&self, user: &User, uuid: Uuid) -> Result<ShownExport, Error> {
        let missing = || Error::NotFound(format!("export {uuid}"));
        let record = self.open.export(uuid).ok_or_else(missing)?;
        user.check(&record.user, format_args!("export {uuid}"))?;
        let record = self.open.keep_alive(uuid).ok_or_else(missing)?;
        self.exports_changed.notify_one();
        self.show_export(&record).await
    }

    /// Ends an export and the sessions that were opened with it. One that is not there is no error.
    pub fn close_export(&self, user: &User, uuid: Uuid) -> Result<(), Error> {
        if let Some(record) = self.open.export(uuid) {
            user.check(&record.user, format_args!("export {uuid}"))?;
            self.open.remove_export(uuid);
            self.open.stop_sessions(uuid);
        }
        Ok(())
    }

    /// Exports and sessions, the oldest first. Users other than `root` see their own.
    pub async fn list_exports(&self, user: &User, volume: Option<&Which>) -> Result<Vec<ShownExport>, Error> {
        let volume = match volume {
            Some(which) => Some(crate::store::tx::Tx::new(&*self.store).find(which, user).await?.volume()?.record.id),
            None => None,
        };
        let is_asked = |owner: &str, of: u64| user.may_change(owner) && volume.is_none_or(|volume| volume == of);
        let mut shown = Vec::new();
        for record in self.open.exports().iter().filter(|record| is_asked(&record.user, record.volume)) {
            shown.push(self.show_export(record).await?);
        }
        for session in self.open.all_sessions().iter().filter(|session| is_asked(&session.user, session.volume)) {
            shown.push(self.show_session(session).await?);
        }
        shown.sort_by_key(|export| (export.created, export.uuid));
        Ok(shown)
    }

    async fn volume_path(&self, volume: u64) -> Result<String, Error> {
        match record_of(&*self.store, volume).await? {
            Some(record) => Ok(path_of(&*self.store, &record).await?.to_string()),
            None => Ok(String::new()),
        }
    }

    async fn show_export(&self, record: &ExportRecord) -> Result<ShownExport, Error> {
        Ok(ShownExport {
            uuid: record.uuid,
            volume: record.volume,
            path: self.volume_path(record.volume).await?,
            snapshot: snapshot_of(record.target),
            is_read_only: record.is_read_only,
            is_exclusive: record.is_exclusive,
            user: record.user.clone(),
            uris: self.nbd_addresses().uris(&export_name(record.uuid)),
            expires: Some(record.expires),
            peer: String::new(),
            created: record.created,
            read_bytes: 0,
            written_bytes: 0,
        })
    }

    async fn show_session(&self, session: &SessionInfo) -> Result<ShownExport, Error> {
        Ok(ShownExport {
            uuid: session.uuid,
            volume: session.volume,
            path: self.volume_path(session.volume).await?,
            snapshot: snapshot_of(session.target),
            is_read_only: session.is_read_only,
            is_exclusive: session.is_alone,
            user: session.user.clone(),
            uris: Vec::new(),
            expires: None,
            peer: session.peer.clone(),
            created: session.created,
            read_bytes: session.read_bytes.load(Ordering::Relaxed),
            written_bytes: session.written_bytes.load(Ordering::Relaxed),
        })
    }

    /// Says where this server can be reached over NBD. Once, when that is known.
    pub fn set_nbd_addresses(&self, addresses: NbdAddresses) {
        // A second one changes nothing: the first is what clients were told.
        let _ = self.nbd.set(addresses);
    }

    fn nbd_addresses(&self) -> NbdAddresses {
        self.nbd.get().cloned().unwrap_or_default()
    }

    /// Ends exports whose time has come, until shutdown. Nobody depends on this being on time.
    pub async fn run_exports(self) {
        loop {
            let (over, next) = self.open.expire_exports(self.clock.now());
            for uuid in over {
                tracing::info!(export = shown_name(&export_name(uuid)), "nobody kept an export alive; it ends");
                self.open.stop_sessions(uuid);
            }
            let alarm = async {
                match next {
                    Some(time) => self.clock.sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.exports_changed.notified() => {}
                () = alarm => {}
            }
        }
    }
}

fn snapshot_of(target: Target) -> Option<Uuid> {
    match target {
        Target::Snapshot(uuid) => Some(uuid),
        Target::Volume(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_where_and_under_which_name() {
        let addresses = NbdAddresses {
            tcp: vec![("127.0.0.1:10809".parse().expect("an address"), false), ("[::1]:1".parse().expect("one"), true)],
            unix: vec![PathBuf::from("/run/a b.sock")],
        };
        assert_eq!(
            addresses.uris("vm/disk 1@x"),
            [
                "nbd://127.0.0.1:10809/vm/disk%201@x",
                "nbds://[::1]:1/vm/disk%201@x",
                "nbd+unix:///vm/disk%201@x?socket=/run/a%20b.sock",
            ]
        );
    }
}
