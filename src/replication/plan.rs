//! What a run is to do, one thing after the other. Nothing of it is kept: it can be found out again.

use std::collections::{HashMap, HashSet};

use steward_proto::artifact::v1::{ArtifactChange, File, PackageVersion, RepositoryType};
use tokio::sync::mpsc;

use super::select::{Newest, PackageRule, PathRule, Selection};
use super::source::{Source, SourceError};

/// How many files are one item.
const FILES_AT_ONCE: usize = 100;
/// How many earlier digests of something that was deleted are tried.
const MAX_DIGESTS: usize = 8;

/// One thing to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A version of a package.
    Version(VersionItem),
    /// Some files.
    Files(Vec<File>),
    /// Something that is asked for and is not there.
    Missing { artifact: String, version: String, reason: String },
    /// Something that was deleted here.
    Gone(GoneItem),
}

/// A version of a package.
#[derive(Clone, Debug)]
pub(super) struct VersionItem {
    /// The key of the package.
    pub(super) key: String,
    pub(super) image: String,
    pub(super) tag: String,
    /// What it is to be called at the target.
    pub(super) tags: Vec<String>,
    pub(super) metadata: HashMap<String, String>,
}

/// A tag or file that was deleted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GoneItem {
    /// The key of the package, or the path.
    pub(super) artifact: String,
    /// The tag; empty: it is a file.
    pub(super) version: String,
    /// What it is called at the target.
    pub(super) tags: Vec<String>,
    /// The digests that it had here, the latest first.
    pub(super) digests: Vec<String>,
}

/// Which changes a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Full,
    /// Those behind one stamp and up to another.
    Changes { from_stamp: u64, to_stamp: u64 },
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum PlanError {
    /// Nobody wants to know any more.
    Unwanted,
    /// The repository cannot be read.
    Source(SourceError),
}

impl From<SourceError> for PlanError {
    fn from(error: SourceError) -> Self {
        PlanError::Source(error)
    }
}

/// Finds out what a run is to do.
pub(super) struct Planner<'a> {
    pub(super) source: &'a Source,
    pub(super) selection: &'a Selection,
    pub(super) items: mpsc::Sender<Item>,
}

/// The name of the image of a package.
pub(super) fn image_of(key: &str) -> &str {
    key.split_once("://").map_or(key, |(_, image)| image)
}

