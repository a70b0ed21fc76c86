//! Reads the fields of requests; everything that is wrong with one is reported together.

use std::borrow::Cow;
use std::time::Duration;

use crate::error::Failure;

/// Of the parts of a request, so many wrong fields are told.
const MOST_VIOLATIONS: usize = 50;

/// Reads fields and gathers what is wrong with them. Areas add what is their own.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    violations: Vec<(Cow<'static, str>, String)>,
}

impl Fields {
    /// Notes that a field is wrong.
    pub(crate) fn reject(&mut self, field: impl Into<Cow<'static, str>>, problem: impl Into<String>) {
        self.violations.push((field.into(), problem.into()));
    }

    /// What was read, if nothing was wrong.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.violations.is_empty() { Ok(()) } else { Err(Failure::invalid(self.violations)) }
    }

    /// All that is wrong, by field.
    pub(crate) fn violations(self) -> Vec<(String, String)> {
        self.violations.into_iter().map(|(field, problem)| (field.into_owned(), problem)).collect()
    }

    /// Takes over what is wrong with the fields of a part of the request, up to a number that can be read.
    pub(crate) fn take_in(&mut self, part: &str, fields: Fields) {
        let room = MOST_VIOLATIONS.saturating_sub(self.violations.len());
        let violations = fields.violations.into_iter().take(room);
        self.violations.extend(violations.map(|(field, problem)| (Cow::Owned(format!("{part}.{field}")), problem)));
    }

    pub(crate) fn required_text(&mut self, field: &'static str, text: &str, max: usize) {
        if text.is_empty() {
            self.reject(field, "is required");
        }
        self.text(field, text, max);
    }

    pub(crate) fn text(&mut self, field: &'static str, text: &str, max: usize) {
        if text.len() > max {
            self.reject(field, format!("has {} bytes; the limit is {max}", text.len()));
        }
    }

    pub(crate) fn duration(
        &mut self,
        field: &'static str,
        duration: Option<prost_types::Duration>,
        (min, max): (Duration, Duration),
    ) -> Option<Duration> {
        let duration = duration?;
        let Ok(duration) = Duration::try_from(duration) else {
            self.reject(field, "is negative or out of range");
            return None;
        };
        if duration < min || duration > max {
            self.reject(field, format!("has to be between {min:?} and {} seconds", max.as_secs()));
        }
        Some(duration)
    }

    pub(crate) fn uuid(&mut self, field: &'static str, id: &str) -> Option<[u8; 16]> {
        if id.is_empty() {
            return None;
        }
        let parsed = uuid::Uuid::parse_str(id);
        if parsed.is_err() {
            self.reject(field, "is not a UUID");
        }
        parsed.ok().map(uuid::Uuid::into_bytes)
    }

    /// An enum; a number that is none of its values is wrong, not the default.
    pub(crate) fn known<E: TryFrom<i32> + Default>(&mut self, field: &'static str, number: i32) -> E {
        E::try_from(number).unwrap_or_else(|_| {
            self.reject(field, format!("{number} is not one of its values"));
            E::default()
        })
    }
}
