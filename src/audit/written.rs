//! How an answer waits for its entry.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::error::{Category, Failure};

/// How long an answer waits for a disk that does not answer, where calls go on without their entries.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same where they do not.
const STRICT_PATIENCE: Duration = Duration::from_secs(10);

/// Ready when the entry is written; or when it is not, and what that means for the answer.
#[derive(Debug)]
pub(crate) struct Written {
    answer: Option<oneshot::Receiver<bool>>,
    is_strict: bool,
    // Made only when there is something to wait for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Written {
    /// Nobody waits.
    pub(super) fn at_once() -> Self {
        Written { answer: None, is_strict: false, patience: None }
    }

    /// Waits for `answer`; without one the entry is lost already.
    pub(super) fn new(answer: Option<oneshot::Receiver<bool>>, is_strict: bool) -> Self {
        let answer = answer.or_else(|| {
            let (lost, answer) = oneshot::channel();
            let _ = lost.send(false);
            is_strict.then_some(answer)
        });
        Written { answer, is_strict, patience: None }
    }
}

impl Future for Written {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(answer) = &mut this.answer else { return Poll::Ready(Ok(())) };
        let is_written = match Pin::new(answer).poll(cx) {
            Poll::Ready(told) => told.unwrap_or(false),
            Poll::Pending => {
                let patience = if this.is_strict { STRICT_PATIENCE } else { PATIENCE };
                let sleep = this.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                std::task::ready!(sleep.as_mut().poll(cx));
                metrics::counter!("steward_audit_late_total").increment(1);
                false
            }
        };
        this.answer = None;
        Poll::Ready(if is_written || !this.is_strict { Ok(()) } else { Err(unavailable()) })
    }
}

/// What a caller is told whose change could not be noted.
pub(super) fn unavailable() -> Failure {
    Failure::new(
        Category::Unavailable,
        "AUDIT_UNAVAILABLE",
        "changes are refused while the audit log cannot be written; one that was under way may have happened",
    )
}
