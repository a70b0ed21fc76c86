//! The sending side of a connection, which its own thread and those of the pool share.
//!
//! Whoever sends has the turn; replies that are posted meanwhile queue up and are sent by the same thread. A thread of
//! the pool never waits for a client: what cannot be sent at once is left to a thread that is started for it, so that
//! clients that do not read keep nobody else's requests from the disk.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

use metrics::Counter;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::in_flight::Place;
use super::socket::Socket;

/// The stack of a thread that only sends.
const STACK_BYTES: usize = 128 * 1024;

/// The sending side of a connection.
pub(super) struct Writer {
    socket: Arc<Socket>,
    sent_bytes: Counter,
    state: Mutex<State>,
    turn_ended: Condvar,
}

#[derive(Default)]
struct State {
    is_sending: bool,
    is_broken: bool,
    queue: VecDeque<Posted>,
}

/// The right to send. Without [`Turn::finish`] a message has no end, and the connection is closed.
pub(super) struct Turn<'a> {
    writer: &'a Writer,
    is_finished: bool,
}

impl Turn<'_> {
    /// Sends, and waits for the client if it must.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.socket.send_all(bytes)?;
        self.writer.sent_bytes.increment(bytes.len() as u64);
        Ok(())
    }

    /// Sends what others have posted meanwhile.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.is_finished = true;
        self.writer.drain()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.writer.break_off(self.writer.state.lock());
        }
    }
}

/// A reply in the queue.
struct Posted {
    bytes: Vec<u8>,
    /// How much of it was sent.
    sent: usize,
    /// Free again when the reply is sent.
    _place: Option<Place>,
}

impl Writer {
    pub(super) fn new(socket: Arc<Socket>, sent_bytes: Counter) -> Self {
        Writer { socket, sent_bytes, state: Mutex::default(), turn_ended: Condvar::new() }
    }

    /// Sends, and waits for the client if it must.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut turn = self.turn()?;
        turn.send(bytes)?;
        turn.finish()
    }

    /// Waits until nobody else sends.
    pub(super) fn turn(&self) -> io::Result<Turn<'_>> {
        let mut state = self.state.lock();
        while state.is_sending {
            self.turn_ended.wait(&mut state);
        }
        if state.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.is_sending = true;
        Ok(Turn { writer: self, is_finished: false })
    }

    /// Sends soon, without waiting for the client. With a place, this is the last part of a reply.
    pub(super) fn post(self: &Arc<Self>, bytes: Vec<u8>, place: Option<Place>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.queue.push_back(Posted { bytes, sent: 0, _place: place });
        if state.is_sending {
            return Ok(());
        }
        state.is_sending = true;
        drop(state);
        self.drain_now();
        Ok(())
    }

    /// Sends the queue and gives the turn back.
    fn drain(&self) -> io::Result<()> {
        while let Some(posted) = self.next() {
            let rest = &posted.bytes[posted.sent..];
            if let Err(error) = self.socket.send_all(rest) {
                self.break_off(self.state.lock());
                return Err(error);
            }
            self.sent_bytes.increment(rest.len() as u64);
        }
        Ok(())
    }

    /// The same, but what the client does not take at once is left to another thread.
    fn drain_now(self: &Arc<Self>) {
        while let Some(mut posted) = self.next() {
            match self.socket.send_now(&posted.bytes[posted.sent..]) {
                Ok(sent) => {
                    self.sent_bytes.increment(sent as u64);
                    posted.sent += sent;
                }
                Err(error) => {
                    tracing::debug!(%error, "a reply could not be sent");
                    return self.break_off(self.state.lock());
                }
            }
            if posted.sent < posted.bytes.len() {
                self.state.lock().queue.push_front(posted);
                return self.drain_elsewhere();
            }
        }
    }

    fn drain_elsewhere(self: &Arc<Self>) {
        let writer = Arc::clone(self);
        let drain = move || {
            if let Err(error) = writer.drain() {
                tracing::debug!(%error, "replies could not be sent");
            }
        };
        let started = thread::Builder::new().name("nbd-send".to_owned()).stack_size(STACK_BYTES).spawn(drain);
        if let Err(error) = started {
            tracing::warn!(%error, "cannot start a thread, a connection is closed");
            self.break_off(self.state.lock());
        }
    }

    /// What is to be sent next; without anything, the turn is given back.
    fn next(&self) -> Option<Posted> {
        let mut state = self.state.lock();
        let next = state.queue.pop_front();
        if next.is_none() {
            state.is_sending = false;
            drop(state);
            self.turn_ended.notify_all();
        }
        next
    }

    /// Nothing can be sent any more, so nothing needs to be received either.
    fn break_off(&self, mut state: MutexGuard<'_, State>) {
        state.is_sending = false;
        state.is_broken = true;
        let lost = std::mem::take(&mut state.queue);
        drop(state);
        drop(lost);
        self.turn_ended.notify_all();
        self.socket.shut_down(Shutdown::Both);
    }
}
