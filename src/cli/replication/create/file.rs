//! A task out of a file.

use std::path::Path;

use serde_json::Value;
use steward_proto::replication::v1 as pb;

use crate::cli::error::Error;
use crate::cli::replication::json;

/// What a task is to do, alone or as a part of the task that `show --json` wrote.
pub(super) fn read(path: &Path) -> Result<pb::Config, Error> {
    let wrong = |problem: String| Error::Local(format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &[u8]) -> Result<pb::Config, String> {
    let mut value: Value = serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"))?;
    let config = match value.get_mut("config") {
        Some(config) => config.take(),
        None => value,
    };
    let config: json::Config = serde_json::from_value(config).map_err(|error| format!("is not a task: {error}"))?;
    config.into_proto()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> pb::Config {
        let registry =
            pb::RegistryTarget { registry: "https://r".to_owned(), username: "u".to_owned(), ..Default::default() };
        pb::Config {
            target: Some(pb::Target { target: Some(pb::target::Target::Registry(registry)) }),
            package_constraints: vec![pb::PackageConstraint {
                package_key: "docker://a".to_owned(),
                newest: 3,
                ..Default::default()
            }],
            path_constraints: vec![pb::PathConstraint { path: "/a".to_owned(), path_regex: vec!["b".to_owned()] }],
            object_type: pb::ReplicaObjectType::Path.into(),
            replica_type: pb::ReplicaType::RunOnce.into(),
            settings: Some(pb::Settings {
                rate_limit: 5,
                conflict_strategy: pb::ConflictStrategy::FastFail.into(),
                error_strategy: pb::ErrorStrategy::Continue.into(),
                schedule: Some(pb::Schedule {
                    when: Some(pb::schedule::When::Cron("0 3 * * *".to_owned())),
                    time_zone: "Europe/Berlin".to_owned(),
                }),
                include_referrers: Some(false),
                max_deletes: 7,
                ..Default::default()
            }),
            enabled: Some(false),
            description: "d".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_task_comes_back_as_it_was_shown() {
        let text = serde_json::to_vec(&json::Config::from(full())).unwrap();
        assert_eq!(parse(&text).unwrap(), full());
        let task = json::Task::from(pb::Task { config: Some(full()), ..pb::Task::default() });
        assert_eq!(parse(&serde_json::to_vec(&task).unwrap()).unwrap(), full());
    }

    #[test]
    fn what_is_no_task_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("{", "is not JSON"),
            (r#"{"pakage_constraints": []}"#, "pakage_constraints"),
            (r#"{"replica_type": "sometimes"}"#, "replica_type: \"sometimes\" is none"),
            (r#"{"settings": {"schedule": {"at": "2026-03-01T12:00:00Z", "cron": "* * * * *"}}}"#, "both"),
            (r#"{"target": {"registry": {"password": "geheim"}}}"#, "password"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
