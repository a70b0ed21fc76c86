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
    /// It goes on with tasks that it has.
    pub(crate) goes_on: bool,
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
    if !record.has_set_labels {
        record.labels.clone_from(&command.labels);
    }
    if !record.has_set_constraints {
        record.max_height = command.max_height;
        record.codecs.clone_from(&command.codecs);
        record.libraries.clone_from(&command.libraries);
    }
    record.max_concurrent = command.max_concurrent.max(1);
    record.version.clone_from(&command.version);
    record.is_online = true;
    record.heartbeat_nanos = now.nanos();
    record.offline_nanos = 0;
    if outcome != RegisterOutcome::Resumed {
        record.token = Bytes::copy_from_slice(&fresh_token);
    }
    // A connection that broke is no new beginning: what the worker was told holds.
    if outcome != RegisterOutcome::Resumed || !command.goes_on {
        record.offline_action = OfflineAction::Unspecified as i32;
        record.drain_deadline_nanos = 0;
    }
    Ok((record, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);
    const TOKEN: [u8; 16] = [1; 16];
    const FRESH: [u8; 16] = [2; 16];

    fn command(token: Option<[u8; 16]>) -> Register {
        Register {
            goes_on: false,
            name: "w".to_owned(),
            worker_type: WorkerType::Qsv,
            support_vr: true,
            labels: [("site".to_owned(), "attic".to_owned())].into(),
            max_height: 1080,
            codecs: vec!["h264".to_owned()],
            libraries: vec!["films".to_owned()],
            max_concurrent: 2,
            version: "1.2".to_owned(),
            token,
        }
    }

    /// A worker that was told to go, and what is set of it stays set.
    fn known(is_online: bool) -> WorkerRecord {
        WorkerRecord {
            name: "w".to_owned(),
            worker_type: WorkerType::Cpu as i32,
            is_online,
            token: Bytes::copy_from_slice(&TOKEN),
            offline_action: OfflineAction::Shutdown as i32,
            drain_deadline_nanos: 7,
            offline_nanos: if is_online { 0 } else { 3 },
            heartbeat_nanos: 2,
            paused: true,
            ..WorkerRecord::default()
        }
    }

    fn again(
        is_online: bool,
        is_silent: bool,
        token: Option<[u8; 16]>,
    ) -> Result<(WorkerRecord, RegisterOutcome), Error> {
        let record = known(is_online);
        register(Before::Known { record: &record, is_silent }, &command(token), FRESH, NOW)
    }

    fn outcome(is_online: bool, is_silent: bool, token: Option<[u8; 16]>) -> RegisterOutcome {
        again(is_online, is_silent, token).expect("it is not refused").1
    }

    #[test]
    fn a_worker_that_is_unknown_is_new_and_all_that_it_says_is_kept() {
        let (record, outcome) = register(Before::Unknown, &command(None), FRESH, NOW).expect("a worker");
        assert_eq!(outcome, RegisterOutcome::New);
        let expected = WorkerRecord {
            name: "w".to_owned(),
            worker_type: WorkerType::Qsv as i32,
            support_vr: true,
            is_online: true,
            heartbeat_nanos: NOW.nanos(),
            labels: [("site".to_owned(), "attic".to_owned())].into(),
            max_height: 1080,
            codecs: vec!["h264".to_owned()],
            libraries: vec!["films".to_owned()],
            max_concurrent: 2,
            version: "1.2".to_owned(),
            token: Bytes::copy_from_slice(&FRESH),
            ..WorkerRecord::default()
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn a_worker_that_does_not_say_how_much_it_can_do_does_one_thing_at_a_time() {
        let command = Register { max_concurrent: 0, ..command(None) };
        let (record, _) = register(Before::Unknown, &command, FRESH, NOW).expect("a worker");
        assert_eq!(record.max_concurrent, 1);
    }

    #[test]
    fn the_state_of_the_old_worker_decides_what_a_registration_is() {
        assert_eq!(outcome(false, false, None), RegisterOutcome::Reactivated);
        assert_eq!(outcome(false, true, None), RegisterOutcome::Reactivated);
        assert_eq!(outcome(true, true, None), RegisterOutcome::TookOverStale);
        let refused = again(true, false, None);
        assert!(matches!(&refused, Err(Error::WorkerOnline(name)) if name == "w"), "{refused:?}");
    }

    #[test]
    fn only_who_has_the_token_is_the_same_worker() {
        assert_eq!(outcome(true, false, Some(TOKEN)), RegisterOutcome::Resumed);
        assert_eq!(outcome(true, true, Some(TOKEN)), RegisterOutcome::Resumed);
        assert!(again(true, false, Some([3; 16])).is_err());
        assert_eq!(outcome(true, true, Some([3; 16])), RegisterOutcome::TookOverStale);
    }

    #[test]
    fn a_worker_without_a_token_is_not_matched_by_any() {
        let record = WorkerRecord { token: Bytes::new(), ..known(true) };
        let before = Before::Known { record: &record, is_silent: false };
        assert!(register(before, &command(Some([0; 16])), FRESH, NOW).is_err());
    }

    #[test]
    fn a_registration_takes_back_the_order_to_go_and_keeps_what_people_have_set() {
        for (is_online, is_silent) in [(false, true), (true, true)] {
            let (record, _) = again(is_online, is_silent, None).expect("a worker");
            assert_eq!((record.offline_action, record.drain_deadline_nanos, record.offline_nanos), (0, 0, 0));
            assert!(record.is_online && record.paused);
            assert_eq!((record.worker_type, record.heartbeat_nanos), (WorkerType::Qsv as i32, NOW.nanos()));
            assert_eq!(record.token, FRESH.as_slice());
        }
    }

    #[test]
    fn a_worker_that_connects_again_has_its_token_and_with_its_tasks_its_order_to_go() {
        let (record, _) = again(true, false, Some(TOKEN)).expect("a worker");
        assert_eq!(record.token, TOKEN.as_slice());
        assert_eq!((record.offline_action, record.drain_deadline_nanos), (0, 0), "it begins anew");
        let before = known(true);
        let command = Register { goes_on: true, ..command(Some(TOKEN)) };
        let (record, _) =
            register(Before::Known { record: &before, is_silent: false }, &command, FRESH, NOW).expect("a worker");
        assert_eq!((record.offline_action, record.drain_deadline_nanos), (OfflineAction::Shutdown as i32, 7));
    }
}
