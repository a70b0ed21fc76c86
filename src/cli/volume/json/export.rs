//! Exports and open connections.

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use crate::cli::time;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Export {
    uuid: String,
    volume_id: u64,
    volume_path: String,
    snapshot: String,
    read_only: bool,
    exclusive: bool,
    user: String,
    uris: Vec<String>,
    expire_time: Option<String>,
    peer: String,
    create_time: Option<String>,
    read_bytes: u64,
    written_bytes: u64,
}

impl From<pb::Export> for Export {
    fn from(export: pb::Export) -> Self {
        Export {
            uuid: export.uuid,
            volume_id: export.volume_id,
            volume_path: export.volume_path,
            snapshot: export.snapshot,
            read_only: export.read_only,
            exclusive: export.exclusive,
            user: export.user,
            uris: export.uris,
            expire_time: time::json(export.expire_time),
            peer: export.peer,
            create_time: time::json(export.create_time),
            read_bytes: export.read_bytes,
            written_bytes: export.written_bytes,
        }
    }
}
