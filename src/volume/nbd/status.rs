//! What a device consists of: the metadata contexts and their replies.

use super::execute::Served;
use super::output::Output;
use super::protocol::{command, reply};
use super::request::Request;
use crate::volume::device::{Extent, ExtentKind};

/// How many extents a reply may tell of.
const EXTENTS: usize = 4096;

/// A way to look at extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// What is data and what reads as zeros.
    Allocation,
    /// Which layer of the chain a part is read from.
    Depth,
}

impl Context {
    pub(super) const ALL: [Context; 2] = [Context::Allocation, Context::Depth];

    pub(super) fn name(self) -> &'static str {
        match self {
            Context::Allocation => "base:allocation",
            Context::Depth => "steward:depth",
        }
    }

    /// How it is called in replies.
    pub(super) fn id(self) -> u32 {
        match self {
            Context::Allocation => 1,
            Context::Depth => 2,
        }
    }

    fn value(self, extent: &Extent) -> u32 {
        match (self, extent.kind) {
            (Context::Allocation, ExtentKind::Data) => 0,
            (Context::Allocation, ExtentKind::Zero) => reply::STATE_ZERO,
            (Context::Allocation, ExtentKind::Hole) => reply::STATE_ZERO | reply::STATE_HOLE,
            (Context::Depth, _) => extent.depth.unwrap_or(u32::MAX),
        }
    }
}

/// The contexts that a client chose.
#[derive(Clone, Debug, Default)]
pub(super) struct Contexts(Vec<Context>);

impl Contexts {
    pub(super) fn are_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Says whether it is new.
    pub(super) fn add(&mut self, context: Context) -> bool {
        let is_new = !self.0.contains(&context);
        if is_new {
            self.0.push(context);
        }
        is_new
    }
}

/// Answers a request for the status of a range that was checked.
pub(super) fn status(served: &Served, request: &Request, out: &mut Output) {
    let limit = if request.has(command::FLAG_REQ_ONE) { 1 } else { EXTENTS };
    let extents = match served.device().extents(request.offset, u64::from(request.length), limit) {
        Ok(extents) if !extents.is_empty() => extents,
        Ok(_) => return served.fail(request, &std::io::Error::other("the device told of no extents"), out),
        Err(error) => return served.fail(request, &error, out),
    };
    let contexts = &served.contexts.0;
    for (at, context) in contexts.iter().enumerate() {
        let descriptors = describe(*context, &extents, request.length);
        let flags = if at + 1 == contexts.len() { reply::FLAG_DONE } else { 0 };
        let length = u32::try_from(4 + 8 * descriptors.len()).expect("extents are limited");
        out.put_chunk(request.cookie, flags, reply::BLOCK_STATUS, length);
        out.put(&context.id().to_be_bytes());
        for (length, value) in descriptors {
            out.put(&length.to_be_bytes());
            out.put(&value.to_be_bytes());
        }
    }
}

/// Lengths and what a context says of them. Neighbours of which it says the same are one.
fn describe(context: Context, extents: &[Extent], length: u32) -> Vec<(u32, u32)> {
    let mut descriptors: Vec<(u32, u32)> = Vec::with_capacity(extents.len());
    let mut left = length;
    for extent in extents {
        let length = u32::try_from(extent.length).unwrap_or(u32::MAX).min(left);
        left -= length;
        let value = context.value(extent);
        match descriptors.last_mut() {
            Some((last, same)) if *same == value => *last += length,
            Some(_) | None if length > 0 => descriptors.push((length, value)),
            Some(_) | None => {}
        }
    }
    descriptors
}
