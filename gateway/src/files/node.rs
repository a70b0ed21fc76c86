//! A file as JSON.
//!
//! Quirk: times are those of the server's zone, without the zone, and a fraction has no zeros at its end.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use prost_types::Timestamp;
use serde::Serialize;
use steward_proto::artifact::v1::File;

/// A file or folder.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    created_by: String,
    created_date: String,
    last_modified_by: String,
    last_modified_date: String,
    folder: bool,
    path: String,
    name: String,
    full_path: String,
    size: i64,
    sha256: Option<String>,
    md5: Option<String>,
    metadata: BTreeMap<String, String>,
    project_id: String,
    repo_name: String,
}

impl Node {
    pub(super) fn new(file: File, zone: &TimeZone) -> Self {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or_default();
        let digest = |digest: String| Some(digest).filter(|digest| !digest.is_empty());
        Self {
            created_by: file.created_by,
            created_date: local_time(file.create_time, zone),
            last_modified_by: file.modified_by,
            last_modified_date: local_time(file.modify_time, zone),
            folder: file.folder,
            path: format!("{folder}/"),
            name: name.to_owned(),
            full_path: file.path,
            size: file.size,
            sha256: digest(file.sha256),
            md5: digest(file.md5),
            metadata: file.metadata.into_iter().collect(),
            project_id: file.project,
            repo_name: file.repository,
        }
    }
}

/// The moment of a timestamp, or the epoch if it says none that there can be.
pub(super) fn moment(time: Option<Timestamp>) -> jiff::Timestamp {
    let time = time.unwrap_or_default();
    jiff::Timestamp::new(time.seconds, time.nanos).unwrap_or_default()
}

fn local_time(time: Option<Timestamp>, zone: &TimeZone) -> String {
    let local = moment(time).to_zoned(zone.clone());
    let seconds = local.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = format!(".{:03}", local.millisecond());
    seconds + fraction.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_zone_and_no_zeros_at_their_end() {
        for (seconds, nanos, expected) in [
            (0, 0, "1970-01-01T00:00:00"),
            (1_661_251_519, 790_000_000, "2022-08-23T10:45:19.79"),
            (1_661_251_519, 7_999_999, "2022-08-23T10:45:19.007"),
            (1_661_251_500, 100_000_000, "2022-08-23T10:45:00.1"),
        ] {
            assert_eq!(local_time(Some(Timestamp { seconds, nanos }), &TimeZone::UTC), expected);
        }
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(local_time(Some(Timestamp { seconds: 0, nanos: 0 }), &shanghai), "1970-01-01T08:00:00");
    }
}
