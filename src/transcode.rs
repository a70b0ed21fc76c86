//! Transcoding: a farm of workers and the libraries of videos that it works on.

pub mod library;
