//! Volumes over NBD: an entry when one is opened, is refused, and is closed.

use std::time::Instant;

use async_trait::async_trait;
use steward_proto::audit::v1::{AuditEntry, EntryKind};
use tonic::Code;

use super::{Audit, entry};
use crate::volume::nbd::{ExportName, Exports, OpenError, Peer, PeerAddress, Session};

/// How much of the id of an export is kept: who knows all of it can open the volume.
const SHOWN_ID_CHARS: usize = 8;

/// Exports whose sessions are recorded.
pub struct AuditedExports<E> {
    exports: E,
    audit: Audit,
}

impl<E: Exports> AuditedExports<E> {
    /// The same exports, seen by `audit`.
    pub fn new(exports: E, audit: Audit) -> Self {
        AuditedExports { exports, audit }
    }
}

#[async_trait]
impl<E: Exports> Exports for AuditedExports<E> {
    async fn open(&self, name: &str, peer: &Peer) -> Result<Session, OpenError> {
        if self.audit.admit_change().is_err() {
            return Err(OpenError::Internal("the audit log cannot be written".to_owned()));
        }
        let begin = Instant::now();
        let opened = self.exports.open(name, peer).await;
        let entry = begun(name, peer);
        match opened {
            Ok(mut session) => {
                let entry = AuditEntry { resource: resource(&session.name), ..entry };
                let outcome = entry::code_name(Code::Ok).to_owned();
                let note = AuditEntry { kind: EntryKind::Opened.into(), outcome, ..entry.clone() };
                if self.audit.record_before_answer(note).await.is_err() {
                    return Err(OpenError::Internal("the audit log cannot be written".to_owned()));
                }
                let closing = Closing { audit: self.audit.clone(), entry, begin };
                session.guard = Box::new((session.guard, closing));
                Ok(session)
            }
            Err(error) => {
                let (code, reason) = meaning(&error);
                let outcome = entry::code_name(code).to_owned();
                let entry = AuditEntry { kind: EntryKind::Call.into(), outcome, reason: reason.to_owned(), ..entry };
                self.audit.refuse(entry);
                Err(error)
            }
        }
    }

    async fn list(&self, peer: &Peer) -> Vec<ExportName> {
        self.exports.list(peer).await
    }
}

/// Makes the entry of the end of a session.
struct Closing {
    audit: Audit,
    entry: AuditEntry,
    begin: Instant,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.audit.record(AuditEntry {
            kind: EntryKind::Closed.into(),
            method: "Nbd/Close".to_owned(),
            outcome: entry::code_name(Code::Ok).to_owned(),
            duration: prost_types::Duration::try_from(self.begin.elapsed()).ok(),
            ..std::mem::take(&mut self.entry)
        });
    }
}

fn begun(name: &str, peer: &Peer) -> AuditEntry {
    let address = match peer.address {
        PeerAddress::Unix => None,
        PeerAddress::Tcp(address) => Some(address.ip()),
    };
    let proof = match peer.certificate {
        Some(_) => "certificate",
        None if name.contains("export") => "export",
        None => "",
    };
    AuditEntry {
        method: "Nbd/Open".to_owned(),
        area: "volume".to_owned(),
        right: "write".to_owned(),
        resource: resource(name),
        proof: proof.to_owned(),
        address: entry::address(address),
        ..AuditEntry::default()
    }
}

/// The name of an export, without what would open it.
fn resource(name: &str) -> String {
    let secret = ["export:", "?export="].into_iter().find_map(|mark| Some(name.rfind(mark)? + mark.len()));
    match secret {
        Some(start) => {
            let shown = name[start..].chars().take(SHOWN_ID_CHARS).filter(char::is_ascii_alphanumeric);
            entry::cut(format!("{}{}…", &name[..start], shown.collect::<String>()))
        }
        None => entry::cut(name),
    }
}

fn meaning(error: &OpenError) -> (Code, &'static str) {
    match error {
        OpenError::Unknown(_) => (Code::NotFound, "NOT_FOUND"),
        OpenError::Denied(_) => (Code::PermissionDenied, "PERMISSION_DENIED"),
        OpenError::Busy(_) => (Code::FailedPrecondition, "IN_USE"),
        OpenError::Shutdown(_) => (Code::Unavailable, "SHUTTING_DOWN"),
        OpenError::Internal(_) => (Code::Internal, "INTERNAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_open_a_volume_by_what_is_recorded() {
        let id = "0a1b2c3d-0000-4000-8000-0123456789ab";
        for (name, shown) in [
            (format!("export:{id}"), "export:0a1b2c3d…"),
            (format!("/vm/disk?export={id}"), "/vm/disk?export=0a1b2c3d…"),
            ("/vm/disk1@a".to_owned(), "/vm/disk1@a"),
        ] {
            assert_eq!(resource(&name), shown);
        }
    }
}
