//! The second phase of the protocol: requests and replies.

use std::io;
use std::sync::Arc;

use super::execute::{Outcome, Sender, Served};
use super::input::{INPUT_BYTES, Input};
use super::link::Link;
use super::output::Output;
use super::pool::{Job, Pool};
use super::problem::Problem;
use super::protocol::command;
use super::request::{Command, MAX_REQUEST_BYTES, Request};
use super::watch::Control;
use super::writer::Turn;
use crate::volume::device::{BLOCK_BYTES, Wait};

/// A long write is written piece by piece as it arrives, in pieces of at least this length.
const PIECE_BYTES: usize = INPUT_BYTES / 2;
/// Freeing more than this at once may take a while.
const LONG_BYTES: u32 = 1024 * 1024;

/// The requests of one client.
pub(super) struct Transmission<'a> {
    link: Link,
    input: Input,
    output: Output,
    served: &'a Arc<Served>,
    pool: &'a Pool,
    control: &'a Control,
}

impl<'a> Transmission<'a> {
    pub(super) fn new(link: Link, input: Input, served: &'a Arc<Served>, pool: &'a Pool, control: &'a Control) -> Self {
        Transmission { link, input, output: Output::default(), served, pool, control }
    }

    /// Serves until the client goes, or is told to. When it returns, no request is running.
    pub(super) fn run(mut self) -> io::Result<()> {
        let ended = self.take_requests();
        let flushed = self.flush();
        self.served.in_flight.finish();
        // Clients that go without a flush count on this: it is what a disk does when it is detached.
        self.served.flush_rest();
        self.link.finish();
        ended.and(flushed)
    }

    fn take_requests(&mut self) -> io::Result<()> {
        loop {
            while let Some(head) = self.input.peek::<{ command::HEADER_BYTES }>() {
                let Ok(request) = Request::parse(head) else {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a request starts with other bytes"));
                };
                self.input.consume(command::HEADER_BYTES);
                self.served.measures.count(request.command);
                if request.command == Some(Command::Disconnect) {
                    return Ok(());
                }
                self.handle(&request)?;
                if self.output.is_large() {
                    self.flush()?;
                }
            }
            // The client may wait for these before it sends more.
            self.flush()?;
            if self.control.is_stopping() || !self.receive()? {
                return Ok(());
            }
        }
    }

    /// Waits for more; says whether there is any.
    fn receive(&mut self) -> io::Result<bool> {
        let received = self.input.fill(&mut self.link)?;
        self.served.measures.received_bytes.increment(received as u64);
        if received == 0 && !self.input.available().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(received > 0)
    }

    fn handle(&mut self, request: &Request) -> io::Result<()> {
        let checked =
            if self.control.is_stopping() { Err(Problem::SHUTDOWN) } else { request.check(self.served.terms()) };
        if request.command == Some(Command::Write) {
            return self.write(request, checked.map(|_| ()));
        }
        match checked {
            Err(problem) => {
                self.served.refuse(request, problem, &mut self.output);
                Ok(())
            }
            Ok(command) if self.is_slow(command, request) => self.submit(*request),
            Ok(_) => self.execute(request),
        }
    }

    /// Whether it is sure to take long, so that it is not even tried here.
    fn is_slow(&self, command: Command, request: &Request) -> bool {
        let is_slow = match command {
            Command::Flush | Command::Cache | Command::BlockStatus => true,
            Command::Trim | Command::WriteZeroes => request.has(command::FLAG_FUA) || request.length > LONG_BYTES,
            Command::Read | Command::Write | Command::Disconnect => false,
        };
        is_slow && self.may_share()
    }

    /// Over TLS only this thread can send.
    fn may_share(&self) -> bool {
        !self.link.is_encrypted()
    }

