//! What the protocol says of each method: from the descriptors, so that a new service is known at once.

use std::sync::LazyLock;

use hashbrown::HashMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use steward_proto::DESCRIPTORS;
use steward_proto::access::{self, Area, Right};

use crate::audit::{Style, Subject};

/// A method that answers once may still take as long as its caller likes.
const WAITING: [&str; 6] = [
    // These may have to read all bytes again that they are about, however many.
    "/steward.artifact.v1.ArtifactService/CommitFile",
    "/steward.artifact.v1.ArtifactService/FinishUpload",
    // Seals all that is stored anew, however much.
    "/steward.auth.v1.SecretService/RotateSecrets",
    "/steward.lock.v1.LockService/Acquire",
    "/steward.transcode.v1.TaskService/ClaimTask",
    "/steward.volume.v1.OperationService/WaitOperation",
];

/// Methods that change something though to read is enough for them, or they ask for what they need themselves: who may
/// read a volume may open it, and damage is put aside for everybody.
const CHANGES: [&str; 9] = [
    "/steward.auth.v1.TokenService/CreateToken",
    "/steward.auth.v1.TokenService/RevokeTokens",
    "/steward.restic.v1.ObjectService/DeleteObject",
    "/steward.restic.v1.ObjectService/Upload",
    "/steward.restic.v1.ObjectService/VerifyRepository",
    "/steward.volume.v1.ExportService/CloseExport",
    "/steward.volume.v1.ExportService/KeepExportAlive",
    "/steward.volume.v1.ExportService/OpenExport",
    "/steward.volume.v1.VolumeService/ScrubVolumes",
];

/// Methods that change nothing though to read is not enough for them.
const READS: [&str; 5] = [
    "/steward.artifact.v1.ArtifactService/GetUpload",
    "/steward.artifact.v1.ArtifactService/MissingBlobs",
    "/steward.lock.v1.LockService/ListAuditRecords",
    "/steward.transcode.v1.VideoService/GetResult",
    "/steward.transcode.v1.VideoService/ReadSource",
];

/// Calls by which somebody only keeps what they have, every few seconds.
const HEARTBEATS: [&str; 3] = [
    "/steward.lock.v1.LockService/Renew",
    "/steward.transcode.v1.WorkerService/Heartbeat",
    "/steward.volume.v1.ExportService/KeepExportAlive",
];

/// One method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// `LockService/Acquire`.
    pub(super) label: &'static str,
    /// It streams or waits, so that only its caller knows how long it may take.
    pub(super) is_unbounded: bool,
    /// What it is to the audit.
    pub(super) subject: Subject,
}

/// Nobody who calls chooses these paths, so that a fast hash is good enough.
static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    // The build made these bytes; were they damaged, no method would be known, and a test says so.
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
    let mut methods = HashMap::new();
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let label = format!("{}/{}", service.name(), method.name());
                let is_streaming = method.client_streaming() || method.server_streaming();
                let is_unbounded = is_streaming || WAITING.contains(&path.as_str());
                // Made once for each method that there is, and needed until the process ends.
                let label: &'static str = label.leak();
                let subject = subject_of(&path, label, (method.client_streaming(), method.server_streaming()));
                methods.insert(path, Method { label, is_unbounded, subject });
            }
        }
    }
    methods
});

/// The method of a request path; `None` when there is no such method.
pub(super) fn find(path: &str) -> Option<&'static Method> {
    METHODS.get(path)
}

/// What a path is to the audit: of what nobody is asked for, nothing.
pub(super) fn subject(path: &str) -> Option<Subject> {
    const UNKNOWN: Subject = Subject { method: "other", area: "", right: "", style: Style::Read };
    match find(path) {
        Some(method) => Some(method.subject),
        None if path.starts_with("/grpc.") => None,
        None => Some(UNKNOWN),
    }
}

/// What a method is to the audit, by the right that it needs.
fn subject_of(path: &str, method: &'static str, (is_upload, is_stream): (bool, bool)) -> Subject {
    let need = access::find(path).and_then(|access| access.needs.first());
    let (area, right) = need.map_or((Area::Unspecified, Right::SignedIn), |need| (need.area, need.right));
    let is_read = match right {
        Right::Unspecified | Right::SignedIn | Right::Read => !CHANGES.contains(&path),
        Right::Append | Right::Write | Right::Admin => READS.contains(&path),
    };
    let style = match (is_upload, is_stream) {
        _ if is_read => Style::Read,
        _ if HEARTBEATS.contains(&path) => Style::Heartbeat,
        (true, true) => Style::Session,
        (false, true) => Style::Stream,
        (_, false) => Style::Change,
    };
    Subject { method, area: word(area.as_str_name()), right: word(right.as_str_name()), style }
}

/// `AREA_LOCK` is `lock`, and `RIGHT_WRITE` is `write`.
fn word(name: &'static str) -> &'static str {
    let word = name.split_once('_').map_or("", |(_, word)| word);
    if word == "UNSPECIFIED" { "" } else { word.to_ascii_lowercase().leak() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_by_their_path() {
        let get = find("/steward.lock.v1.LockService/Get").expect("a method");
        assert_eq!((get.label, get.is_unbounded), ("LockService/Get", false));
        assert!(WAITING.iter().all(|path| find(path).is_some_and(|method| method.is_unbounded)));
        assert!(find("/steward.lock.v1.LockService/Watch").is_some_and(|method| method.is_unbounded));
        assert_eq!(find("/steward.lock.v1.LockService/Nothing"), None);
    }

    #[test]
    fn every_method_that_changes_something_has_entries() {
        let all = HEARTBEATS.iter().chain(&CHANGES).chain(&READS);
        assert!(all.clone().all(|path| find(path).is_some()), "{:?}", all.collect::<Vec<_>>());
        for (path, style) in [
            ("/steward.lock.v1.LockService/Acquire", Style::Change),
            ("/steward.lock.v1.LockService/KeepAlive", Style::Session),
            ("/steward.lock.v1.LockService/Renew", Style::Heartbeat),
            ("/steward.lock.v1.LockService/Watch", Style::Read),
            ("/steward.restic.v1.ObjectService/Upload", Style::Change),
            ("/steward.auth.v1.TokenService/CreateToken", Style::Change),
            ("/steward.auth.v1.TokenService/ListTokens", Style::Read),
            ("/steward.transcode.v1.LibraryService/ScanLibrary", Style::Stream),
            ("/steward.volume.v1.ExportService/OpenExport", Style::Change),
            ("/steward.audit.v1.AuditService/ListEntries", Style::Read),
        ] {
            assert_eq!(subject(path).map(|subject| subject.style), Some(style), "{path}");
        }
        let acquire = subject("/steward.lock.v1.LockService/Acquire").expect("a method");
        assert_eq!((acquire.method, acquire.area, acquire.right), ("LockService/Acquire", "lock", "write"));
        assert_eq!(subject("/grpc.health.v1.Health/Check"), None);
    }
}
