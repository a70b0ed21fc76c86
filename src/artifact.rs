//! Artifacts: files by path and OCI images, in repositories of projects.
//!
//! `artifacts` is what all commands have at hand. Bytes are in the blob store (`crate::blob`), once however many
//! repositories have them; records say who needs them (`blob_use`), and a sweep removes those that nobody needs.
//! What can be done to files and tags leaves a *change* (`changes`), which replication follows.

mod artifacts;
mod blob_use;
mod bytes;
#[cfg(test)]
mod bytes_test;
mod change_feed;
mod changes;
mod convert;
mod error;
mod expiry;
mod file_delete;
mod file_list;
mod file_path;
mod files;
mod folders;
mod glob;
mod image_blobs;
mod keys;
mod lookup;
mod measure;
mod metadata;
mod names;
mod paging;
mod place;
mod projects;
mod repositories;
mod service;
mod settings;
mod sweep;
#[cfg(test)]
mod testing;
mod upload_sessions;
mod upload_write;
mod uploads;

pub use self::artifacts::Artifacts;
pub use self::error::Error;
pub use self::service::ArtifactServer;
pub use self::settings::Settings;
