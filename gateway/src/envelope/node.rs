//! A file or a folder as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use steward_proto::artifact::v1::File;

use super::times::LocalTimes;

/// A file or folder, as clients read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    created_by: String,
    created_date: Option<String>,
    last_modified_by: String,
    last_modified_date: Option<String>,
    folder: bool,
    path: String,
    name: String,
    full_path: String,
    size: i64,
    sha256: Option<String>,
    md5: Option<String>,
    crc64ecma: Option<String>,
    metadata: BTreeMap<String, String>,
    project_id: String,
    repo_name: String,
    expire_date: Option<String>,
}

impl Node {
    pub(crate) fn of(file: File, times: &LocalTimes) -> Self {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let of_file = |text: String| Some(text).filter(|text| !text.is_empty());
        Node {
            path: format!("{parent}/"),
            name: name.to_owned(),
            created_by: file.created_by,
            created_date: times.text(file.create_time),
            last_modified_by: file.modified_by,
            last_modified_date: times.text(file.modify_time),
            folder: file.folder,
            size: file.size,
            sha256: of_file(file.sha256),
            md5: of_file(file.md5),
            crc64ecma: of_file(file.crc64ecma),
            metadata: file.metadata.into_iter().collect(),
            project_id: file.project,
            repo_name: file.repository,
            expire_date: times.text(file.expire_time),
            full_path: file.path,
        }
    }
}
