//! Requests about files as commands.

use std::time::Duration;

use steward_proto::artifact::v1 as api;

use crate::artifact::bytes::Kept;
use crate::artifact::convert;
use crate::artifact::error::Error;
use crate::artifact::file_delete::Deletion;
use crate::artifact::file_list::{Depth, WhichFiles};
use crate::artifact::file_path::FilePath;
use crate::artifact::files::{Place, Put};
use crate::artifact::metadata::Metadata;
use crate::artifact::names::{is_project_name, is_repository_name};
use crate::artifact::paging::Page;
use crate::blob::{Algorithm, Digest};
use crate::fields::Fields;
use crate::glob::Glob;

/// How many files one call may ask for.
const MAX_PATHS: usize = 1000;
/// How long a file may stay that ends by itself.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(100 * 365 * 24));
/// The longest pattern of paths, in bytes.
const MAX_PATTERN_BYTES: usize = 256;
/// How many keys one call may take away.
const MAX_DELETED_KEYS: usize = 64;

/// What the bytes of a file have to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    sha256: String,
    md5: String,
    size: u64,
}

impl Expected {
    /// Refuses an upload that is not whole.
    pub(super) fn check_size(&self, told: i64, came: u64) -> Result<(), Error> {
        let told = u64::try_from(told).map_err(|_| Error::invalid("finish.size", "is negative"))?;
        if told != came {
            return Err(Error::UploadBrokenOff(format!("{came} bytes of {told} have come")));
        }
        if self.size != 0 && self.size != came {
            return Err(Error::UploadBrokenOff(format!("{came} bytes have come; {} were announced", self.size)));
        }
        Ok(())
    }

    /// Refuses other bytes.
    pub(super) fn check(&self, what: &str, kept: &Kept) -> Result<(), Error> {
        let mismatch =
            |expected: String, actual: String| Err(Error::DigestMismatch { what: what.to_owned(), expected, actual });
        if !self.sha256.is_empty() && self.sha256 != kept.digest.hex() {
            return mismatch(format!("sha256:{}", self.sha256), kept.digest.to_string());
        }
        if !self.md5.is_empty() && self.md5 != kept.md5 {
            return mismatch(format!("md5:{}", self.md5), format!("md5:{}", kept.md5));
        }
        Ok(())
    }
}

impl Fields {
    fn hexadecimal(&mut self, field: &'static str, text: &str, length: usize) -> String {
        let text = text.to_ascii_lowercase();
        let is_right = text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !text.is_empty() && !is_right {
            self.reject(field, format!("is not {length} hexadecimal digits"));
        }
        text
    }

    fn path(&mut self, field: &'static str, path: Result<FilePath, String>) -> Option<FilePath> {
        path.map_err(|problem| self.reject(field, problem)).ok()
    }
}

/// What was read, if nothing was wrong with anything.
fn place(mut fields: Fields, (project, repository): (String, String), path: Option<FilePath>) -> Result<Place, Error> {
    fields.existing("project", &project);
    fields.existing("repository", &repository);
    Error::check(fields)?;
    if !is_project_name(&project) || !is_repository_name(&repository) {
        return Err(Error::RepositoryNotFound(repository));
    }
    let path = path.ok_or_else(|| Error::invalid("path", "is required"))?;
    Ok(Place { project, repository, path })
}

/// Where a file is whose repository is named like that of an image.
pub(super) fn named(name: api::ImageName, path: &str) -> Result<Place, Error> {
    let mut fields = Fields::default();
    if !name.image.is_empty() {
        fields.reject("path", "is that of a file, and the name is that of an image");
    }
    let path = fields.path("path", FilePath::file(path));
    place(fields, (name.project, name.repository), path)
}

/// Where a file or a folder is.
pub(super) fn folder(field: &'static str, whose: (String, String), path: &str) -> Result<Place, Error> {
    let mut fields = Fields::default();
    let path = fields.path(field, FilePath::folder(path));
    place(fields, whose, path)
}

fn target(mut fields: Fields, target: Option<api::FileTarget>, now_us: u64) -> Result<Put, Error> {
    let Some(target) = target else {
        fields.reject("target", "is required");
        Error::check(fields)?;
        return Err(Error::invalid("target", "is required"));
    };
    let path = fields.path("path", FilePath::file(&target.path));
    let metadata = fields.metadata("metadata", target.metadata);
    let only_if_sha256 = fields.hexadecimal("only_if_sha256", &target.only_if_sha256, 64);
    let mut expire_us = 0;
    if let Some(time) = target.expire_time {
        expire_us = convert::micros(time).unwrap_or(0);
        if expire_us <= now_us {
            fields.reject("expire_time", "has to be in the future");
        }
    }
    if let Some(ttl) = fields.duration("ttl", target.ttl, TTL) {
        expire_us = now_us.saturating_add(u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX));
    }
    let place = place(fields, (target.project, target.repository), path)?;
    Ok(Put { place, overwrite: target.overwrite, metadata, expire_us, only_if_sha256 })
}

