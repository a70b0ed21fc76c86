//! Transcoding: workers, their tasks, and the libraries whose videos they transcode.

pub mod transfer;
