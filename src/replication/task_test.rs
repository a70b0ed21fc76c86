//! Tasks and clusters as a whole: created, changed, due, followed, deleted and swept.

mod changes;
mod clusters;
mod create;
mod lifecycle;
mod makers;
mod schedule;
mod validation;
mod world;
