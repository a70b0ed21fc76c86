//! What the commands of the transcoding farm have in common.

#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod order;
pub(crate) mod pages;
pub(crate) mod schedule;
pub(crate) mod which;
pub(crate) mod words;
