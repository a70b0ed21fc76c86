//! Registration: who may be a worker of a name.

use std::collections::HashMap;

use bytes::Bytes;

use super::error::Error;
use super::model::{OfflineAction, RegisterOutcome, WorkerRecord, WorkerType};
use crate::clock::Timestamp;

/// A wish to be a worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Register {
    pub(crate) name: String,
    pub(crate) worker_type: WorkerType,
    pub(crate) support_vr: bool,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) max_height: i32,
    pub(crate) codecs: Vec<String>,
    pub(crate) libraries: Vec<String>,
    pub(crate) max_concurrent: i32,
    pub(crate) version: String,
    /// The token of an earlier registration.
    pub(crate) token: Option<[u8; 16]>,
}

/// What a name stands for before a registration.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before<'a> {
    Unknown,
    Known {
        record: &'a WorkerRecord,
        /// Its heartbeats have stopped.
        is_silent: bool,
    },
}

/// Decides on a registration. The tasks that the worker had are failed by whoever commits it, unless it resumed them.
pub(crate) fn register(
    before: Before<'_>,
    command: &Register,
    fresh_token: [u8; 16],
    now: Timestamp,
) -> Result<(WorkerRecord, RegisterOutcome), Error> {
    let (mut record, outcome) = match before {
        Before::Unknown => (WorkerRecord::default(), RegisterOutcome::New),
        Before::Known { record, is_silent } => {
            let is_itself = command.token.is_some_and(|token| record.token == token.as_slice());
            let outcome = match (record.is_online, is_silent) {
                (false, _) => RegisterOutcome::Reactivated,
                (true, _) if is_itself => RegisterOutcome::Resumed,
                (true, true) => RegisterOutcome::TookOverStale,
                (true, false) => return Err(Error::WorkerOnline(command.name.clone())),
            };
            (record.clone(), outcome)
        }
    };
    record.name.clone_from(&command.name);
    record.worker_type = command.worker_type as i32;
    record.support_vr = command.support_vr;
    record.labels.clone_from(&command.labels);
    record.max_height = command.max_height;
    record.codecs.clone_from(&command.codecs);
    record.libraries.clone_from(&command.libraries);
    record.max_concurrent = command.max_concurrent.max(1);
    record.version.clone_from(&command.version);
    record.is_online = true;
    record.heartbeat_nanos = now.nanos();
    record.offline_nanos = 0;
    if outcome != RegisterOutcome::Resumed {
        record.token = Bytes::copy_from_slice(&fresh_token);
        record.offline_action = OfflineAction::Unspecified as i32;
        record.drain_deadline_nanos = 0;
    }
    Ok((record, outcome))
}
