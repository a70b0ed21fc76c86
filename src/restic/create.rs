//! Creates repositories, and sets their quotas.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::Error;
use super::files::{self, Sharing, blocking};
use super::layout::Layout;
use super::name::{Kind, RepositoryPath};
use super::repositories::Repositories;
use super::repository::Repository;
use super::settings::RepositorySettings;
use crate::config::Access;

/// What an upload does where there is no repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It creates one.
    Create,
    /// It is refused: who may add locks alone may not create repositories.
    Refuse,
}

impl Repositories {
    /// Creates a repository so that it lasts, or finds it. Returns whether it is new.
    pub(super) async fn create(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
    ) -> Result<(Arc<Repository>, bool), Error> {
        self.require_access(user, path, Access::Append)?;
        let opening = self.0.opening.lock().await;
        if let Some(repository) = self.find_locked(path, &opening).await?
            && !self.close_if_gone(&repository).await?
        {
            return Ok((repository, false));
        }
        let layout = self.layout(path);
        let settings = RepositorySettings {
            owner: user.unwrap_or_default().to_owned(),
            create_nanos: self.0.around.clock.now().nanos(),
            max_bytes: 0,
        };
        let sharing = self.0.around.sharing;
        let what = format!("repository {path} cannot be created");
        blocking(move || make(&layout, &settings, sharing).map_err(|error| Error::io(what, error))).await?;
        tracing::info!(repository = %path, user, "a repository was created");
        let repository = self.find_locked(path, &opening).await?;
        Ok((repository.ok_or_else(|| Error::no_repository(path))?, true))
    }

    /// The repository to add an object to.
    pub(super) async fn find_or_create(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        missing: Missing,
    ) -> Result<Arc<Repository>, Error> {
        match (self.find(path).await?, missing) {
            (Some(repository), _) => Ok(repository),
            (None, Missing::Create) => self.create(user, path).await.map(|(repository, _)| repository),
            (None, Missing::Refuse) => Err(Error::no_repository(path)),
        }
    }

    /// Gives a repository a quota so that it lasts; 0: none.
    pub(super) async fn set_quota(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        max_bytes: u64,
    ) -> Result<Arc<Repository>, Error> {
        self.0.rules.require_admin(user, path)?;
        let repository = self.require(path).await?;
        let changed = Arc::clone(&repository);
        blocking(move || {
            // Held while the file is written, so that of two changes the last is in both places.
            let mut settings = changed.settings.lock();
            let wanted = RepositorySettings { max_bytes, ..settings.clone() };
            wanted.save(&changed.layout.settings(), changed.around.sharing).map_err(|error| {
                Error::io(format!("the quota of repository {} cannot be kept", changed.path), error)
            })?;
            changed.around.ledger.open(&changed.path, &wanted.owner, wanted.max_bytes);
            *settings = wanted;
            Ok(())
        })
        .await?;
        tracing::info!(repository = %path, user, max_bytes, "the quota of a repository was set");
        Ok(repository)
    }
}

/// Makes the directories, and last the one that makes a repository of them, so that it is whole when it is seen.
fn make(layout: &Layout, settings: &RepositorySettings, sharing: Sharing) -> io::Result<()> {
    let new_parents: Vec<&Path> = layout.directory().ancestors().take_while(|parent| !parent.exists()).collect();
    sharing.create_directory(layout.directory())?;
    settings.save(&layout.settings(), sharing)?;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Data) {
        sharing.create_directory(&layout.kind(kind))?;
    }
    let data = layout.temporary().join("data");
    for byte in 0..=u8::MAX {
        sharing.create_directory(&data.join(format!("{byte:02x}")))?;
    }
    files::sync_directory(&data)?;
    files::sync_directory(layout.directory())?;
    for parent in new_parents.iter().filter_map(|new| new.parent()).filter(|parent| !parent.as_os_str().is_empty()) {
        files::sync_directory(parent)?;
    }
    std::fs::rename(&data, layout.kind(Kind::Data))?;
    files::sync_directory(layout.directory())
}
