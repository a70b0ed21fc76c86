//! The calls that list.

use std::ops::Bound;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use steward_proto::restic::v1 as api;

use super::{Answers, ObjectServer, convert, status};
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::clock::Timestamp;
use crate::config::Access;
use crate::restic::bucket::{BucketId, Entry};
use crate::restic::deleted::DeletedKey;
use crate::restic::error::Error;
use crate::restic::files::blocking;
use crate::restic::name::{Kind, ObjectId, ObjectName, RepositoryPath};
use crate::restic::repositories::{Place, Repositories};
use crate::restic::repository::Repository;

impl ObjectServer {
    pub(super) fn handle_list_repositories(
        &self,
        request: &api::ListRepositoriesRequest,
        user: Option<&str>,
        grants: &Grants,
    ) -> Result<api::ListRepositoriesResponse, Error> {
        let size = convert::page_size(request.page_size, 100, 1000)?;
        let rules = &self.repositories.0.rules;
        let mut readable = self.repositories.all();
        readable.retain(|repository| {
            repository.path.as_str().starts_with(&request.path_prefix)
                && rules.access(user, &repository.path) >= Access::Read
                && grants.allow(Area::Restic, Right::Read, repository.path.as_str())
        });
        // A token is the last path of the page before, behind a mark, as the path of the root repository is empty.
        let after = match request.page_token.strip_prefix('/') {
            Some(path) => Some(RepositoryPath::parse(path).map_err(|_| convert::odd_token())?),
            None if request.page_token.is_empty() => None,
            None => return Err(convert::odd_token()),
        };
        let start = after.map_or(0, |after| readable.partition_point(|repository| repository.path <= after));
        let page: Vec<_> = readable.iter().skip(start).take(size).collect();
        let has_more = start + page.len() < readable.len();
        let last = page.last().filter(|_| has_more);
        Ok(api::ListRepositoriesResponse {
            next_page_token: last.map(|last| format!("/{}", last.path.as_str())).unwrap_or_default(),
            repositories: page.into_iter().map(|repository| convert::repository(repository)).collect(),
            total_size: i32::try_from(readable.len()).unwrap_or(i32::MAX),
        })
    }

    pub(super) async fn handle_list_objects(
        &self,
        request: api::ListObjectsRequest,
        user: Option<&str>,
    ) -> Result<api::ListObjectsResponse, Error> {
        let path = convert::path("repository", &request.repository)?;
        let kind = convert::listed_kind("type", request.r#type)?;
        let size = convert::page_size(request.page_size, 1000, 10_000)?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(ObjectId::parse(token).ok_or_else(convert::odd_token)?),
        };
        let repository = listed(&self.repositories, user, &path).await?;
        let (entries, total) = blocking(move || page(&repository, kind, after, size + 1)).await?;
        let next_page_token = if entries.len() > size { entries[size - 1].id.hex() } else { String::new() };
        let entries = entries.into_iter().take(size);
        let object = |entry: Entry| convert::stored_object(&path, ObjectName::Blob(kind, entry.id), entry.into());
        Ok(api::ListObjectsResponse {
            objects: entries.map(object).collect(),
            next_page_token,
            total_size: convert::signed(total),
        })
    }

    pub(super) async fn handle_stream_objects(
        &self,
        request: api::StreamObjectsRequest,
        user: Option<&str>,
    ) -> Result<Answers<api::StreamObjectsResponse>, Error> {
        let path = convert::path("repository", &request.repository)?;
        let kind = convert::listed_kind("type", request.r#type)?;
        let repository = listed(&self.repositories, user, &path).await?;
        let state = Some((self.repositories.clone(), repository, Place::start(kind)));
        let batches = stream::unfold(state, |state| async move {
            let (repositories, repository, place) = state?;
            match repositories.next_batch(&repository, place).await {
                Ok((entries, rest)) => Some((Ok(batch(&entries)), rest.map(|rest| (repositories, repository, rest)))),
                Err(error) => Some((Err(status(error)), None)),
            }
        });
        Ok(batches.boxed())
    }

    pub(super) async fn handle_list_deleted(
        &self,
        request: api::ListDeletedObjectsRequest,
        user: Option<&str>,
    ) -> Result<api::ListDeletedObjectsResponse, Error> {
        let path = convert::path("repository", &request.repository)?;
        let size = convert::page_size(request.page_size, 1000, 10_000)?;
        let after = deleted_after(&request.page_token)?;
        let repository = listed(&self.repositories, user, &path).await?;
        let deleted = repository.deleted.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page: Vec<_> = deleted.range((start, Bound::Unbounded)).take(size + 1).collect();
        let next_page_token = if page.len() > size { deleted_token(page[size - 1].0) } else { String::new() };
        Ok(api::ListDeletedObjectsResponse {
            objects: page.into_iter().take(size).map(|one| convert::deleted_object(&path, one)).collect(),
            next_page_token,
            total_size: convert::signed(deleted.len() as u64),
        })
    }
}

/// The repository of a list, for who may read it.
pub(super) async fn listed(
    repositories: &Repositories,
    user: Option<&str>,
    path: &RepositoryPath,
) -> Result<Arc<Repository>, Error> {
    repositories.require_access(user, path, Access::Read)?;
    let repository = repositories.require(path).await?;
    if repositories.close_if_gone(&repository).await? { Err(Error::no_repository(path)) } else { Ok(repository) }
}

/// Up to `limit` objects behind `after`, and how many there are in all.
fn page(
    repository: &Repository,
    kind: Kind,
    after: Option<ObjectId>,
    limit: usize,
) -> Result<(Vec<Entry>, u64), Error> {
    let first = after.map(|after| BucketId::of(kind, after));
    let (mut entries, mut total) = (Vec::new(), 0);
    for bucket in BucketId::all(kind) {
        let is_wanted = entries.len() < limit && first.is_none_or(|first| bucket >= first);
        if is_wanted {
            repository.refresh(bucket)?;
        }
        let bucket = repository.index.bucket(bucket);
        total += bucket.entries().len() as u64;
        if is_wanted {
            entries.extend(bucket.entries_after(after).iter().take(limit - entries.len()));
        }
    }
    Ok((entries, total))
}

fn batch(entries: &[Entry]) -> api::StreamObjectsResponse {
    let entry = |entry: &Entry| api::ObjectEntry { name: entry.id.hex(), size: convert::signed(entry.size) };
    api::StreamObjectsResponse { entries: entries.iter().map(entry).collect() }
}

/// A token says what its page ended with.
fn deleted_token(key: &DeletedKey) -> String {
    format!("{}@{}", key.object, key.delete_time.nanos())
}

fn deleted_after(token: &str) -> Result<Option<DeletedKey>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (object, nanos) = token.split_once('@')?;
        let object = ObjectName::parse(object)?;
        Some(DeletedKey { object, delete_time: Timestamp::from_nanos(nanos.parse().ok()?) })
    };
    parse().map(Some).ok_or_else(convert::odd_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_deleted_objects_reads_back() {
        let delete_time = Timestamp::from_nanos(77);
        for object in [ObjectName::Config, ObjectName::Blob(Kind::Key, ObjectId([9; 32]))] {
            let key = DeletedKey { object, delete_time };
            assert_eq!(deleted_after(&deleted_token(&key)).unwrap(), Some(key));
        }
        for odd in ["x", "config", "keys/zz@1", "bogus/x@1", "config@x"] {
            assert!(deleted_after(odd).is_err(), "{odd}");
        }
    }
}
