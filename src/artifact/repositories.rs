//! Repositories of files or images.

use steward_proto::artifact::v1::{RepositoryCategory, RepositoryType};
use steward_proto::store::v1::{DeletedRepositoryRecord, RepositoryRecord};

use super::artifacts::{Artifacts, new_id};
use super::error::Error;
use super::file_path::FilePath;
use super::folders::ROOT;
use super::keys;
use super::paging::{Gather, Page, Part};
use super::sight::Sight;
use crate::store::KeyRange;
use crate::store::tx;

/// How many records are read at a time.
const AT_A_TIME: usize = 512;
/// How often a repository is looked at again into which somebody may just have put something.
const LOOKS: usize = 20;

/// What to create.
#[derive(Clone, Debug)]
pub(super) struct NewRepository {
    pub(super) project: String,
    pub(super) name: String,
    pub(super) holds: RepositoryType,
    pub(super) category: RepositoryCategory,
    pub(super) public: bool,
    pub(super) description: String,
}

/// Whether a repository goes with what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delete {
    /// Only one that is empty goes.
    IfEmpty,
    /// It goes.
    WithContents,
}

/// Which repositories of a project.
#[derive(Clone, Debug, Default)]
pub(super) struct WhichRepositories {
    pub(super) project: String,
    /// Only names that start so.
    pub(super) name_prefix: String,
    /// Only those of this type; unspecified: all.
    pub(super) holds: RepositoryType,
}

