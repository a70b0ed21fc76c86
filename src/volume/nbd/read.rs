//! Replies to reads: the data goes from the device to where it is sent from.

use std::io;

use super::execute::{Outcome, Sender, Served};
use super::output::{self, Output, SEND_BYTES};
use super::problem::Problem;
use super::protocol::{command, reply};
use super::request::Request;
use crate::volume::device::{BLOCK_BYTES, Extent, ExtentKind, Wait};

/// Below this length it costs more to ask where the holes are than to send them.
const SPARSE_BYTES: u32 = 32 * 1024;
/// A longer message is sent in parts.
const WHOLE_BYTES: usize = 1024 * 1024;
/// How many extents are asked for at a time.
const EXTENTS: usize = 256;
/// What of a chunk is before its data: the head, and where the data starts.
const DATA_HEAD_BYTES: usize = reply::STRUCTURED_BYTES + 8;

/// Answers a read.
pub(super) fn read(
    served: &Served,
    request: &Request,
    out: &mut Output,
    wait: Wait,
    send: &mut dyn Sender,
) -> io::Result<Outcome> {
    if !served.is_structured {
        return whole(served, request, &output::simple(request.cookie, 0), out, wait, send);
    }
    if request.length == 0 {
        // A chunk of data must not be empty.
        out.put_chunk(request.cookie, reply::FLAG_DONE, reply::NONE, 0);
        return Ok(Outcome::Done);
    }
    if request.has(command::FLAG_DF) {
        return whole(served, request, &data_head(request, request.length), out, wait, send);
    }
    if request.length < SPARSE_BYTES {
        let done = put_data(served, request, request.length, out, wait);
        return Ok(settle(served, request, request, done, out));
    }
    sparse(served, request, out, wait, send)
}

/// A reply of one message: a simple one, or a single chunk. A long one is sent part by part, so that it is never in
/// memory as a whole; then an error after its beginning can only end the connection.
fn whole(
    served: &Served,
    request: &Request,
    head: &[u8],
    out: &mut Output,
    wait: Wait,
    send: &mut dyn Sender,
) -> io::Result<Outcome> {
    let length = request.length as usize;
    let first = if length > WHOLE_BYTES && send.has_parts() { SEND_BYTES } else { length };
    let room = out.room(head.len() + first);
    let (before, data) = room.split_at_mut(head.len());
    let done = served.device().read_at(data, request.offset, wait);
    if done.is_err() {
        return Ok(settle(served, request, request, done, out));
    }
    before.copy_from_slice(head);
    out.advance(head.len() + first);
    if first < length {
        send_rest(served, request, first, out, send)?;
    }
    Ok(Outcome::Done)
}

/// The parts of a message from `at` on. Requests behind it wait, as there is no way to answer them in between.
fn send_rest(
    served: &Served,
    request: &Request,
    mut at: usize,
    out: &mut Output,
    send: &mut dyn Sender,
) -> io::Result<()> {
    let length = request.length as usize;
    while at < length {
        send.send_part(out)?;
        let part = SEND_BYTES.min(length - at);
        let done = served.device().read_at(out.room(part), request.offset + at as u64, Wait::Allowed);
        if done.is_err() {
            served.measures.errors.increment(1);
            return done;
        }
        out.advance(part);
        at += part;
    }
    send.send(out)
}

/// A structured reply in as many chunks as there are parts of data and of zeros. Long parts are sent piece by piece:
/// then they are still in the processor's cache.
fn sparse(
    served: &Served,
    request: &Request,
    out: &mut Output,
    wait: Wait,
    send: &mut dyn Sender,
) -> io::Result<Outcome> {
    let mut rest = *request;
    loop {
        let extents = match served.device().extents(rest.offset, u64::from(rest.length), EXTENTS) {
            Ok(extents) => extents,
            Err(error) => return Ok(settle(served, request, &rest, Err(error), out)),
        };
        for part in parts(&extents, rest.length) {
            let mut left = part.length;
            while left > 0 {
                let piece = if part.is_zero { left } else { left.min(PIECE_BYTES) };
                let done = if part.is_zero {
                    put_hole(&rest, piece, out);
                    Ok(())
                } else {
                    put_data(served, &rest, piece, out, wait)
                };
                if done.is_err() {
                    return Ok(settle(served, request, &rest, done, out));
                }
                left -= piece;
                rest.offset += u64::from(piece);
                rest.length -= piece;
                if rest.length == 0 {
                    return Ok(Outcome::Done);
                }
                if out.is_large() {
                    send.send(out)?;
                }
            }
        }
    }
}

