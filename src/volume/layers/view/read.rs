//! Reads: one for each run of blocks that one layer has, straight into the caller's buffer.

use std::io;

use super::View;
use super::pieces::{Piece, by_region, bytes, start_of};
use crate::volume::device::Wait;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::stack::Stack;

/// No more than this is asked for ahead of its readers.
const MAX_AHEAD_BYTES: u64 = 32 << 20;

impl<F: BlockFile> View<F> {
    pub(super) fn read(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        self.check(offset, into.len() as u64)?;
        let stack = match wait {
            Wait::Allowed => self.stack.read(),
            Wait::Never => self.stack.try_read().ok_or(io::ErrorKind::WouldBlock)?,
        };
        for piece in by_region(offset, into.len() as u64) {
            read_piece(&stack, piece, &mut into[piece.place(offset)], wait)?;
        }
        Ok(())
    }

    pub(super) fn read_ahead(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check(offset, length)?;
        let stack = self.stack.read();
        for piece in by_region(offset, length.min(MAX_AHEAD_BYTES)) {
            let page = stack.page(piece.region(), Wait::Allowed)?;
            let mut blocks = piece.blocks();
            while !blocks.is_empty() {
                let (entry, end) = page.run(blocks.clone());
                if let Some(layer) = stack.owner(entry) {
                    let start = start_of(piece.region(), blocks.start);
                    layer.prefetch(start, start_of(piece.region(), end) - start)?;
                }
                blocks.start = end;
            }
        }
        Ok(())
    }
}

fn read_piece<F: BlockFile>(stack: &Stack<F>, piece: Piece, into: &mut [u8], wait: Wait) -> io::Result<()> {
    let region = piece.region();
    let mut blocks = piece.blocks();
    let mut done = 0;
    while !blocks.is_empty() {
        let page = stack.page(region, wait)?;
        let (entry, end) = page.run(blocks.clone());
        let run_end = bytes(start_of(region, end).min(piece.offset + piece.length) - piece.offset);
        let run = &mut into[done..run_end];
        match stack.owner(entry) {
            None => run.fill(0),
            // Bytes and checksum are two writes: nobody may be between them.
            Some(layer) if layer.spec().checksums => layer.read(run, piece.offset + done as u64, wait)?,
            Some(layer) => {
                // What an entry names stays readable while the barrier is held, also if it is not the newest any more.
                drop(page);
                layer.read(run, piece.offset + done as u64, wait)?;
            }
        }
        done = run_end;
        blocks.start = end;
    }
    Ok(())
}
