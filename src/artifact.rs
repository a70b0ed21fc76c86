//! Artifacts: files by path and OCI images, in repositories of projects.
//!
//! `artifacts` is what all commands have at hand. Bytes are in the blob store (`crate::blob`), once however many
//! repositories have them; records say who needs them (`blob_use`), and a sweep removes those that nobody needs.
//! What can be done to files and tags leaves a *change* (`changes`), which replication follows.

mod artifacts;
mod blob_use;
mod bytes;
mod changes;
mod error;
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
mod packages;
#[cfg(test)]
mod packages_test;
mod reference;
mod referrers;
mod service;
mod settings;
mod tags;
mod version_metadata;
mod versions;
mod walk;

pub use self::artifacts::Artifacts;
pub use self::error::Error;
pub use self::service::ArtifactServer;
pub use self::settings::Settings;
