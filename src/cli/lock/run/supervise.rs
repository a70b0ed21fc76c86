//! Keeps and watches the lock while the command runs, and stops the command when the lock is lost.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::held::{Held, RenewError};
use super::loss;
use super::notices::Notices;
use crate::cli::command::Running;
use crate::cli::connect::Server;
use crate::cli::signals::Signals;

/// How it went.
#[derive(Debug)]
pub(super) enum End {
    /// The command ended by itself.
    Exited(ExitStatus),
    /// The lock was lost, and the command was stopped.
    Lost,
}

/// Renews the grant until the command ends. If the lock is lost before that, returns when the command is gone.
pub(super) async fn supervise(
    running: &mut Running,
    mut held: Held,
    grace: Duration,
    server: &Server,
    signals: &mut Signals,
    notices: &Notices,
) -> io::Result<End> {
    let mut locks = server.locks();
    let mut failure: Option<String> = None;
    let mut renewal = Box::pin(held.renewal(locks.clone(), held.schedule().next_attempt()));
    let mut loss = Box::pin(loss::sign(server.locks(), held.grant().clone()));
    let mut is_watching = true;
    loop {
        // In this order: a command that has ended needs no lock, and a late answer does not save one that is lost.
        tokio::select! {
            biased;
            status = running.wait() => return Ok(End::Exited(status?)),
            () = sleep_until(held.schedule().stop_at().into()) => {
                let cause = failure.as_deref().unwrap_or("there was no time to renew it");
                notices.error(format!("the lock is lost ({cause}); stopping the command"));
                // Past the deadline somebody else may work, so the grace ends there.
                let kill_at = held.schedule().deadline().min(Instant::now() + grace);
                running.stop(kill_at).await?;
                return Ok(End::Lost);
            }
            outcome = &mut renewal => match held.note(outcome) {
                Ok(()) if failure.take().is_some() => notices.say("the server is back and the lock is still held"),
                Ok(()) => {}
                Err(RenewError::NotHolder(reason)) => {
                    notices.error(format!("the lock is lost: {reason}; stopping the command"));
                    running.stop(Instant::now() + grace).await?;
                    return Ok(End::Lost);
                }
                Err(RenewError::Failed(reason)) => {
                    if failure.is_none() {
                        notices.say(format!("cannot renew the lock ({reason}); trying on"));
                    }
                    failure = Some(reason);
                    // The old connection may hang without failing.
                    locks = server.locks();
                }
            },
            () = &mut loss, if is_watching => {
                // A renewal says for sure. If the lock is held after all, the renewals go on without the watch.
                is_watching = false;
                renewal = Box::pin(held.renewal(locks.clone(), Instant::now()));
                continue;
            }
            signal = signals.next() => {
                running.forward(signal);
                continue;
            }
        }
        renewal = Box::pin(held.renewal(locks.clone(), held.schedule().next_attempt()));
    }
}
