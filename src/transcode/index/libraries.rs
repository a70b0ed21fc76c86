//! Libraries: there are few, so their whole records are here.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use steward_proto::transcode::v1::Rules;

use crate::store::Revision;
use crate::transcode::convert;
use crate::transcode::library;
use crate::transcode::model::{LibraryRecord, ScheduleRecord};

/// A library as it is.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) record: LibraryRecord,
    /// As they were given.
    pub(crate) rules: Rules,
    /// As they are used.
    pub(crate) compiled: Arc<library::Rules>,
    /// When its videos are given out.
    pub(crate) times: Option<ScheduleRecord>,
    pub(crate) revision: Revision,
}

/// All libraries, by name.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    by_name: BTreeMap<String, Library>,
}

impl Libraries {
    /// Takes over a record as it is since `revision`.
    pub(crate) fn apply(&mut self, name: &str, record: LibraryRecord, revision: Revision) {
        if self.by_name.get(name).is_some_and(|library| library.revision > revision) {
            return;
        }
        // What cannot be read was written by a later version: the defaults go on.
        let rules = Rules::decode(record.rules.clone()).unwrap_or_default();
        let compiled = Arc::new(library::Rules::new(&rules).unwrap_or_default());
        let times = rules.schedule.as_ref().map(convert::schedule_record);
        self.by_name.insert(name.to_owned(), Library { record, rules, compiled, times, revision });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Library> {
        self.by_name.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Library)> {
        self.by_name.iter().map(|(name, library)| (name.as_str(), library))
    }
}
