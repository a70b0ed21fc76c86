//! What the constraints of a task let through. Reads nothing: `plan` brings packages, versions and files here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use regex::Regex;
use semver::{Version, VersionReq};
use steward_proto::replication::v1::{Config, PackageConstraint, PathConstraint, ReplicaObjectType};

use crate::glob::{self, Glob};

/// How many of the newest versions can be asked for.
const MAX_NEWEST: usize = 10_000;

/// What a task is about.
#[derive(Debug)]
pub(super) enum Selection {
    /// All of the repository.
    Whole,
    /// What one of the rules lets through.
    Parts {
        /// The rules of packages.
        packages: Vec<PackageRule>,
        /// The rules of files.
        paths: Vec<PathRule>,
    },
}

impl Selection {
    /// What a task is about; the error says which constraint is wrong.
    pub(super) fn of(config: &Config) -> Result<Selection, String> {
        let is_whole = config.object_type() == ReplicaObjectType::Repository
            || (config.package_constraints.is_empty() && config.path_constraints.is_empty());
        if is_whole {
            return Ok(Selection::Whole);
        }
        let packages = config.package_constraints.iter().map(PackageRule::of).collect::<Result<_, _>>()?;
        let paths = config.path_constraints.iter().map(PathRule::of).collect::<Result<_, _>>()?;
        Ok(Selection::Parts { packages, paths })
    }

    /// Whether a file is one of them.
    pub(super) fn has_path(&self, path: &str) -> bool {
        match self {
            Selection::Whole => true,
            Selection::Parts { paths, .. } => paths.iter().any(|rule| rule.matches(path)),
        }
    }

    /// Whether anything of a package may be.
    pub(super) fn has_package(&self, key: &str) -> bool {
        match self {
            Selection::Whole => true,
            Selection::Parts { packages, .. } => packages.iter().any(|rule| rule.matches(key)),
        }
    }
}

/// Which versions of which packages.
#[derive(Debug)]
pub(super) struct PackageRule {
    /// The key as it was given.
    pub(super) key: String,
    glob: Option<Glob>,
    keys: Vec<Regex>,
    /// These versions, whatever else is said; empty: all that the rest lets through.
    pub(super) versions: Vec<String>,
    /// What they are called at the target; empty: the same.
    pub(super) target_versions: Vec<String>,
    regexes: Vec<Regex>,
    range: Option<VersionReq>,
    /// So many of the newest of them; 0: all.
    pub(super) newest: usize,
}

impl PackageRule {
    fn of(constraint: &PackageConstraint) -> Result<PackageRule, String> {
        let glob = Glob::parse_if_any(&constraint.package_key)?;
        let range = Some(constraint.semver_range.trim()).filter(|range| !range.is_empty());
        let range = range.map(VersionReq::parse).transpose();
        let range = range.map_err(|error| format!("the range {:?}: {error}", constraint.semver_range))?;
        Ok(PackageRule {
            key: constraint.package_key.clone(),
            glob,
            keys: regexes(&constraint.package_regex)?,
            versions: constraint.versions.clone(),
            target_versions: constraint.target_versions.clone(),
            regexes: regexes(&constraint.version_regex)?,
            range,
            newest: usize::try_from(constraint.newest).unwrap_or(MAX_NEWEST).min(MAX_NEWEST),
        })
    }

    /// The one package that it is about, if it names one.
    pub(super) fn exact(&self) -> Option<&str> {
        let is_exact = self.glob.is_none() && self.keys.is_empty() && !self.key.is_empty();
        is_exact.then_some(&self.key)
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        match self.keys.first() {
            Some(regex) if self.key.is_empty() => regex.as_str().to_owned(),
            Some(_) | None => self.key.clone(),
        }
    }

    /// Whether it is about a package.
    pub(super) fn matches(&self, key: &str) -> bool {
        let is_named = match &self.glob {
            Some(glob) => glob.matches(key),
            None => self.key == key || (self.key.is_empty() && !self.keys.is_empty()),
        };
        is_named && (self.keys.is_empty() || self.keys.iter().any(|regex| regex.is_match(key)))
    }

    /// Whether it lets a version through, when it is new enough.
    pub(super) fn lets_through(&self, version: &str) -> bool {
        if !self.versions.is_empty() {
            return self.versions.iter().any(|listed| listed == version);
        }
        (self.regexes.is_empty() || self.regexes.iter().any(|regex| regex.is_match(version)))
            && self.range.as_ref().is_none_or(|range| is_inside(range, version))
    }

    /// Whether only the newest of what it lets through are wanted.
    pub(super) fn wants_newest(&self) -> bool {
        self.newest > 0 && self.versions.is_empty()
    }
}

fn regexes(expressions: &[String]) -> Result<Vec<Regex>, String> {
    expressions.iter().map(|expression| glob::whole(expression)).collect()
}

/// Whether a tag is a version of a range: `v1.2` is 1.2.0.
fn is_inside(range: &VersionReq, tag: &str) -> bool {
    let number = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let (core, suffix) = number.split_at(number.find(['-', '+']).unwrap_or(number.len()));
    let missing = 2_usize.saturating_sub(core.matches('.').count());
    let padded = format!("{core}{}{suffix}", ".0".repeat(missing));
    Version::parse(&padded).is_ok_and(|version| range.matches(&version))
}

/// Which files.
#[derive(Debug)]
pub(super) struct PathRule {
    /// The path, with a slash in front and none at the end; empty: all.
    pub(super) path: String,
    glob: Option<Glob>,
    regexes: Vec<Regex>,
}

impl PathRule {
    fn of(constraint: &PathConstraint) -> Result<PathRule, String> {
        let path = constraint.path.trim_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let glob = Glob::parse_if_any(&path)?;
        Ok(PathRule { path, glob, regexes: regexes(&constraint.path_regex)? })
    }

    /// Whether it is a pattern, and not the name of something.
    pub(super) fn is_pattern(&self) -> bool {
        self.glob.is_some()
    }

    /// The folder that all it is about is in.
    pub(super) fn folder(&self) -> &str {
        match &self.glob {
            Some(_) => glob::folder_of(&self.path),
            None if self.path.is_empty() => "/",
            None => &self.path,
        }
    }

    /// Whether it is about a file: that file, one in that folder, or one of that pattern.
    pub(super) fn matches(&self, path: &str) -> bool {
        let is_below = path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_named = is_below || self.glob.as_ref().is_some_and(|glob| glob.matches(path));
        is_named && (self.regexes.is_empty() || self.regexes.iter().any(|regex| regex.is_match(path)))
    }
}

/// The newest so many of what is added, whatever the order.
#[derive(Debug)]
pub(super) struct Newest {
    limit: usize,
    kept: BinaryHeap<Reverse<(i128, String)>>,
}

impl Newest {
    pub(super) fn new(limit: usize) -> Self {
        Newest { limit, kept: BinaryHeap::new() }
    }

    /// Adds one that changed last at a time.
    pub(super) fn add(&mut self, time: i128, name: &str) {
        self.kept.push(Reverse((time, name.to_owned())));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// The names of those that are left.
    pub(super) fn names(self) -> HashSet<String> {
        self.kept.into_iter().map(|Reverse((_, name))| name).collect()
    }
}

#[cfg(test)]
#[path = "select_test.rs"]
mod tests;
