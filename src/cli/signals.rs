//! The signals that end a program, on their way to the command.

use std::{fs, io};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

const FORWARDED: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];

/// The signals that this process was sent.
#[derive(Debug)]
pub(crate) struct Signals {
    arrived: mpsc::UnboundedReceiver<Signal>,
}

impl Signals {
    /// Catches the signals from now on, those apart that were ignored: `nohup` and background jobs of scripts want them
    /// to stay so, for the command too.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, arrived) = mpsc::unbounded_channel();
        let ignored = ignored_signals();
        for signal in FORWARDED.into_iter().filter(|signal| !contains(ignored, *signal)) {
            let mut caught = unix::signal(SignalKind::from_raw(signal.as_raw()))?;
            let sender = sender.clone();
            // Ends with the process: signals stay caught once they are.
            tokio::spawn(async move { while caught.recv().await.is_some() && sender.send(signal).is_ok() {} });
        }
        Ok(Signals { arrived })
    }

    /// Signals that a test sends.
    #[cfg(test)]
    pub(crate) fn scripted() -> (mpsc::UnboundedSender<Signal>, Self) {
        let (sender, arrived) = mpsc::unbounded_channel();
        (sender, Signals { arrived })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.arrived.recv().await {
            Some(signal) => signal,
            // All are ignored: none will come.
            None => std::future::pending().await,
        }
    }
}

/// Keeps the terminal's stop key from stopping this process alone: the command would run on while nobody renews.
pub(crate) fn hold_off_stops() -> io::Result<()> {
    unix::signal(SignalKind::from_raw(Signal::TSTP.as_raw())).map(drop)
}

/// The mask of ignored signals, where the system tells it (Linux); elsewhere none.
fn ignored_signals() -> u64 {
    fs::read_to_string("/proc/self/status").map_or(0, |status| ignored_mask(&status))
}

fn ignored_mask(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn contains(mask: u64, signal: Signal) -> bool {
    mask >> (signal.as_raw() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let mask = ignored_mask("Name:\tsteward\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n");
        assert!(contains(mask, Signal::HUP) && contains(mask, Signal::PIPE));
        assert!(!contains(mask, Signal::INT));
        assert_eq!(ignored_mask("nothing of the kind"), 0);
    }
}
