//! What is tried again, and when.

use std::time::Duration;

use super::limits::Limits;
use super::{Meter, TargetError};

/// How long to wait at most, when a target does not say.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// How long to wait at most, whatever a target says.
const LONGEST_REQUEST: Duration = Duration::from_mins(5);

impl TargetError {
    /// Whether it may work the next time.
    pub(in crate::replication) fn is_passing(&self) -> bool {
        match self {
            TargetError::Unreachable(_) | TargetError::Busy { .. } => true,
            TargetError::Tls(_)
            | TargetError::Forbidden(_)
            | TargetError::Denied(_)
            | TargetError::Refused(_)
            | TargetError::Mismatch(_)
            | TargetError::Source(_)
            | TargetError::Cancelled => false,
        }
    }
}

/// How often something has failed in a row.
pub(super) struct Failures<'a> {
    limits: &'a Limits,
    meter: Option<&'a dyn Meter>,
    count: u32,
}

impl<'a> Failures<'a> {
    pub(super) fn new(limits: &'a Limits, meter: Option<&'a dyn Meter>) -> Self {
        Failures { limits, meter, count: 0 }
    }

    /// It has got on.
    pub(super) fn forget(&mut self) {
        self.count = 0;
    }

    /// It has failed once more: waits until it is to be tried again, or says that it is not.
    pub(super) async fn add(&mut self, what: &str, error: TargetError) -> Result<(), TargetError> {
        self.count += 1;
        if !error.is_passing() || self.count >= self.limits.attempts {
            return Err(error);
        }
        let delay = delay(self.limits.first_delay, self.count, &error, random());
        let text = format!("{what}: {error}; trying again in {:.1} s", delay.as_secs_f64());
        if let Some(meter) = self.meter {
            meter.log("WARN", text);
        } else {
            tracing::debug!("{text}");
        }
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// Tries until it works, or cannot.
pub(super) async fn retried<T, W, F>(limits: &Limits, what: &str, mut work: W) -> Result<T, TargetError>
where
    W: FnMut() -> F,
    F: Future<Output = Result<T, TargetError>>,
{
    let mut failures = Failures::new(limits, None);
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => failures.add(what, error).await?,
        }
    }
}

/// What the target asks for, else longer each time; with jitter, so that not all come back at the same moment.
fn delay(first: Duration, count: u32, error: &TargetError, random: f64) -> Duration {
    let grown = first.saturating_mul(1 << (count - 1).min(16)).min(LONGEST_DELAY).mul_f64(0.75 + random / 2.0);
    match error {
        TargetError::Busy { after: Some(after), .. } => (*after).clamp(grown.min(LONGEST_REQUEST), LONGEST_REQUEST),
        _ => grown,
    }
}

/// Between 0 and 1.
fn random() -> f64 {
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    f64::from(random) / 256.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(seconds: u64) -> TargetError {
        TargetError::Busy { problem: "busy".to_owned(), after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn delays_grow_to_a_limit() {
        let error = TargetError::Unreachable("gone".to_owned());
        let second = Duration::from_secs(1);
        assert_eq!(delay(second, 1, &error, 0.5), second);
        assert_eq!(delay(second, 3, &error, 0.5), Duration::from_secs(4));
        assert_eq!(delay(second, 60, &error, 0.5), LONGEST_DELAY);
    }

    #[test]
    fn a_target_is_not_asked_again_before_it_wants_to_be_but_five_minutes_are_enough() {
        let first = Duration::from_millis(500);
        assert_eq!(delay(first, 1, &busy(7), 0.5), Duration::from_secs(7));
        assert_eq!(delay(first, 1, &busy(86_400), 0.5), LONGEST_REQUEST);
        assert_eq!(delay(first, 1, &busy(0), 0.5), first);
    }
}
