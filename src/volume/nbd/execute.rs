//! Doing a request and putting its reply together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exports::Session;
use super::in_flight::InFlight;
use super::measures::Measures;
use super::output::Output;
use super::problem::Problem;
use super::protocol::command;
use super::request::{Command, Request, Terms};
use super::writer::Writer;
use super::{read, status};
use crate::volume::device::{Device, Wait, Zero};

/// A device that is served to one client, as it was agreed on. Everything that uses the device holds it, so that the
/// session's guard outlives them all.
pub(super) struct Served {
    pub(super) writer: Arc<Writer>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) measures: Arc<Measures>,
    pub(super) is_structured: bool,
    pub(super) contexts: status::Contexts,
    pub(super) session: Session,
    /// Whether something was changed since the last flush.
    pub(super) is_unflushed: AtomicBool,
}

/// How far a request came.
#[derive(Debug)]
pub(super) enum Outcome {
    /// To its end: the reply is in the output, or sent.
    Done,
    /// The rest of it has to wait for a disk.
    Rest(Request),
}

/// What a long reply is sent with before it is whole. All of it leaves the output empty.
pub(super) trait Sender {
    /// Sends what there is: whole messages, or the end of one.
    fn send(&mut self, out: &mut Output) -> io::Result<()>;

    /// Whether messages can be sent in parts.
    fn has_parts(&self) -> bool;

    /// Sends the first or a further part of a message. Nothing else is sent until its end.
    fn send_part(&mut self, out: &mut Output) -> io::Result<()>;
}

impl Served {
    pub(super) fn device(&self) -> &dyn Device {
        &*self.session.device
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            size: self.device().size(),
            is_read_only: self.device().is_read_only(),
            is_structured: self.is_structured,
            has_contexts: self.contexts.are_any(),
        }
    }

    /// Does a request that was checked. Fails only when nothing can be sent any more.
    ///
    /// What a write has to do beyond writing is left here: nothing but to flush.
    pub(super) fn execute(
        &self,
        request: &Request,
        out: &mut Output,
        wait: Wait,
        send: &mut dyn Sender,
    ) -> io::Result<Outcome> {
        let device = self.device();
        let (offset, length) = (request.offset, u64::from(request.length));
        let done = match request.command {
            Some(Command::Read) => return read::read(self, request, out, wait, send),
            Some(Command::BlockStatus) => {
                status::status(self, request, out);
                return Ok(Outcome::Done);
            }
            Some(Command::Flush | Command::Write) => self.flush(),
            Some(Command::Trim) => self.change(request, device.trim(offset, length)),
            Some(Command::WriteZeroes) => {
                let zero = if request.has(command::FLAG_NO_HOLE) { Zero::KeepAllocated } else { Zero::Deallocate };
                self.change(request, device.zero(offset, length, zero))
            }
            Some(Command::Cache) => device.prefetch(offset, length),
            Some(Command::Disconnect) | None => return Ok(Outcome::Done),
        };
        self.answer(request, done, out);
        Ok(Outcome::Done)
    }

    /// What is left of a change that was made, or was not.
    fn change(&self, request: &Request, done: io::Result<()>) -> io::Result<()> {
        self.changed();
        done?;
        if request.has(command::FLAG_FUA) { self.flush() } else { Ok(()) }
    }

    /// Writes a part of what a client sends.
    pub(super) fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let done = self.device().write_at(data, offset);
        self.changed();
        done
    }

    /// Something was changed, or a part of it: only now, because a flush that began before may have missed it.
    fn changed(&self) {
        self.is_unflushed.store(true, Ordering::Release);
    }

    /// Returns once everything that was changed survives a power loss.
    fn flush(&self) -> io::Result<()> {
        flush(&[self])
    }

    /// Flushes what the client has left to the end of its session.
    pub(super) fn flush_rest(&self) {
        if !self.is_unflushed.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.flush() {
            tracing::error!(export = self.session.shown_name, %error, "what a client wrote last may be lost");
        }
    }

    /// A reply without data.
    pub(super) fn answer(&self, request: &Request, done: io::Result<()>, out: &mut Output) {
        match done {
            Ok(()) => out.put_simple(request.cookie, 0),
            Err(error) => self.fail(request, &error, out),
        }
    }

    /// The device failed.
    pub(super) fn fail(&self, request: &Request, error: &io::Error, out: &mut Output) {
        tracing::debug!(export = self.session.shown_name, ?request, %error, "a request failed");
        self.refuse(request, Problem::from(error), out);
    }

    /// The whole reply is an error.
    pub(super) fn refuse(&self, request: &Request, problem: Problem, out: &mut Output) {
        self.measures.errors.increment(1);
        // A read, and what else has data in its reply, must be answered in the form that was agreed on.
        let has_data = matches!(request.command, Some(Command::Read | Command::BlockStatus));
        if self.is_structured && has_data {
            out.put_error(request.cookie, problem, None);
        } else {
            out.put_simple(request.cookie, problem.number);
        }
    }
}

/// One flush for all of these, which have one disk.
pub(super) fn flush(all: &[&Served]) -> io::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    let unflushed: Vec<&&Served> =
        all.iter().filter(|served| served.is_unflushed.swap(false, Ordering::AcqRel)).collect();
    let flushed = first.device().flush();
    if flushed.is_err() {
        for served in unflushed {
            served.changed();
        }
    }
    flushed
}
