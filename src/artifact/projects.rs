//! Projects: repositories that belong together.

use steward_proto::store::v1::ProjectRecord;

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use super::paging::{Gather, Page, Part};
use super::sight::Sight;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many records are read at a time.
const AT_A_TIME: usize = 512;

/// What to create.
#[derive(Clone, Debug, Default)]
pub(super) struct NewProject {
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) description: String,
}

impl Artifacts {
    /// Creates a project.
    pub(super) async fn create_project(&self, new: &NewProject, user: &str) -> Result<ProjectRecord, Error> {
        let decided = self.decide("a project", |mut tx| async move {
            let key = keys::project(&new.name);
            if tx.bytes(&key).await?.is_some() {
                return Err(Error::ProjectExists(new.name.clone()));
            }
            let now_us = self.now_us();
            let display_name = if new.display_name.is_empty() { &new.name } else { &new.display_name };
            let record = ProjectRecord {
                name: new.name.clone(),
                display_name: display_name.clone(),
                description: new.description.clone(),
                created_by: user.to_owned(),
                create_us: now_us,
                modified_by: user.to_owned(),
                modify_us: now_us,
                generation: 0,
            };
            tx.put(key, &record);
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// Reads a project.
    pub(super) async fn get_project(&self, name: &str) -> Result<ProjectRecord, Error> {
        let decided = self.decide("a project", |mut tx| async move {
            let record = tx.project(name).await?;
            Ok(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// Lists the projects that may be seen in the order of their names.
    pub(super) async fn list_projects(&self, page: &Page, sight: &Sight) -> Result<Part<ProjectRecord>, Error> {
        let mut range = KeyRange::prefix(&Key::table(Table::ArtifactProject));
        if let Some(place) = &page.after {
            range = range.after(&keys::project(&place.last));
        }
        let mut gather = Gather::new(page);
        'all: loop {
            let found = tx::scan(&*self.store, range.clone(), AT_A_TIME).await?;
            let Some((last, _)) = found.last() else { break };
            range = range.after(last);
            for (key, value) in found {
                let record: ProjectRecord = tx::decode(&key, &value)?;
                let name = record.name.clone();
                if sight.has_project(&name) && !gather.take(&name, || record) {
                    break 'all;
                }
            }
        }
        self.store.settled().await?;
        Ok(gather.part())
    }

    /// Deletes a project without repositories.
    pub(super) async fn delete_project(&self, name: &str) -> Result<(), Error> {
        let decided = self.decide("a project", |mut tx| async move {
            // Changed by whoever adds a repository.
            tx.project(name).await?;
            if has_repositories(&tx, name).await? {
                return Err(Error::ProjectNotEmpty(name.to_owned()));
            }
            tx.delete(keys::project(name));
            Ok(tx.answer(()))
        });
        decided.await.map(|_| ())
    }
}

async fn has_repositories(tx: &Tx<'_>, project: &str) -> Result<bool, Error> {
    Ok(!tx.scan(KeyRange::prefix(&keys::repositories_of(project)), 1).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::repositories::Delete;
    use super::super::testing::World;
    use super::*;

    #[tokio::test]
    async fn a_project_is_made_once_and_goes_when_it_is_empty() {
        let world = World::new().await;
        let artifacts = &world.artifacts;
        let new = NewProject { name: "p1".to_owned(), ..NewProject::default() };

        let made = artifacts.create_project(&new, "ann").await.expect("a project");

        assert_eq!((made.display_name.as_str(), made.created_by.as_str()), ("p1", "ann"));
        assert!(matches!(artifacts.create_project(&new, "bob").await, Err(Error::ProjectExists(name)) if name == "p1"));
        assert_eq!(artifacts.get_project("p1").await.expect("the project"), made);
        world.repository("p1", "r1").await;
        assert!(matches!(artifacts.delete_project("p1").await, Err(Error::ProjectNotEmpty(_))));
        artifacts.delete_repository("p1", "r1", Delete::IfEmpty).await.expect("an empty repository");
        artifacts.delete_project("p1").await.expect("an empty project");
        assert!(matches!(artifacts.get_project("p1").await, Err(Error::ProjectNotFound(_))));
        assert!(matches!(artifacts.delete_project("p1").await, Err(Error::ProjectNotFound(_))));
    }

    #[tokio::test]
    async fn projects_are_listed_by_name_in_pages() {
        let world = World::new().await;
        for number in (10..35).rev() {
            let new = NewProject { name: format!("p{number}"), ..NewProject::default() };
            world.artifacts.create_project(&new, "").await.expect("a project");
        }
        let (mut names, mut page) = (Vec::new(), Page { size: 10, after: None });
        loop {
            let part = world.artifacts.list_projects(&page, &Sight::everything()).await.expect("a page");
            assert_eq!(part.total, 25);
            names.extend(part.items.into_iter().map(|project| project.name));
            if part.next.is_empty() {
                break;
            }
            page = world.page(10, &part.next);
        }
        let expected: Vec<String> = (10..35).map(|number| format!("p{number}")).collect();
        assert_eq!(names, expected);
    }

    #[tokio::test]
    async fn a_project_is_not_deleted_under_a_repository_that_comes_meanwhile() {
        for _ in 0..20 {
            let world = World::new().await;
            world.project("p1").await;
            let new = world.new_repository("p1", "r1");
            let (created, deleted) =
                tokio::join!(world.artifacts.create_repository(&new, ""), world.artifacts.delete_project("p1"),);
            assert!(created.is_ok() != deleted.is_ok(), "one of them is too late");
        }
    }
}
