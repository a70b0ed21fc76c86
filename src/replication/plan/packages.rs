//! The versions of packages.

use std::collections::HashSet;

use steward_proto::artifact::v1::PackageVersion;

use super::super::select::{Newest, PackageRule};
use super::super::source::SourceError;
use super::{Item, PlanError, Planner, VersionItem, image_of};

/// The rules about a package, and for each that wants only the newest versions, which they are.
pub(super) struct Wanted<'a> {
    pub(super) about: &'a [&'a PackageRule],
    pub(super) newest: Vec<Option<HashSet<String>>>,
}

/// What going through the versions of a package came to.
#[derive(Default)]
struct Seen {
    sent: usize,
    /// Of the versions that rules list, those that are there.
    listed: HashSet<String>,
}

impl Wanted<'_> {
    /// Whether one of the rules lets a version through; without rules, all are.
    pub(super) fn has(&self, version: &str) -> bool {
        let through = |(rule, newest): (&&PackageRule, &Option<HashSet<String>>)| {
            rule.lets_through(version) && newest.as_ref().is_none_or(|names| names.contains(version))
        };
        self.about.is_empty() || self.about.iter().zip(&self.newest).any(through)
    }
}

impl Planner<'_> {
    pub(super) async fn packages(&self, rules: &[PackageRule]) -> Result<(), PlanError> {
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
    pub(super) async fn all_packages(&self, rules: &[PackageRule]) -> Result<(), PlanError> {
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
        let wanted = Wanted { about, newest: self.newest(key, about).await? };
        let mut seen = Seen::default();
        let mut page_token = String::new();
        loop {
            let (versions, next) = self.source.versions(key, page_token).await?;
            for version in versions.into_iter().filter(|version| wanted.has(&version.name)) {
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
    pub(super) async fn newest(
        &self,
        key: &str,
        about: &[&PackageRule],
    ) -> Result<Vec<Option<HashSet<String>>>, PlanError> {
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
}

pub(super) fn version_item(key: &str, version: PackageVersion, about: &[&PackageRule]) -> VersionItem {
    VersionItem {
        key: key.to_owned(),
        image: image_of(key).to_owned(),
        tags: target_tags(&version.name, about),
        tag: version.name,
        metadata: version.metadata,
    }
}

/// What a version is called at the target, as the rules say that let it through.
pub(super) fn target_tags(tag: &str, about: &[&PackageRule]) -> Vec<String> {
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
