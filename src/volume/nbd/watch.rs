//! Ending a connection from outside. Its thread waits in calls of the system, which only the end of the socket ends.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::socket::Socket;
use crate::handshakes::Place;

/// How much longer a handshake may take while a device is being opened.
const OPENING_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a session that the exports end may take to send what it still has.
const LINGER: Duration = Duration::from_secs(10);

/// What ends a connection.
#[derive(Debug)]
pub(super) struct Control {
    socket: Arc<Socket>,
    place: Place,
    is_stopping: AtomicBool,
    is_opening: AtomicBool,
}

/// What a connection is watched for.
pub(super) struct Watch {
    pub(super) control: Arc<Control>,
    pub(super) handshake_timeout: Duration,
    /// When a session begins, what may end it.
    pub(super) established: oneshot::Receiver<CancellationToken>,
    /// The connection ended.
    pub(super) ended: CancellationToken,
    /// The server stops.
    pub(super) stop: CancellationToken,
    /// The server waits no longer.
    pub(super) cut_off: CancellationToken,
}

impl Control {
    pub(super) fn new(socket: Arc<Socket>, place: Place) -> Self {
        Control { socket, place, is_stopping: AtomicBool::new(false), is_opening: AtomicBool::new(false) }
    }

    /// The client has chosen a device and stays. Returns whether it may still.
    pub(super) fn settle(&self) -> bool {
        self.place.settle()
    }

    /// Its place was needed for another one.
    pub(super) fn had_to_go(&self) -> bool {
        self.place.gone().is_cancelled()
    }

    /// No further requests are to be done.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// A device is being opened, which may take its time, or not any more.
    pub(super) fn set_opening(&self, is_opening: bool) {
        self.is_opening.store(is_opening, Ordering::Release);
    }

    /// What runs is finished and answered.
    fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.socket.shut_down(Shutdown::Read);
    }

    /// Nothing is received or sent any more.
    fn cut_off(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.socket.shut_down(Shutdown::Both);
    }
}

impl Watch {
    /// Returns when the connection has ended.
    pub(super) async fn run(self) {
        let Watch { control, handshake_timeout, established, ended, stop, cut_off } = self;
        let session_stop = tokio::select! {
            () = ended.cancelled() => return,
            () = stop.cancelled() => None,
            () = control.place.gone().cancelled() => {
                control.cut_off();
                return ended.cancelled().await;
            }
            () = handshake_overdue(&control, handshake_timeout) => {
                tracing::debug!("a handshake took too long");
                control.cut_off();
                return ended.cancelled().await;
            }
            session_stop = established => session_stop.ok(),
        };
        let mut linger = None;
        if let Some(session_stop) = session_stop {
            tokio::select! {
                () = ended.cancelled() => return,
                () = stop.cancelled() => {}
                () = session_stop.cancelled() => linger = Some(LINGER),
            }
        }
        control.stop();
        tokio::select! {
            () = ended.cancelled() => return,
            () = cut_off.cancelled() => {}
            () = sleep(linger.unwrap_or(Duration::MAX)) => {}
        }
        control.cut_off();
        ended.cancelled().await;
    }
}

async fn handshake_overdue(control: &Control, timeout: Duration) {
    sleep(timeout).await;
    if control.is_opening.load(Ordering::Acquire) {
        sleep(OPENING_TIMEOUT).await;
    }
}