/// How much is read for one chunk of a long part.
#[expect(clippy::cast_possible_truncation, reason = "it is far below the largest number")]
const PIECE_BYTES: u32 = SEND_BYTES as u32;

struct Part {
    length: u32,
    is_zero: bool,
}

/// What the extents mean for a reply of `length` bytes. Without any, all of it is data.
fn parts(extents: &[Extent], length: u32) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::with_capacity(extents.len().max(1));
    let mut left = length;
    for extent in extents {
        let length = u32::try_from(extent.length).unwrap_or(u32::MAX).min(left);
        let is_zero = match extent.kind {
            ExtentKind::Data => false,
            // The ends of a range may cut blocks; a chunk of its own would be longer than such zeros.
            ExtentKind::Zero | ExtentKind::Hole => extent.length >= BLOCK_BYTES,
        };
        left -= length;
        match parts.last_mut() {
            Some(last) if last.is_zero == is_zero => last.length += length,
            Some(_) | None if length > 0 => parts.push(Part { length, is_zero }),
            Some(_) | None => {}
        }
    }
    if parts.is_empty() {
        parts.push(Part { length, is_zero: false });
    }
    parts
}

/// A chunk with the next `length` bytes of what is left of a request.
fn put_data(served: &Served, rest: &Request, length: u32, out: &mut Output, wait: Wait) -> io::Result<()> {
    let room = out.room(DATA_HEAD_BYTES + length as usize);
    let (head, data) = room.split_at_mut(DATA_HEAD_BYTES);
    served.device().read_at(data, rest.offset, wait)?;
    head.copy_from_slice(&data_head(rest, length));
    out.advance(DATA_HEAD_BYTES + length as usize);
    Ok(())
}

/// What is before the data of a chunk with the next `length` bytes.
fn data_head(rest: &Request, length: u32) -> [u8; DATA_HEAD_BYTES] {
    let mut head = [0; DATA_HEAD_BYTES];
    let (chunk, offset) = head.split_at_mut(reply::STRUCTURED_BYTES);
    chunk.copy_from_slice(&output::chunk(rest.cookie, last(rest, length), reply::OFFSET_DATA, length + 8));
    offset.copy_from_slice(&rest.offset.to_be_bytes());
    head
}

/// A chunk that says that the next `length` bytes are zeros.
fn put_hole(rest: &Request, length: u32, out: &mut Output) {
    out.put_chunk(rest.cookie, last(rest, length), reply::OFFSET_HOLE, 12);
    out.put(&rest.offset.to_be_bytes());
    out.put(&length.to_be_bytes());
}

/// The flags of a chunk with the next `length` bytes of what is left.
fn last(rest: &Request, length: u32) -> u16 {
    if length == rest.length { reply::FLAG_DONE } else { 0 }
}

/// What becomes of a read that came as far as `rest`.
fn settle(served: &Served, request: &Request, rest: &Request, done: io::Result<()>, out: &mut Output) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Outcome::Rest(*rest),
        Err(error) if rest.length < request.length => {
            tracing::debug!(export = served.session.shown_name, ?request, %error, "a read failed");
            served.measures.errors.increment(1);
            out.put_error(request.cookie, Problem::from(&error), Some(rest.offset));
            Outcome::Done
        }
        Err(error) => {
            served.fail(request, &error, out);
            Outcome::Done
        }
    }
}