impl Artifacts {
    /// Creates a repository.
    pub(super) async fn create_repository(&self, new: &NewRepository, user: &str) -> Result<RepositoryRecord, Error> {
        let id = new_id();
        let decided = self.decide("a repository", |mut tx| async move {
            let mut project = tx.project(&new.project).await?;
            let key = keys::repository(&new.project, &new.name);
            if tx.bytes(&key).await?.is_some() {
                return Err(Error::RepositoryExists(new.name.clone()));
            }
            let now_us = self.now_us();
            let record = RepositoryRecord {
                id,
                project: new.project.clone(),
                name: new.name.clone(),
                r#type: new.holds.into(),
                category: new.category.into(),
                public: new.public,
                description: new.description.clone(),
                created_by: user.to_owned(),
                create_us: now_us,
                modified_by: user.to_owned(),
                modify_us: now_us,
            };
            project.generation += 1;
            tx.put(keys::project(&new.project), &project);
            tx.put(key, &record);
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// Reads a repository.
    pub(super) async fn get_repository(&self, project: &str, name: &str) -> Result<RepositoryRecord, Error> {
        let decided = self.decide("a repository", |mut tx| async move {
            let record = tx.repository(project, name).await?;
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// Lists the repositories of a project that may be seen in the order of their names.
    pub(super) async fn list_repositories(
        &self,
        which: &WhichRepositories,
        page: &Page,
        sight: &Sight,
    ) -> Result<Part<RepositoryRecord>, Error> {
        self.get_project(&which.project).await?;
        let mut range = KeyRange::prefix(&keys::repositories_starting(&which.project, &which.name_prefix));
        if let Some(place) = &page.after {
            range = range.after(&keys::repository(&which.project, &place.last));
        }
        let is_wanted = |record: &RepositoryRecord| {
            let is_of_type = which.holds == RepositoryType::Unspecified || i32::from(which.holds) == record.r#type;
            is_of_type && sight.has_repository(&which.project, &record.name)
        };
        let mut gather = Gather::new(page);
        'all: loop {
            let found = tx::scan(&*self.store, range.clone(), AT_A_TIME).await?;
            let Some((last, _)) = found.last() else { break };
            range = range.after(last);
            for (key, value) in found {
                let record: RepositoryRecord = tx::decode(&key, &value)?;
                let name = record.name.clone();
                if is_wanted(&record) && !gather.take(&name, || record) {
                    break 'all;
                }
            }
        }
        self.store.settled().await?;
        Ok(gather.part())
    }

    /// Deletes a repository. What is in it cannot be reached any more, and is swept later.
    pub(super) async fn delete_repository(&self, project: &str, name: &str, delete: Delete) -> Result<(), Error> {
        if delete == Delete::WithContents {
            self.remove_repository(project, name, delete).await?;
            return Ok(());
        }
        let root = FilePath::folder(ROOT).map_err(Error::Internal)?;
        for _ in 0..LOOKS {
            let id = self.get_repository(project, name).await?.id;
            if !self.clear_folder(id, &root).await? {
                return Err(Error::RepositoryNotEmpty(name.to_owned()));
            }
            if self.remove_repository(project, name, delete).await? {
                return Ok(());
            }
        }
        Err(Error::Busy(format!("repository {name:?}")))
    }

    /// Removes the record of a repository. Refuses, without an error, when something may have come into it that is to
    /// be looked at again.
    async fn remove_repository(&self, project: &str, name: &str, delete: Delete) -> Result<bool, Error> {
        let decided = self.decide("a repository", |mut tx| async move {
            let record = tx.repository(project, name).await?;
            if delete == Delete::IfEmpty {
                // Whoever puts a first thing into it gives this a record.
                if tx.is_folder(record.id, ROOT).await? {
                    return Ok(tx.answer(false));
                }
                if !tx.scan(KeyRange::prefix(&keys::images_of(record.id)), 1).await?.is_empty() {
                    return Err(Error::RepositoryNotEmpty(name.to_owned()));
                }
            }
            let mut owner = tx.project(project).await?;
            owner.generation += 1;
            tx.put(keys::project(project), &owner);
            tx.delete(keys::repository(project, name));
            let deleted = DeletedRepositoryRecord { delete_us: self.now_us() };
            tx.put(keys::deleted_repository(record.id), &deleted);
            Ok(tx.answer(true))
        });
        Ok(decided.await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, at};
    use super::*;

    #[tokio::test]
    async fn a_repository_is_made_in_a_project_that_is_there_and_once() {
        let world = World::new().await;
        let new = world.new_repository("p1", "r1");
        let missing = world.artifacts.create_repository(&new, "ann").await;
        assert!(matches!(missing, Err(Error::ProjectNotFound(name)) if name == "p1"));
        world.project("p1").await;

        let made = world.artifacts.create_repository(&new, "ann").await.expect("a repository");

        assert_eq!(world.artifacts.get_repository("p1", "r1").await.expect("the repository"), made);
        let again = world.artifacts.create_repository(&new, "ann").await;
        assert!(matches!(again, Err(Error::RepositoryExists(name)) if name == "r1"));
        let other = world.artifacts.get_repository("p2", "r1").await;
        assert!(matches!(other, Err(Error::RepositoryNotFound(name)) if name == "r1"));
    }

    #[tokio::test]
    async fn a_repository_with_something_in_it_goes_only_by_force_and_its_number_never_comes_again() {
        let world = World::with_repository().await;
        let artifacts = &world.artifacts;
        let id = world.id().await;
        world.put("/dir/a.txt", b"a").await;
        let refused = artifacts.delete_repository("p1", "r1", Delete::IfEmpty).await;
        assert!(matches!(refused, Err(Error::RepositoryNotEmpty(_))));
        world.put("/dir/b.txt", b"b").await;

        artifacts.delete_repository("p1", "r1", Delete::WithContents).await.expect("deleted");

        assert!(matches!(artifacts.get_repository("p1", "r1").await, Err(Error::RepositoryNotFound(_))));
        let deleted: Option<DeletedRepositoryRecord> = world.record(&keys::deleted_repository(id)).await;
        assert!(deleted.is_some(), "somebody has to sweep it");
        world.repository("p1", "r1").await;
        assert_ne!(world.id().await, id);
        assert!(matches!(artifacts.get_file(&at("/dir/a.txt")).await, Err(Error::FileNotFound(_))));
    }

    #[tokio::test]
    async fn a_repository_whose_last_file_is_gone_is_empty() {
        let world = World::with_repository().await;
        world.put("/dir/sub/a.txt", b"a").await;
        world.delete("/dir/sub/a.txt").await.expect("deleted");
        world.artifacts.delete_repository("p1", "r1", Delete::IfEmpty).await.expect("an empty repository");
    }

    #[tokio::test]
    async fn a_file_does_not_vanish_with_a_repository_that_had_to_be_empty() {
        for _ in 0..50 {
            let world = World::with_repository().await;
            let (put, deleted) = tokio::join!(
                world.try_put("/a.txt", b"a"),
                world.artifacts.delete_repository("p1", "r1", Delete::IfEmpty),
            );
            assert!(put.is_ok() != deleted.is_ok(), "one of them is too late: {put:?} {deleted:?}");
        }
    }

    #[tokio::test]
    async fn an_image_does_not_vanish_with_a_repository_that_had_to_be_empty() {
        for _ in 0..50 {
            let world = World::with_repository().await;
            let found = world.artifacts.decide("an image", |mut tx| async move {
                let repository = tx.repository("p1", "r1").await?;
                let image = tx.found_image(repository.id, "nginx", "", 1).await?;
                Ok::<_, Error>(tx.answer(image))
            });
            let (found, deleted) = tokio::join!(found, world.artifacts.delete_repository("p1", "r1", Delete::IfEmpty));
            assert!(found.is_ok() != deleted.is_ok(), "one of them is too late");
        }
    }

    #[tokio::test]
    async fn repositories_are_listed_by_name_prefix_and_type() {
        let world = World::new().await;
        world.project("p1").await;
        world.project("p10").await;
        for (project, name, holds) in [
            ("p1", "files", RepositoryType::Generic),
            ("p1", "images", RepositoryType::Docker),
            ("p1", "images.old", RepositoryType::Docker),
            ("p1", "imagination", RepositoryType::Generic),
            ("p10", "images", RepositoryType::Docker),
        ] {
            let new = NewRepository { holds, ..world.new_repository(project, name) };
            world.artifacts.create_repository(&new, "").await.expect("a repository");
        }
        let list = async |name_prefix: &str, holds| {
            let which = WhichRepositories { project: "p1".to_owned(), name_prefix: name_prefix.to_owned(), holds };
            let part = world
                .artifacts
                .list_repositories(&which, &world.page(10, ""), &Sight::everything())
                .await
                .expect("a page");
            assert_eq!(part.total, part.items.len() as u64);
            part.items.into_iter().map(|record| record.name).collect::<Vec<_>>()
        };
        let all = RepositoryType::Unspecified;
        assert_eq!(list("", all).await, ["files", "images", "images.old", "imagination"]);
        assert_eq!(list("images", all).await, ["images", "images.old"]);
        assert_eq!(list("", RepositoryType::Generic).await, ["files", "imagination"]);
        assert_eq!(list("im", RepositoryType::Generic).await, ["imagination"]);
        let which = WhichRepositories { project: "p2".to_owned(), ..WhichRepositories::default() };
        let missing = world.artifacts.list_repositories(&which, &world.page(10, ""), &Sight::everything()).await;
        assert!(matches!(missing, Err(Error::ProjectNotFound(_))));
    }
}