/// Whether a repository holds images.
pub(super) fn holds_images(kind: RepositoryType) -> bool {
    matches!(kind, RepositoryType::Docker | RepositoryType::Oci | RepositoryType::Helm)
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

impl Planner<'_> {
    /// Sends what is to be done.
    pub(super) async fn plan(&self, extent: Extent) -> Result<(), PlanError> {
        let kind = self.source.repository().await?.r#type();
        match extent {
            Extent::Full => self.full(kind).await,
            Extent::Changes { from_stamp, to_stamp } => match self.changes(kind, from_stamp, to_stamp).await {
                // Nobody knows what has changed, so all of it may have.
                Err(PlanError::Source(SourceError::Compacted)) => self.full(kind).await,
                result => result,
            },
        }
    }

    async fn send(&self, item: Item) -> Result<(), PlanError> {
        self.items.send(item).await.map_err(|_| PlanError::Unwanted)
    }

    async fn missing(&self, artifact: &str, version: &str, reason: String) -> Result<(), PlanError> {
        let (artifact, version) = (artifact.to_owned(), version.to_owned());
        self.send(Item::Missing { artifact, version, reason }).await
    }

    async fn full(&self, kind: RepositoryType) -> Result<(), PlanError> {
        match self.selection {
            Selection::Whole if holds_images(kind) => self.all_packages(&[]).await,
            Selection::Whole => self.files_below(&[], None).await.map(|_| ()),
            Selection::Parts { packages, paths } => {
                self.packages(packages).await?;
                self.paths(paths).await
            }
        }
    }

    async fn packages(&self, rules: &[PackageRule]) -> Result<(), PlanError> {
        if rules.iter().any(|rule| rule.exact().is_none()) {
            return self.all_packages(rules).await;
        }
        let mut seen = HashSet::new();
        for key in rules.iter().filter_map(PackageRule::exact) {
            if seen.insert(key) {
                self.package(key, rules).await?;
            }
        }
        Ok(())
    }

    /// The packages that a rule is about; without rules, all.
    async fn all_packages(&self, rules: &[PackageRule]) -> Result<(), PlanError> {
        let mut page_token = String::new();
        let mut matched = vec![false; rules.len()];
        loop {
            let (packages, next) = self.source.packages(page_token).await?;
            for package in packages {
                let about = rules.iter().map(|rule| rule.matches(&package.key));
                let mut is_wanted = rules.is_empty();
                for (matched, is_about) in matched.iter_mut().zip(about) {
                    *matched |= is_about;
                    is_wanted |= is_about;
                }
                if is_wanted {
                    self.package(&package.key, rules).await?;
                }
            }
            page_token = next;
            if page_token.is_empty() {
                break;
            }
        }
        for (rule, _) in rules.iter().zip(matched).filter(|(_, matched)| !matched) {
            if let Some(key) = rule.exact() {
                // It says of each version that it is not there.
                self.package(key, rules).await?;
            } else {
                let reason = format!("there is no package {:?}", rule.name());
                self.missing(&rule.name(), "", reason).await?;
            }
        }
        Ok(())
    }

    /// The versions of a package that its rules let through; without rules, all.
    async fn package(&self, key: &str, rules: &[PackageRule]) -> Result<(), PlanError> {
        let about: Vec<&PackageRule> = rules.iter().filter(|rule| rule.matches(key)).collect();
        let listed: Vec<&String> = about.iter().flat_map(|rule| &rule.versions).collect();
        let is_listed = !about.is_empty() && about.iter().all(|rule| !rule.versions.is_empty());
        let found = if is_listed { Ok(None) } else { self.versions(key, &about).await.map(Some) };
        let seen = match found {
            Ok(seen) => seen,
            Err(PlanError::Source(SourceError::Gone(reason))) => return self.missing(key, "", reason).await,
            Err(error) => return Err(error),
        };
        if seen.as_ref().is_some_and(|seen| seen.sent == 0) && !about.is_empty() && listed.is_empty() {
            return self.missing(key, "", format!("package {key:?} has no version that is asked for")).await;
        }
        let mut done = seen.map(|seen| seen.listed).unwrap_or_default();
        for version in listed {
            if done.insert(version.clone()) {
                self.listed_version(key, version, &about).await?;
            }
        }
        Ok(())
    }

    async fn listed_version(&self, key: &str, version: &str, about: &[&PackageRule]) -> Result<(), PlanError> {
        match self.source.version(key, version).await {
            Ok(found) => self.send(Item::Version(version_item(key, found, about))).await,
            Err(SourceError::Gone(_)) => {
                let reason = format!("version {version:?} of package {key:?} not found");
                self.missing(key, version, reason).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Goes through the versions of a package.
    async fn versions(&self, key: &str, about: &[&PackageRule]) -> Result<Seen, PlanError> {
        let newest = self.newest(key, about).await?;
        let is_wanted = |version: &str| {
            let through = |(rule, newest): (&&PackageRule, &Option<HashSet<String>>)| {
                rule.lets_through(version) && newest.as_ref().is_none_or(|names| names.contains(version))
            };
            about.is_empty() || about.iter().zip(&newest).any(through)
        };
        let mut seen = Seen::default();
        let mut page_token = String::new();
        loop {
            let (versions, next) = self.source.versions(key, page_token).await?;
            for version in versions.into_iter().filter(|version| is_wanted(&version.name)) {
                if about.iter().any(|rule| rule.versions.contains(&version.name)) {
                    seen.listed.insert(version.name.clone());
                }
                seen.sent += 1;
                self.send(Item::Version(version_item(key, version, about))).await?;
            }
            page_token = next;
            if page_token.is_empty() {
                return Ok(seen);
            }
        }
    }

    /// For each rule that wants only the newest versions: which they are.
    async fn newest(&self, key: &str, about: &[&PackageRule]) -> Result<Vec<Option<HashSet<String>>>, PlanError> {
        let mut gathered: Vec<Option<Newest>> =
            about.iter().map(|rule| rule.wants_newest().then(|| Newest::new(rule.newest))).collect();
        if gathered.iter().all(Option::is_none) {
            return Ok(gathered.into_iter().map(|_| None).collect());
        }
        let mut page_token = String::new();
        loop {
            let (versions, next) = self.source.versions(key, page_token).await?;
            for version in versions {
                let time = version.modify_time.map_or(0, nanos);
                for (rule, newest) in about.iter().zip(&mut gathered) {
                    if let Some(newest) = newest.as_mut().filter(|_| rule.lets_through(&version.name)) {
                        newest.add(time, &version.name);
                    }
                }
            }
            page_token = next;
            if page_token.is_empty() {
                return Ok(gathered.into_iter().map(|newest| newest.map(Newest::names)).collect());
            }
        }
    }

    async fn paths(&self, rules: &[PathRule]) -> Result<(), PlanError> {
        for (number, rule) in rules.iter().enumerate() {
            let earlier = &rules[..number];
            let is_there = if rule.path.is_empty() {
                self.files_below(earlier, Some(rule)).await?
            } else {
                self.named_path(earlier, rule).await?
            };
            if !is_there {
                let path = if rule.path.is_empty() { "/" } else { &rule.path };
                self.missing(path, "", format!("no file is at {path:?}")).await?;
            }
        }
        Ok(())
    }

    /// The file of a rule, or those in its folder or of its pattern. Whether there are any.
    async fn named_path(&self, earlier: &[PathRule], rule: &PathRule) -> Result<bool, PlanError> {
        match self.source.file(&rule.path).await {
            Ok(file) if file.folder => self.files_below(earlier, Some(rule)).await,
            Ok(file) if rule.matches(&file.path) => {
                // Whoever was first has it.
                if !earlier.iter().any(|earlier| earlier.matches(&file.path)) {
                    self.send(Item::Files(vec![file])).await?;
                }
                Ok(true)
            }
            Err(SourceError::Gone(_)) if rule.is_pattern() => self.files_below(earlier, Some(rule)).await,
            Ok(_) | Err(SourceError::Gone(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of a rule that no earlier one has; without a rule, all. Whether the rule has any.
    async fn files_below(&self, earlier: &[PathRule], rule: Option<&PathRule>) -> Result<bool, PlanError> {
        let (mut page_token, mut is_there) = (String::new(), false);
        let folder = rule.map_or("/", PathRule::folder);
        loop {
            let (files, next) = match self.source.files(folder, page_token).await {
                Ok(page) => page,
                Err(SourceError::Gone(_)) => return Ok(is_there),
                Err(error) => return Err(error.into()),
            };
            let matching = files.into_iter().filter(|file| rule.is_none_or(|rule| rule.matches(&file.path)));
            let mut batch = Vec::new();
            for file in matching.filter(|file| !file.folder) {
                is_there = true;
                if !earlier.iter().any(|rule| rule.matches(&file.path)) {
                    batch.push(file);
                }
                if batch.len() == FILES_AT_ONCE {
                    self.send(Item::Files(std::mem::take(&mut batch))).await?;
                }
            }
            if !batch.is_empty() {
                self.send(Item::Files(batch)).await?;
            }
            page_token = next;
            if page_token.is_empty() {
                return Ok(is_there);
            }
        }
    }

    /// What has changed and is let through.
    async fn changes(&self, kind: RepositoryType, from_stamp: u64, to_stamp: u64) -> Result<(), PlanError> {
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
                let through = |(rule, newest): (&&PackageRule, &Option<HashSet<String>>)| {
                    rule.lets_through(&tag) && newest.as_ref().is_none_or(|names| names.contains(&tag))
                };
                if about.is_empty() || about.iter().zip(&newest).any(through) {
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

/// What going through the versions of a package came to.
#[derive(Default)]
struct Seen {
    sent: usize,
    /// Of the versions that rules list, those that are there.
    listed: HashSet<String>,
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

fn version_item(key: &str, version: PackageVersion, about: &[&PackageRule]) -> VersionItem {
    VersionItem {
        key: key.to_owned(),
        image: image_of(key).to_owned(),
        tags: target_tags(&version.name, about),
        tag: version.name,
        metadata: version.metadata,
    }
}

/// What a version is called at the target, as the rules say that let it through.
fn target_tags(tag: &str, about: &[&PackageRule]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let through: Vec<_> = about.iter().filter(|rule| rule.lets_through(tag)).collect();
    for rule in &through {
        let own = [tag.to_owned()];
        let wanted = if rule.target_versions.is_empty() { &own[..] } else { &rule.target_versions };
        for wanted in wanted {
            if !tags.contains(wanted) {
                tags.push(wanted.clone());
            }
        }
    }
    if through.is_empty() {
        tags.push(tag.to_owned());
    }
    tags
}

fn nanos(time: prost_types::Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}