    fn execute(&mut self, request: &Request) -> io::Result<()> {
        let wait = if self.may_share() { Wait::Never } else { Wait::Allowed };
        let outcome = {
            let mut send = Direct { link: &mut self.link, served: self.served, turn: None };
            self.served.execute(request, &mut self.output, wait, &mut send)?
        };
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Rest(rest) if self.may_share() => self.submit(rest),
            Outcome::Rest(rest) => {
                self.served.fail(&rest, &io::ErrorKind::WouldBlock.into(), &mut self.output);
                Ok(())
            }
        }
    }

    /// Leaves a request to the pool, as soon as there is a place for it.
    fn submit(&mut self, request: Request) -> io::Result<()> {
        let bytes = request.reply_bytes();
        let place = if let Some(place) = self.served.in_flight.try_admit(bytes) {
            place
        } else {
            self.flush()?;
            self.served.in_flight.admit(bytes)
        };
        self.pool.submit(Job { served: Arc::clone(self.served), request, place });
        Ok(())
    }

    /// A payload is always taken, also that of a write that is refused; unless it is far too long.
    fn write(&mut self, request: &Request, checked: Result<(), Problem>) -> io::Result<()> {
        if request.length > MAX_REQUEST_BYTES {
            self.served.refuse(request, Problem::TOO_LONG, &mut self.output);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a write of more than 32 MiB"));
        }
        let mut done: io::Result<()> = Ok(());
        let (mut offset, mut left) = (request.offset, request.length as usize);
        while left > 0 {
            self.need(left.min(PIECE_BYTES))?;
            let piece = piece_of(offset, self.input.available().len(), left);
            if checked.is_ok() && done.is_ok() {
                done = self.served.write(&self.input.available()[..piece], offset);
            }
            self.input.consume(piece);
            offset = offset.wrapping_add(piece as u64);
            left -= piece;
        }
        if let Err(problem) = checked {
            self.served.refuse(request, problem, &mut self.output);
            return Ok(());
        }
        if done.is_ok() && request.has(command::FLAG_FUA) {
            return if self.may_share() { self.submit(*request) } else { self.execute(request) };
        }
        self.served.answer(request, done, &mut self.output);
        Ok(())
    }

    /// Waits until so much of a payload is there.
    fn need(&mut self, count: usize) -> io::Result<()> {
        if self.input.available().len() >= count {
            return Ok(());
        }
        self.flush()?;
        let before = self.input.available().len();
        self.input.need(count, &mut self.link)?;
        let received = self.input.available().len() - before;
        self.served.measures.received_bytes.increment(received as u64);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        send(&mut self.link, self.served, &mut self.output)
    }
}

/// Sends from the connection's own thread.
struct Direct<'a> {
    link: &'a mut Link,
    served: &'a Served,
    /// While a message has no end yet.
    turn: Option<Turn<'a>>,
}

impl Sender for Direct<'_> {
    fn send(&mut self, output: &mut Output) -> io::Result<()> {
        let Some(mut turn) = self.turn.take() else { return send(self.link, self.served, output) };
        turn.send(output.as_slice())?;
        output.clear();
        turn.finish()
    }

    fn has_parts(&self) -> bool {
        true
    }

    fn send_part(&mut self, output: &mut Output) -> io::Result<()> {
        if self.link.is_encrypted() {
            // Nobody else sends there.
            return send(self.link, self.served, output);
        }
        let turn = match &mut self.turn {
            Some(turn) => turn,
            None => self.turn.insert(self.served.writer.turn()?),
        };
        turn.send(output.as_slice())?;
        output.clear();
        Ok(())
    }
}

/// Sends what is in the output.
fn send(link: &mut Link, served: &Served, output: &mut Output) -> io::Result<()> {
    if output.is_empty() {
        return Ok(());
    }
    match link {
        Link::Plain(_) => served.writer.send(output.as_slice())?,
        Link::Tls(_) => {
            link.send_all(output.as_slice())?;
            served.measures.sent_bytes.increment(output.as_slice().len() as u64);
        }
    }
    output.clear();
    Ok(())
}

/// How much of a payload is written next, of what is there. Blocks are not cut: after a power loss each is to be the
/// old or the new one.
fn piece_of(offset: u64, available: usize, left: usize) -> usize {
    if available >= left {
        return left;
    }
    let beyond_block = (offset.wrapping_add(available as u64) % BLOCK_BYTES) as usize;
    available - beyond_block
}
