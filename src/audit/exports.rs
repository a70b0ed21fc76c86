//! Volumes over NBD: an entry when one is opened, is refused, and is closed.

use std::time::Instant;

use async_trait::async_trait;
use steward_proto::audit::v1::{AuditEntry, EntryKind};
use tonic::Code;

use super::{Audit, entry};
use crate::volume::nbd::{Caller, ExportName, Exports, OpenError, Peer, PeerAddress, Session};
use crate::volume::shown_name;

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
        // An export may be gone when it is refused.
        let entry = begun(name, self.exports.caller(name, peer), peer);
        match self.exports.open(name, peer).await {
            Ok(mut session) => {
                let right = if session.device.is_read_only() { "read" } else { "write" };
                let resource = entry::cut(session.shown_name.as_str());
                let entry = AuditEntry { resource, right: right.to_owned(), ..entry };
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

    fn caller(&self, name: &str, peer: &Peer) -> Caller {
        self.exports.caller(name, peer)
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

/// What is noted of somebody who asks for `name`. Whoever opens anything reads it.
fn begun(name: &str, caller: Caller, peer: &Peer) -> AuditEntry {
    let address = match peer.address {
        PeerAddress::Unix => None,
        PeerAddress::Tcp(address) => Some(address.ip()),
    };
    AuditEntry {
        method: "Nbd/Open".to_owned(),
        area: "volume".to_owned(),
        right: "read".to_owned(),
        resource: entry::cut(shown_name(name)),
        user: entry::cut(caller.user),
        proof: caller.proof.to_owned(),
        address: entry::address(address),
        ..AuditEntry::default()
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
