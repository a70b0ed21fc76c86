//! How repositories of artifacts are named on the command line: `p1/files`.

use std::fmt;
use std::str::FromStr;

use super::console::printable;

/// A repository of a project. What else is wrong with the names is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepositoryName {
    pub(crate) project: String,
    pub(crate) name: String,
}

impl RepositoryName {
    /// Divides `p1/files/dir/a.txt` into the repository and what follows; nothing if that is less than a repository.
    pub(crate) fn split(text: &str) -> Option<(Self, Option<&str>)> {
        let (project, rest) = text.split_once('/')?;
        let (name, rest) = rest.split_once('/').map_or((rest, None), |(name, rest)| (name, Some(rest)));
        if project.is_empty() || name.is_empty() {
            return None;
        }
        Some((RepositoryName { project: project.to_owned(), name: name.to_owned() }, rest))
    }
}

impl FromStr for RepositoryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match RepositoryName::split(text) {
            Some((repository, None | Some(""))) => Ok(repository),
            Some((_, Some(_))) | None => Err("not a repository; write it as PROJECT/REPO".to_owned()),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", printable(&self.project), printable(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_in_a_project() {
        let repository = RepositoryName { project: "p1".to_owned(), name: "files".to_owned() };
        assert_eq!("p1/files".parse(), Ok(repository.clone()));
        assert_eq!("p1/files/".parse(), Ok(repository.clone()));
        assert_eq!(RepositoryName::split("p1/files/a/b"), Some((repository, Some("a/b"))));
        for wrong in ["", "p1", "/files", "p1/", "p1/files/a"] {
            assert!(wrong.parse::<RepositoryName>().is_err(), "{wrong:?}");
        }
    }
}
