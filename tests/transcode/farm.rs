//! The whole: a library of real films, scanned, and workers that really transcode.

mod control;
mod library;
mod losses;
mod site;
mod whole;
