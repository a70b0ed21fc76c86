//! `setting`: how a task copies, and when.

use serde::{Deserialize, Serialize};
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::schedule::When;

use crate::envelope::{Code, LocalTimes, Refusal, never_null, null_as_default, parse_local};

/// As a client writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Setting {
    #[serde(deserialize_with = "null_as_default")]
    rate_limit: Option<i64>,
    #[serde(deserialize_with = "null_as_default")]
    include_metadata: Option<bool>,
    #[serde(deserialize_with = "never_null")]
    conflict_strategy: Option<ConflictStrategy>,
    #[serde(deserialize_with = "never_null")]
    error_strategy: Option<ErrorStrategy>,
    #[serde(deserialize_with = "never_null")]
    execution_strategy: Option<ExecutionStrategy>,
    #[serde(deserialize_with = "never_null")]
    execution_plan: Option<Plan>,
    #[serde(deserialize_with = "null_as_default")]
    storage_consistency_check: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    automatic_create_remote_repo: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    include_referrers: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    propagate_deletes: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    max_deletes: Option<u32>,
    #[serde(deserialize_with = "null_as_default")]
    parallelism: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ConflictStrategy {
    Skip,
    Overwrite,
    FastFail,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ErrorStrategy {
    Continue,
    FastFail,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ExecutionStrategy {
    #[default]
    Immediately,
    SpecifiedTime,
    CronExpression,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    #[serde(default, deserialize_with = "null_as_default")]
    execute_immediately: Option<bool>,
    #[serde(default)]
    execute_time: Option<LocalTime>,
    #[serde(default)]
    cron_expression: Option<String>,
}

/// A time that reads; what does not is no valid body.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct LocalTime(jiff::civil::DateTime);

impl TryFrom<String> for LocalTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        parse_local(&text).map(LocalTime).ok_or("not a time")
    }
}

impl Setting {
    /// As the service takes it. Other strategies than `run_once`'s are the defaults of the others.
    pub(super) fn to_proto(&self, is_run_once: bool, times: &LocalTimes) -> Result<pb::Settings, Refusal> {
        let conflict = match self.conflict_strategy {
            // Quirk: a task that runs once replaces what is there, whatever it says.
            _ if is_run_once => pb::ConflictStrategy::Overwrite,
            None | Some(ConflictStrategy::Skip) => pb::ConflictStrategy::Skip,
            Some(ConflictStrategy::Overwrite) => pb::ConflictStrategy::Overwrite,
            Some(ConflictStrategy::FastFail) => pb::ConflictStrategy::FastFail,
        };
        let error = match self.error_strategy {
            Some(ErrorStrategy::FastFail) => pb::ErrorStrategy::FastFail,
            None if is_run_once => pb::ErrorStrategy::FastFail,
            None | Some(ErrorStrategy::Continue) => pb::ErrorStrategy::Continue,
        };
        Ok(pb::Settings {
            // Less than nothing was no limit, too.
            rate_limit: self.rate_limit.unwrap_or_default().max(0),
            include_metadata: Some(self.include_metadata.unwrap_or(true)),
            conflict_strategy: conflict.into(),
            error_strategy: error.into(),
            schedule: Some(pb::Schedule { when: Some(self.when(times)?), time_zone: String::new() }),
            include_referrers: self.include_referrers,
            propagate_deletes: self.propagate_deletes.unwrap_or_default(),
            max_deletes: self.max_deletes.unwrap_or_default(),
            parallelism: self.parallelism.unwrap_or_default(),
            automatic_create_remote_repo: self.automatic_create_remote_repo,
            storage_consistency_check: self.storage_consistency_check.unwrap_or_default(),
        })
    }

    fn when(&self, times: &LocalTimes) -> Result<When, Refusal> {
        let plan = self.execution_plan.as_ref();
        match self.execution_strategy.unwrap_or_default() {
            ExecutionStrategy::Immediately => match plan.and_then(|plan| plan.execute_immediately) {
                Some(false) => Err(Refusal::new(&Code::PARAMETER_INVALID, "executeImmediately")),
                _ => Ok(When::Immediately(pb::Immediately {})),
            },
            ExecutionStrategy::SpecifiedTime => {
                let missing = || Refusal::new(&Code::PARAMETER_MISSING, "executeTime");
                let local = plan.and_then(|plan| plan.execute_time.as_ref()).ok_or_else(missing)?;
                let invalid = || Refusal::new(&Code::PARAMETER_INVALID, "executeTime");
                times.instant(local.0).map(When::At).ok_or_else(invalid)
            }
            ExecutionStrategy::CronExpression => {
                match plan.and_then(|plan| plan.cron_expression.as_deref()).map(str::trim) {
                    None => Err(Refusal::new(&Code::PARAMETER_MISSING, "cronExpression")),
                    Some("") => Err(Refusal::new(&Code::PARAMETER_EMPTY, "cronExpression")),
                    Some(cron) => Ok(When::Cron(cron.to_owned())),
                }
            }
        }
    }
}

/// As a client reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSetting {
    rate_limit: i64,
    include_metadata: bool,
    conflict_strategy: &'static str,
    error_strategy: &'static str,
    execution_strategy: &'static str,
    execution_plan: ShownPlan,
    storage_consistency_check: bool,
    automatic_create_remote_repo: bool,
    // What the original did not have is told only where it says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    include_referrers: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagate_deletes: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_deletes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelism: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPlan {
    execute_immediately: bool,
    execute_time: Option<String>,
    cron_expression: Option<String>,
}

impl ShownSetting {
    pub(super) fn of(settings: pb::Settings, times: &LocalTimes) -> Self {
        let (conflict_strategy, error_strategy) = (settings.conflict_strategy(), settings.error_strategy());
        let when = settings.schedule.and_then(|schedule| schedule.when);
        let (execution_strategy, execute_time, cron_expression) = match when {
            None | Some(When::Immediately(_)) => ("IMMEDIATELY", None, None),
            Some(When::At(time)) => ("SPECIFIED_TIME", times.text(Some(time)), None),
            Some(When::Cron(cron)) => ("CRON_EXPRESSION", None, Some(cron)),
        };
        ShownSetting {
            rate_limit: settings.rate_limit,
            include_metadata: settings.include_metadata.unwrap_or(true),
            conflict_strategy: match conflict_strategy {
                pb::ConflictStrategy::Unspecified | pb::ConflictStrategy::Skip => "SKIP",
                pb::ConflictStrategy::Overwrite => "OVERWRITE",
                pb::ConflictStrategy::FastFail => "FAST_FAIL",
            },
            error_strategy: match error_strategy {
                pb::ErrorStrategy::Unspecified | pb::ErrorStrategy::Continue => "CONTINUE",
                pb::ErrorStrategy::FastFail => "FAST_FAIL",
            },
            execution_plan: ShownPlan {
                execute_immediately: execution_strategy == "IMMEDIATELY",
                execute_time,
                cron_expression,
            },
            execution_strategy,
            storage_consistency_check: settings.storage_consistency_check,
            automatic_create_remote_repo: settings.automatic_create_remote_repo.unwrap_or(true),
            include_referrers: settings.include_referrers.filter(|include| !include),
            propagate_deletes: settings.propagate_deletes.then_some(true),
            max_deletes: Some(settings.max_deletes).filter(|count| *count != 0),
            parallelism: Some(settings.parallelism).filter(|count| *count != 0),
        }
    }
}