/// A file that is to be put, and what its bytes have to be.
pub(super) fn put(start: api::FileStart, now_us: u64, limit: u64) -> Result<(Put, Expected), Error> {
    let mut fields = Fields::default();
    let sha256 = fields.hexadecimal("sha256", &start.sha256, 64);
    let md5 = fields.hexadecimal("md5", &start.md5, 32);
    let size = u64::try_from(start.size).unwrap_or_else(|_| {
        fields.reject("size", "is negative");
        0
    });
    let put = target(fields, start.target, now_us)?;
    if size > limit {
        return Err(Error::TooLarge { what: put.place.path.to_string(), limit });
    }
    Ok((put, Expected { sha256, md5, size }))
}

/// A file whose bytes are there: the digest, and the MD5 and CRC-64 as far as they are known.
pub(super) fn commit(request: api::CommitFileRequest, now_us: u64) -> Result<(Put, Digest, (String, String)), Error> {
    let mut fields = Fields::default();
    let digest = match request.digest.parse::<Digest>() {
        Ok(digest) if digest.algorithm() == Algorithm::Sha256 => Some(digest),
        Ok(_) => {
            fields.reject("digest", "is not a SHA-256");
            None
        }
        Err(error) => {
            fields.reject("digest", error.to_string());
            None
        }
    };
    let md5 = fields.hexadecimal("md5", &request.md5, 32);
    let crc = request.crc64ecma;
    if !crc.is_empty() && crc.parse::<u64>().is_err() {
        fields.reject("crc64ecma", "is not a number of 64 bits");
    }
    let put = target(fields, request.target, now_us)?;
    let digest = digest.ok_or_else(|| Error::invalid("digest", "is required"))?;
    Ok((put, digest, (md5, crc)))
}

/// The paths of some files.
pub(super) fn paths(request: &api::StatFilesRequest) -> Result<Vec<FilePath>, Error> {
    let mut fields = Fields::default();
    if request.paths.len() > MAX_PATHS {
        fields.reject("paths", format!("has more than {MAX_PATHS}"));
        Error::check(fields)?;
        return Ok(Vec::new());
    }
    let mut paths = Vec::with_capacity(request.paths.len());
    for (number, path) in request.paths.iter().enumerate() {
        match FilePath::file(path) {
            Ok(path) => paths.push(path),
            Err(problem) => fields.reject(format!("paths[{number}]"), problem),
        }
    }
    // Says too whether the names can be those of a repository.
    place(fields, (request.project.clone(), request.repository.clone()), FilePath::folder("/").ok())?;
    Ok(paths)
}

fn parse_pattern(text: &str) -> Result<Glob, String> {
    if text.len() > MAX_PATTERN_BYTES {
        return Err(format!("has {} bytes; the limit is {MAX_PATTERN_BYTES}", text.len()));
    }
    Glob::parse(text)
}

/// Which files to list.
pub(super) fn list(request: api::ListFilesRequest) -> Result<(WhichFiles, Page), Error> {
    let mut fields = Fields::default();
    let page = fields.artifact_page(request.page_size, &request.page_token);
    let folder = if request.folder.is_empty() { "/" } else { &request.folder };
    let folder = fields.path("folder", FilePath::folder(folder));
    let pattern = (!request.pattern.is_empty()).then(|| parse_pattern(&request.pattern)).transpose();
    let pattern = pattern.unwrap_or_else(|problem| {
        fields.reject("pattern", problem);
        None
    });
    let place = place(fields, (request.project, request.repository), folder)?;
    let depth = if request.deep { Depth::All } else { Depth::Folder };
    Ok((WhichFiles { place, depth, include_folders: request.include_folders, pattern }, page))
}

/// What to write on a file, and which keys to take away.
pub(super) fn metadata(request: api::UpdateFileMetadataRequest) -> Result<(Place, Metadata, Vec<String>), Error> {
    let mut fields = Fields::default();
    let path = fields.path("path", FilePath::file(&request.path));
    let written = fields.metadata("metadata", request.metadata);
    if request.delete_keys.len() > MAX_DELETED_KEYS {
        fields.reject("delete_keys", format!("has more than {MAX_DELETED_KEYS}"));
    }
    let place = place(fields, (request.project, request.repository), path)?;
    Ok((place, written, request.delete_keys))
}

/// What to delete.
pub(super) fn delete(request: api::DeleteFileRequest) -> Result<Deletion, Error> {
    let mut fields = Fields::default();
    let path = fields.path("path", FilePath::folder(&request.path));
    let only_if_sha256 = fields.hexadecimal("only_if_sha256", &request.only_if_sha256, 64);
    let place = place(fields, (request.project, request.repository), path)?;
    Ok(Deletion { place, folder: request.folder, only_if_sha256 })
}

#[cfg(test)]
mod tests;
