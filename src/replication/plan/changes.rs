//! What has changed, and is let through.

use std::collections::{HashMap, HashSet};

use steward_proto::artifact::v1::{ArtifactChange, File, RepositoryType};

use super::super::select::{PackageRule, Selection};
use super::super::source::SourceError;
use super::packages::{Wanted, target_tags, version_item};
use super::{FILES_AT_ONCE, GoneItem, Item, PlanError, Planner};

/// How many earlier digests of something that was deleted are tried.
const MAX_DIGESTS: usize = 8;

impl Planner<'_> {
    /// What has changed and is let through.
    pub(super) async fn changes(&self, kind: RepositoryType, from_stamp: u64, to_stamp: u64) -> Result<(), PlanError> {
        let mut after = from_stamp;
        loop {
            let page = self.source.changes(after).await?;
            let last = u64::try_from(page.last_stamp).unwrap_or(0);
            let is_in = |change: &ArtifactChange| u64::try_from(change.stamp).is_ok_and(|stamp| stamp <= to_stamp);
            let changes: Vec<ArtifactChange> = page.changes.into_iter().filter(is_in).collect();
            self.changed_files(&changes).await?;
            self.changed_tags(kind, &changes).await?;
            if !page.has_more || last <= after || last >= to_stamp {
                return Ok(());
            }
            after = last;
        }
    }

    async fn changed_files(&self, changes: &[ArtifactChange]) -> Result<(), PlanError> {
        let mut digests: Vec<(&str, Vec<String>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for change in changes.iter().filter(|change| !change.path.is_empty() && self.selection.has_path(&change.path)) {
            let place = *places.entry(&change.path).or_insert_with(|| {
                digests.push((&change.path, Vec::new()));
                digests.len() - 1
            });
            note_digest(&mut digests[place].1, &change.before);
        }
        for batch in digests.chunks(FILES_AT_ONCE) {
            let paths = batch.iter().map(|(path, _)| (*path).to_owned()).collect();
            let files = self.source.stat_files(paths).await?;
            let there: HashSet<&str> = files.iter().map(|file| &*file.path).collect();
            let gone = batch.iter().filter(|(path, digests)| !there.contains(path) && !digests.is_empty());
            let gone: Vec<GoneItem> = gone
                .map(|(path, digests)| GoneItem {
                    artifact: (*path).to_owned(),
                    version: String::new(),
                    tags: Vec::new(),
                    digests: digests.clone(),
                })
                .collect();
            let files: Vec<File> = files.into_iter().filter(|file| !file.folder).collect();
            if !files.is_empty() {
                self.send(Item::Files(files)).await?;
            }
            for gone in gone {
                self.send(Item::Gone(gone)).await?;
            }
        }
        Ok(())
    }

    async fn changed_tags(&self, kind: RepositoryType, changes: &[ArtifactChange]) -> Result<(), PlanError> {
        let mut tags: Vec<((String, String), Vec<String>)> = Vec::new();
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        let mut subjects: HashSet<(String, String)> = HashSet::new();
        for change in changes.iter().filter(|change| change.path.is_empty() && !change.image.is_empty()) {
            let key = key_of(kind, &change.image);
            if !self.selection.has_package(&key) {
                continue;
            }
            if change.tag.is_empty() {
                subjects.insert((key, change.subject.clone()));
                continue;
            }
            let name = (key, change.tag.clone());
            let place = *places.entry(name.clone()).or_insert_with(|| {
                tags.push((name, Vec::new()));
                tags.len() - 1
            });
            note_digest(&mut tags[place].1, &change.before);
        }
        for ((key, tag), digests) in tags {
            self.changed_tag(&key, tag, digests).await?;
        }
        for (key, subject) in subjects.iter().filter(|(_, subject)| !subject.is_empty()) {
            self.changed_referrers(key, subject).await?;
        }
        Ok(())
    }

    async fn changed_tag(&self, key: &str, tag: String, digests: Vec<String>) -> Result<(), PlanError> {
        let about = self.rules_of(key);
        let newest = match self.newest(key, &about).await {
            Ok(newest) => newest,
            // The whole package was deleted.
            Err(PlanError::Source(SourceError::Gone(_))) => Vec::new(),
            Err(error) => return Err(error),
        };
        match self.source.version(key, &tag).await {
            Ok(version) => {
                if (Wanted { about: &about, newest }).has(&tag) {
                    self.send(Item::Version(version_item(key, version, &about))).await?;
                }
                Ok(())
            }
            Err(SourceError::Gone(_)) => {
                // Whether it was new enough nobody knows; if it was not, it is not at the target.
                if digests.is_empty() || !(about.is_empty() || about.iter().any(|rule| rule.lets_through(&tag))) {
                    return Ok(());
                }
                let tags = target_tags(&tag, &about);
                self.send(Item::Gone(GoneItem { artifact: key.to_owned(), version: tag, tags, digests })).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The versions that a new referrer may belong to: those that name its subject, else the indexes, whose children
    /// may be it.
    async fn changed_referrers(&self, key: &str, subject: &str) -> Result<(), PlanError> {
        let about = self.rules_of(key);
        let (mut page_token, mut indexes, mut is_found) = (String::new(), Vec::new(), false);
        loop {
            let (versions, next) = match self.source.versions(key, page_token).await {
                Ok(page) => page,
                Err(SourceError::Gone(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for version in versions {
                if !about.is_empty() && !about.iter().any(|rule| rule.lets_through(&version.name)) {
                    continue;
                }
                let manifest = version.manifest.clone().unwrap_or_default();
                if manifest.digest == subject {
                    is_found = true;
                    self.send(Item::Version(version_item(key, version, &about))).await?;
                } else if is_index(&manifest.media_type) && indexes.len() < FILES_AT_ONCE {
                    indexes.push(version);
                }
            }
            page_token = next;
            if page_token.is_empty() {
                break;
            }
        }
        for version in indexes.into_iter().filter(|_| !is_found) {
            self.send(Item::Version(version_item(key, version, &about))).await?;
        }
        Ok(())
    }

    fn rules_of(&self, key: &str) -> Vec<&PackageRule> {
        match self.selection {
            Selection::Whole => Vec::new(),
            Selection::Parts { packages, .. } => packages.iter().filter(|rule| rule.matches(key)).collect(),
        }
    }
}

/// The key of the package of an image.
fn key_of(kind: RepositoryType, image: &str) -> String {
    let scheme = match kind {
        RepositoryType::Oci => "oci",
        RepositoryType::Helm => "helm",
        _ => "docker",
    };
    format!("{scheme}://{image}")
}

fn is_index(media_type: &str) -> bool {
    media_type.contains("image.index") || media_type.contains("manifest.list")
}

/// Notes what something was before a change; the latest first.
fn note_digest(digests: &mut Vec<String>, before: &str) {
    if !before.is_empty() && !digests.iter().any(|known| known == before) {
        digests.insert(0, before.to_owned());
        digests.truncate(MAX_DIGESTS);
    }
}
