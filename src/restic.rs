//! Backup repositories of restic.
//!
//! A repository is a directory in restic's own local layout, and that tree is the truth: whatever is told of a
//! repository can be told anew from it, so rest-server, `restic -r DIR` and Steward can open the same directory, one
//! after the other or together. An [`index`] in memory answers what is there without walking the directories; it reads
//! a directory again when somebody else has changed it. What restic's layout has no place for (a quota, deleted objects
//! that can be restored) lies in `.steward` inside of the repository.
//!
//! [`Repositories`] has the commands; [`rights`] says who may give them.

mod bucket;
mod create;
mod damaged;
mod delete;
mod deleted;
mod download;
mod error;
mod feed;
mod files;
mod index;
mod index_file;
mod layout;
mod ledger;
mod measure;
mod name;
mod publish;
mod range;
mod repositories;
mod repository;
mod rights;
mod service;
mod settings;
mod tend;
#[cfg(test)]
mod tests;
mod upload;
mod verify;

pub use self::error::Error;
pub use self::repositories::{Repositories, Settings};
pub use self::service::ObjectServer;
pub use self::tend::tend;
