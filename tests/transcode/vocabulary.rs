//! Words in which the tests speak to a farm.

pub(crate) mod api;
pub(crate) mod clips;
pub(crate) mod farm;
pub(crate) mod native;
pub(crate) mod programs;
