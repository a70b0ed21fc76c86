//! Load, decide, commit, and again when somebody else was quicker.

use std::time::Duration;

use super::{CommitError, Error, Revision, Store, Txn};

/// What one attempt of an update came to.
#[derive(Debug)]
pub enum Step<T> {
    /// These changes, and this answer once they are durable.
    Commit(Txn, T),
    /// Nothing to change.
    Answer(T),
}

/// Attempts before an update gives up as [`Error::Busy`]. An attempt loses only when another commit of the same records
/// won, so this many in a row mean an overload.
const MAX_ATTEMPTS: u32 = 200;
/// Attempts that follow each other without a pause.
const EAGER_ATTEMPTS: u32 = 20;

/// Runs `attempt` until its changes are committed or it has none. Returns its answer and a revision from which a watch
/// misses nothing that happened after the decision; both when all that was changed *or read* is durable, errors
/// included. `what` names the record in [`Error::Busy`].
pub async fn update<S, T, E, F, A>(store: &S, what: impl std::fmt::Display, mut attempt: F) -> Result<(T, Revision), E>
where
    S: Store + ?Sized,
    E: From<Error>,
    F: FnMut() -> A,
    A: Future<Output = Result<Step<T>, E>>,
{
    for tried in 0..MAX_ATTEMPTS {
        let seen = store.revision();
        match attempt().await {
            Ok(Step::Commit(txn, answer)) => match store.commit(txn).await {
                Ok(revision) => return Ok((answer, revision)),
                Err(CommitError::Conflict(_)) => pause_after(tried).await,
                Err(CommitError::Store(error)) => return Err(error.into()),
            },
            Ok(Step::Answer(answer)) => {
                store.settled().await?;
                return Ok((answer, seen));
            }
            Err(error) => {
                store.settled().await?;
                return Err(error);
            }
        }
    }
    Err(Error::Busy(what.to_string()).into())
}

async fn pause_after(tried: u32) {
    if tried < EAGER_ATTEMPTS {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
