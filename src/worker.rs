//! The worker: a program that takes tasks from a server and transcodes their videos to HEVC with ffmpeg.
//!
//! One session with the server carries everything that is said (`session`, `link`); it is made again whenever it
//! breaks, while the tasks go on. `control` decides what to do with what the server and the operator say. A task is
//! `task`: find the video (`library`), look at it (`probe`), encode it (`profile`, `encode`), check the result
//! (`verify`) and give it its place (`place`, or `transfer` without a shared disk). What must not be lost by a crash is
//! in the state directory (`state`), and put right at the next start (`recovery`).

mod container;
mod control;
mod crew;
mod encode;
mod encoder;
mod failure;
#[cfg(test)]
mod fake;
mod library;
mod link;
mod media;
mod outbox;
mod place;
mod probe;
mod process;
mod profile;
mod progress;
mod recovery;
mod report;
mod session;
mod settings;
mod state;
mod tail;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transfer;
mod upload;
mod verify;

pub(crate) use control::{End, Order, work};
pub(crate) use library::Libraries;
pub(crate) use profile::Profile;
pub(crate) use settings::{Delivery, Kind, Settings};
pub(crate) use verify::Decoding;
