//! Writes: to the top, at the place of the block; then the map says so.

use std::io;

use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

use super::View;
use super::pieces::{Piece, by_block, bytes, start_of};
use crate::volume::device::Wait;
use crate::volume::layers::disk::BlockFile;
use crate::volume::layers::entry::Entry;
use crate::volume::layers::page::Page;
use crate::volume::layers::stack::Stack;
use crate::volume::layers::sums::BLOCK;

/// A page that is held for a write.
enum Held<'a> {
    Shared(RwLockReadGuard<'a, Page>),
    Alone(RwLockWriteGuard<'a, Page>),
}

impl std::ops::Deref for Held<'_> {
    type Target = Page;

    fn deref(&self) -> &Page {
        match self {
            Held::Shared(page) => page,
            Held::Alone(page) => page,
        }
    }
}

impl<F: BlockFile> View<F> {
    pub(super) fn write(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        self.check(offset, data.len() as u64)?;
        let stack = self.stack.read();
        for piece in by_block(offset, data.len() as u64) {
            let bytes = &data[piece.place(offset)];
            if piece.is_whole() {
                self.write_blocks(&stack, piece, bytes)?;
            } else {
                self.write_part(&stack, piece, bytes)?;
            }
        }
        drop(stack);
        self.relieve()
    }

    /// Writes whole blocks of one region.
    fn write_blocks(&self, stack: &Stack<F>, piece: Piece, data: &[u8]) -> io::Result<()> {
        let region = piece.region();
        let top_data = Entry::data(stack.top_slot());
        let mut page = hold(stack, region)?;
        if matches!(&*page, Page::Uniform(entry) if *entry != top_data) {
            drop(page);
            stack.page_alone(region)?.expand();
            page = hold(stack, region)?;
        }
        // As long as the page is held, nobody makes anything else of them.
        if page.run(piece.blocks()) == (top_data, piece.blocks().end) {
            return stack.top().write(data, piece.offset);
        }
        stack.top().make_room(data.len() as u64)?;
        // Only now the map may say so: who reads meanwhile gets what was there before.
        stack.top().write(data, piece.offset)?;
        match &*page {
            Page::Mixed(entries) => self.say(stack, region, || entries.set(piece.blocks(), top_data)),
            Page::Uniform(_) | Page::Unloaded => {
                // It was made smaller in the meantime.
                drop(page);
                let mut page = stack.page_alone(region)?;
                if page.set(piece.blocks(), top_data) {
                    self.soil(stack, region);
                }
            }
        }
        Ok(())
    }

    /// Writes a part of one block.
    pub(super) fn write_part(&self, stack: &Stack<F>, piece: Piece, data: &[u8]) -> io::Result<()> {
        let region = piece.region();
        let top_data = Entry::data(stack.top_slot());
        let block = piece.blocks().start;
        let page = hold(stack, region)?;
        if page.get(block) == top_data {
            return stack.top().write_partial(data, piece.offset);
        }
        drop(page);
        let mut page = stack.page_alone(region)?;
        let entry = page.get(block);
        if entry == top_data {
            return stack.top().write_partial(data, piece.offset);
        }
        stack.top().make_room(BLOCK as u64)?;
        let start = start_of(region, block);
        let mut whole = [0; BLOCK];
        if let Some(layer) = stack.owner(entry) {
            layer.read(&mut whole, start, Wait::Allowed)?;
        }
        let place = bytes(piece.offset - start);
        whole[place..place + data.len()].copy_from_slice(data);
        stack.top().write(&whole, start)?;
        page.set(block..block + 1, top_data);
        self.soil(stack, region);
        Ok(())
    }
}

/// The page, shared with other writes where these do not disturb each other.
fn hold<F: BlockFile>(stack: &Stack<F>, region: u32) -> io::Result<Held<'_>> {
    if stack.top().spec().checksums {
        return stack.page_alone(region).map(Held::Alone);
    }
    stack.page(region, Wait::Allowed).map(Held::Shared)
}
