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
mod image_blobs;
mod image_name;
#[cfg(test)]
mod image_testing;
mod images;
#[cfg(test)]
mod images_test;
mod keys;
mod lookup;
mod manifest_parse;
mod manifest_parts;
mod manifest_put;
mod manifests;
#[cfg(test)]
mod manifests_test;
mod measure;
mod metadata;
mod names;
mod orphans;
mod packages;
#[cfg(test)]
mod packages_test;
mod paging;
mod place;
mod projects;
mod reference;
mod referrers;
mod repositories;
mod service;
mod settings;
mod sight;
mod sweep;
mod tags;
#[cfg(test)]
mod testing;
mod upload_sessions;
mod upload_write;
mod uploads;
mod version_metadata;
mod versions;
mod walk;

pub use self::artifacts::Artifacts;
pub use self::error::Error;
pub use self::service::ArtifactServer;
pub use self::settings::Settings;
