//! What the protocol says of each method: from the descriptors, so that a new service is known at once.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use steward_proto::DESCRIPTORS;

use crate::audit::{Style, Subject};

/// A method that answers once may still take as long as its caller likes.
const WAITING: [&str; 5] = [
    // These may have to read all bytes again that they are about, however many.
    "/steward.artifact.v1.ArtifactService/CommitFile",
    "/steward.artifact.v1.ArtifactService/FinishUpload",
    "/steward.lock.v1.LockService/Acquire",
    "/steward.transcode.v1.TaskService/ClaimTask",
    "/steward.volume.v1.OperationService/WaitOperation",
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
                let style = match (method.client_streaming(), method.server_streaming()) {
                    _ if is_read(method.name()) => Style::Read,
                    _ if HEARTBEATS.contains(&path.as_str()) => Style::Heartbeat,
                    (true, true) => Style::Session,
                    (false, true) => Style::Stream,
                    (_, false) => Style::Change,
                };
                let right = if style == Style::Read { "read" } else { "write" };
                let subject = Subject { method: label, area: area(file.package()), right, style };
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

fn is_read(name: &str) -> bool {
    const VERBS: [&str; 15] = [
        "Get",
        "List",
        "Watch",
        "Check",
        "Stat",
        "Stream",
        "Download",
        "Read",
        "Diff",
        "Missing",
        "ClusterExists",
        "Plan",
        "Wait",
        "Try",
        "Verify",
    ];
    VERBS.iter().any(|verb| name.starts_with(verb))
}

/// `steward.lock.v1` is of the area `lock`.
fn area(package: &str) -> &'static str {
    let area = package.split('.').nth(1).unwrap_or_default();
    area.to_owned().leak()
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
}
